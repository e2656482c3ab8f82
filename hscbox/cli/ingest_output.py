"""What the two ingest commands share: options of the original's configuration, progress bar, and the report."""

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
    from ..butler.ingest_report import IngestReport, VisitCompleteness

__all__ = ["completeness_rows", "config_options", "print_report", "printable", "progress_bar", "write_report"]

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


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int], None] | None]:
    """Show a count and rate on standard error for the block, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda count: bar.update(task, advance=count)


def print_report(report: IngestReport, dry_run: bool = False) -> None:
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
        console.print(completeness_table(report.completeness))


def _plain(text: str) -> Any:
    from rich.text import Text

    # Headers are written by strangers: no markup, no control characters.
    return Text(printable(text))


def printable(text: str) -> str:
    """Return a text with question marks for the control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


def completeness_table(visits: list[VisitCompleteness]) -> Any:
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

    return [
        {
            "visit": visit.visit,
            "filter": visit.filter,
            "field": visit.field,
            "science": visit.science,
            "focus": visit.focus,
            "missing": compact_numbers(visit.missing),
        }
        for visit in visits
    ]


def write_report(report: IngestReport, path: Path) -> None:
    """Write the report as JSON."""
    from ..machine.files import write_bytes

    write_bytes(path, (json.dumps(asdict(report), indent=1, sort_keys=True) + "\n").encode())
