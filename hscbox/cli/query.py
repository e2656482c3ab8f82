"""`hscbox query`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..butler.butler import Butler
    from ..butler.data_id import DataId

__all__ = ["query"]


class OutputFormat(StrEnum):
    """How results are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def query(
    repository: Annotated[Path, typer.Argument(metavar="REPO", help="Input or output repository.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Further words of the data id.")
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="KEY=VALUE", help="Data id such as visit=40984 ccd=0..9^50; repeat it quoted."),
    ] = None,
    output_format: Annotated[OutputFormat, typer.Option("--format", help="How to print.")] = OutputFormat.TABLE,
    completeness: Annotated[
        bool, typer.Option("--completeness", help="Per visit: how many CCDs are registered, which are missing.")
    ] = False,
) -> None:
    """List the exposures that are registered in a repository.

    Exit status 4 means that nothing matches.

    Example: `hscbox query input --id visit=40984 ccd=50..55 --format csv`
    """
    from ..butler.butler import Butler
    from ..butler.data_id import parse_ids
    from .ingest_output import completeness_rows

    data_ids = parse_ids(_words_of_ids(ids or [], words or []))
    butler = Butler(inputs=repository, quiet=True)
    rows = _exposures(butler, data_ids)
    _print(completeness_rows(butler.completeness(data_ids)) if completeness else rows, output_format)


def _words_of_ids(ids: list[str], words: list[str]) -> list[list[str]]:
    """Return the words of each `--id`; free words belong to the only one."""
    from ..errors import UsageError

    if len(ids) > 1 and words:
        raise UsageError(
            f"It is not clear which --id '{words[0]}' belongs to", remedy="Quote them: --id 'visit=1 ccd=2'"
        )
    split = [text.split() for text in ids] or [[]]
    split[0] = split[0] + words
    return split


def _exposures(butler: Butler, data_ids: list[DataId]) -> list[dict[str, Any]]:
    """Return what matches any of the ids; ids without match are no error as long as another has one."""
    from ..errors import UnknownDataIdError

    found: dict[tuple[object, object], dict[str, Any]] = {}
    failures: list[UnknownDataIdError] = []
    for data_id in data_ids:
        try:
            rows = butler.exposures(data_id)
        except UnknownDataIdError as error:
            failures.append(error)
            continue
        for row in rows:
            found.setdefault((row.get("visit"), row.get("ccd")), row)
    if failures and not found:
        raise failures[0]
    return list(found.values())


def _print(rows: list[dict[str, Any]], output_format: OutputFormat) -> None:
    import csv
    import json
    import sys

    from .ingest_output import printable

    names = list(dict.fromkeys(name for row in rows for name in row))
    if output_format is OutputFormat.JSON:
        typer.echo(json.dumps(rows, indent=1))
    elif output_format is OutputFormat.CSV:
        writer = csv.DictWriter(sys.stdout, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: printable(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows)
    else:
        _print_table(names, rows)


def _print_table(names: list[str], rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .ingest_output import printable

    console = Console()
    # Into a pipe every column is wanted whole; on a terminal the long tail of columns would only be squeezed.
    if console.is_terminal:
        names = names[:9]
    else:
        console = Console(width=max(80, 24 * len(names)))
    table = Table(*names)
    for row in rows:
        table.add_row(*(Text(printable(str(row.get(name, "")))) for name in names))
    console.print(table)
