"""The tables that end a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from ..pipeline.record import CcdNumbers, CcdRecord
from .failures import FailureClass, failure_classes

__all__ = ["print_summary"]

_NUMBERS: tuple[tuple[str, Callable[[CcdNumbers], str]], ...] = (
    ("sky level (ADU)", lambda n: f"{n.sky:.2f} +- {n.sky_sigma:.2f}"),
    ("seeing, FWHM (arcsec)", lambda n: f"{n.seeing_arcsec:.3f}"),
    ("PSF stars", lambda n: f"{n.psf_stars}"),
    ("cosmic rays", lambda n: f"{n.cosmic_rays}"),
    ("bright sources", lambda n: f"{n.bright_sources}"),
    ("sources", lambda n: f"{n.sources}"),
    ("astrometric matches", lambda n: f"{n.matches}"),
    ("astrometric scatter (arcsec)", lambda n: f"{n.astrometric_scatter_arcsec:.4f}"),
    ("zero point (mag)", lambda n: f"{n.zero_point:.4f} from {n.zero_point_stars} stars"),
)

_WIDTH = 110


def print_summary(records: Sequence[CcdRecord], elapsed: float) -> None:
    """Print one column of key numbers per processed CCD (at most five), then how many ended how.

    A run of several CCDs of which some fail gets a table of the classes of failures, with their numbers and ids.
    """
    console = Console()
    # Nothing may be cut off when the output goes to a file.
    console.width = max(console.width, _WIDTH)
    done = [(record, record.numbers) for record in records if record.numbers is not None]
    if done:
        shown = done[:5]
        table = Table(title="Summary", title_justify="left")
        table.add_column("quantity", no_wrap=True)
        for record, _ in shown:
            table.add_column(f"visit {record.data_id['visit']} ccd {record.data_id['ccd']}", justify="right")
        for label, text in _NUMBERS:
            table.add_row(label, *(text(numbers) for _, numbers in shown))
        table.add_row("processor time (s)", *(f"{record.cpu_seconds:.1f}" for record, _ in shown))
        table.add_row("peak memory (MiB)", *(f"{record.peak_memory_mib:.0f}" for record, _ in shown))
        console.print(table)
    for record in records:
        if record.status:
            ccd = f"visit {record.data_id['visit']} ccd {record.data_id['ccd']}"
            console.print(f"{ccd}: {record.code}: {record.message}", markup=False, highlight=False)
    failures = failure_classes(records)
    if failures and len(records) > 1:
        console.print(_failure_table(failures), markup=False)
    console.print(f"{len(done)} of {len(records)} CCDs done in {elapsed:.1f} s", markup=False, highlight=False)


def _failure_table(failures: Sequence[FailureClass]) -> Table:
    table = Table(title="Failures", title_justify="left")
    table.add_column("CCDs", justify="right")
    table.add_column("code", no_wrap=True)
    table.add_column("class")
    table.add_column("status", justify="right")
    table.add_column("which")
    for row in failures:
        table.add_row(str(row.n), row.code, row.meaning, str(row.status), "\n".join(row.ids))
    return table
