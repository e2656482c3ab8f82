"""What the ingest commands share, new and classic: options, the run with its progress bar, and the report."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..butler.ingest_engine import IngestOptions
    from ..butler.ingest_report import IngestReport, VisitCompleteness

__all__ = [
    "completeness_rows",
    "config_options",
    "ingest_options",
    "printable",
    "run_ingest",
    "run_ingest_calibs",
]

_MAX_ROWS = 50
# Octal with a leading zero, else decimal; nine digits are more than any mode has.
_MODE = re.compile(r"0o?[0-7]{1,9}|[1-9][0-9]{0,8}|0")


def config_options(overrides: Iterable[str]) -> dict[str, Any]:
    """Translate `-c name=value` of the original's ingest into fields of `IngestOptions`.

    Raises
    ------
    ConfigError
        The name or the value is not known.
    """
    from ..errors import ConfigError

    booleans = {"True": True, "False": False}
    options: dict[str, Any] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if name in {"clobber", "register.ignore", "allowError"} and text in booleans:
            # Repeated ingest is harmless here, and one bad file never stops the others: nothing to set for these two.
            if name == "clobber":
                options["clobber"] = booleans[text]
        elif name == "register.permissions" and _MODE.fullmatch(text):
            options["permissions"] = int(text, 8) if text.startswith("0") else int(text)
        else:
            allowed = "clobber, register.ignore, allowError (True or False) and register.permissions (e.g. 0o664)"
            problem = f"'{override}'" if equals else f"'{override}' without '='"
            raise ConfigError(f"Cannot apply {problem}; known are {allowed}")
    return options


def ingest_options(mode: str, config: Iterable[str], **given: Any) -> IngestOptions:
    """Return how to ingest: fields of `IngestOptions`, over which `-c` wins.

    Raises
    ------
    ConfigError, UsageError
        A name or a value is not known, or makes no sense.
    """
    from ..butler.delivery import Mode
    from ..butler.ingest_engine import IngestOptions

    return IngestOptions(**{"mode": Mode(mode), **given, **config_options(config)})


def run_ingest(
    ingest: Callable[..., IngestReport],
    repository: Path,
    files: list[str],
    options: IngestOptions,
    report_path: Path | None = None,
    **more: Any,
) -> int:
    """Ingest, print the report, write it to a file if one is given, and return the exit status.

    Parameters
    ----------
    ingest
        `ingest_images` or `ingest_calibs` of the butler.
    more
        What else it takes.
    """
    from ..butler.paths import with_prefix
    from ..machine.files import write_bytes
    from ..machine.logs import configure_logging

    configure_logging()
    with _progress_bar() as progress:
        report = ingest(with_prefix(repository, "PIPE_INPUT_ROOT"), files, options=options, progress=progress, **more)
    _print_report(report, options.dry_run)
    if report_path is not None:
        write_bytes(report_path, (json.dumps(asdict(report), indent=1, sort_keys=True) + "\n").encode())
    return int(report.exit_status)


def run_ingest_calibs(
    repository: Path,
    files: list[str],
    validity: int,
    calib: Path | None,
    calib_type: str | None,
    options: IngestOptions,
    report_path: Path | None = None,
) -> int:
    """Ingest calibrations as `run_ingest` does."""
    from ..butler.ingest_calibs import ingest_calibs
    from ..butler.paths import with_prefix

    root = None if calib is None else with_prefix(calib, "PIPE_CALIB_ROOT")
    more = {"calib": root, "validity": validity, "calib_type": calib_type}
    return run_ingest(ingest_calibs, repository, files, options, report_path, **more)


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[int], None] | None]:
    """Show a count and rate on standard error for the block, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("ingesting", total=None)
        yield lambda count: bar.update(task, advance=count)


def _print_report(report: IngestReport, dry_run: bool) -> None:
    """Print counts, refused files and the completeness of the visits on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    verb = "would be ingested" if dry_run else "ingested"
    counts = [f"{report.ingested} {verb}", f"{report.unchanged} unchanged", f"{report.refused_count} refused"]
    if report.adopted:
        counts.insert(1, f"{report.adopted} of them were in place already")
    if report.skipped:
        counts.append(f"{report.skipped} left out")
    if report.warnings:
        counts.append(f"{report.warnings} warnings")
    console.print(", ".join(counts), highlight=False)
    if report.refused:
        table = Table("File", "Reason", title="Refused files", title_justify="left")
        for refused in report.refused[:_MAX_ROWS]:
            table.add_row(_plain(refused.path), _plain(refused.reason))
        console.print(table)
        if report.refused_count > _MAX_ROWS:
            console.print(f"... and {report.refused_count - _MAX_ROWS} more; --report FILE writes them all")
    if report.completeness:
        console.print(_completeness_table(report.completeness))


def _plain(text: str) -> Any:
    from rich.text import Text

    # Headers are written by strangers: no markup, no control characters.
    return Text(printable(text))


def printable(text: str) -> str:
    """Return a text with question marks for the control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _completeness_table(visits: list[VisitCompleteness]) -> Any:
    """Return a table of the CCDs that are registered for each visit, with the missing ones."""
    from rich.table import Table

    table = Table(title="CCDs per visit", title_justify="left")
    for name in ("visit", "filter", "field"):
        table.add_column(name)
    table.add_column("science of 104", justify="right")
    table.add_column("focus of 8", justify="right")
    table.add_column("missing")
    for row in completeness_rows(visits[:_MAX_ROWS]):
        table.add_row(*(_plain(str(value)) for value in row.values()))
    if len(visits) > _MAX_ROWS:
        table.caption = f"... and {len(visits) - _MAX_ROWS} more visits: hscbox query REPO --completeness"
    return table


def completeness_rows(visits: Iterable[VisitCompleteness]) -> list[dict[str, object]]:
    """Return the completeness of visits with the missing CCDs in the syntax of `--id`."""
    from ..butler.ingest_report import compact_numbers

    return [{**asdict(visit), "missing": compact_numbers(visit.missing)} for visit in visits]
