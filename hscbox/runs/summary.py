"""The tables that end a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from ..pipeline.process_ccd import CcdSummary
from .execution import CcdOutcome
from .failures import FailureClass, failure_classes

__all__ = ["print_summary"]

_ROWS: tuple[tuple[str, Callable[[CcdSummary], str]], ...] = (
    ("sky level (ADU)", lambda s: f"{s.sky:.2f} +- {s.sky_sigma:.2f}"),
    ("seeing, FWHM (arcsec)", lambda s: f"{s.seeing_arcsec:.3f}"),
    ("PSF stars", lambda s: f"{s.psf_stars}"),
    ("cosmic rays", lambda s: f"{s.cosmic_rays}"),
    ("bright sources", lambda s: f"{s.bright_sources}"),
    ("sources", lambda s: f"{s.sources}"),
    ("astrometric matches", lambda s: f"{s.matches}"),
    ("astrometric scatter (arcsec)", lambda s: f"{s.astrometric_scatter_arcsec:.4f}"),
    ("zero point (mag)", lambda s: f"{s.zero_point:.4f} from {s.zero_point_stars} stars"),
    ("processor time (s)", lambda s: f"{s.cpu_seconds:.1f}"),
    ("peak memory (MiB)", lambda s: f"{s.peak_memory_mib:.0f}"),
)

_WIDTH = 110


def print_summary(outcomes: Sequence[CcdOutcome], elapsed: float) -> None:
    """Print one column of key numbers per processed CCD (at most five), then how many ended how.

    A run of several CCDs of which some fail gets a table of the classes of failures, with their numbers and ids.
    """
    console = Console()
    # Nothing may be cut off when the output goes to a file.
    console.width = max(console.width, _WIDTH)
    done = [outcome for outcome in outcomes if outcome.summary is not None]
    if done:
        shown = done[:5]
        table = Table(title="Summary", title_justify="left")
        table.add_column("quantity", no_wrap=True)
        for outcome in shown:
            table.add_column(f"visit {outcome.data_id['visit']} ccd {outcome.data_id['ccd']}", justify="right")
        for label, text in _ROWS:
            table.add_row(label, *(text(outcome.summary) for outcome in shown if outcome.summary is not None))
        console.print(table)
    for outcome in outcomes:
        if outcome.status:
            ccd = f"visit {outcome.data_id['visit']} ccd {outcome.data_id['ccd']}"
            console.print(f"{ccd}: {outcome.code}: {outcome.message}", markup=False, highlight=False)
    failures = failure_classes(outcomes)
    if failures and len(outcomes) > 1:
        console.print(_failure_table(failures), markup=False)
    console.print(f"{len(done)} of {len(outcomes)} CCDs done in {elapsed:.1f} s", markup=False, highlight=False)


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
