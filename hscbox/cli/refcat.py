"""`hscbox refcat build` and `hscbox refcat fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..refcat.fetch import Fetched, FetchRequest
    from ..refcat.sky import Cone

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Make reference catalogues: from a table, or from a service of the Virtual Observatory.",
)

_NAME = typer.Option("--name", help="Name of the catalogue, like ps1_pv3_3pi_20170110.")
_OUTPUT = typer.Option("--output", metavar="DIR", help="Directory of catalogues (ref_cats).")
_MAP = typer.Option("--map", metavar="MAP", help="Column map: ps1, gaia_dr3, or a TOML file.")


@app.command("build")
def build(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV, FITS or Parquet table.")],
    name: Annotated[str, _NAME],
    output: Annotated[Path, _OUTPUT],
    map_name: Annotated[str, _MAP] = "ps1",
    depth: Annotated[int, typer.Option("--depth", help="Depth of the HTM mesh.")] = 7,
) -> None:
    """Turn a table into the HTM shards that a run reads.

    Rows that cannot be used are counted and reported by reason.

    Example: `hscbox refcat build stars.csv --name ps1_mine --output ref_cats --map ps1`
    """
    from ..refcat.build import build_from_table
    from ..refcat.column_map import load_map

    built, report = build_from_table(table, output, name, load_map(map_name), depth)
    for line in (*report.lines(), built.line()):
        typer.echo(line)


@app.command("fetch")
def fetch(
    name: Annotated[str, _NAME],
    output: Annotated[Path, _OUTPUT],
    map_name: Annotated[str, _MAP],
    cone: Annotated[
        list[str] | None, typer.Option("--cone", metavar="RA,DEC,RADIUS", help="Circle in degrees; repeatable.")
    ] = None,
    repository: Annotated[
        Path | None, typer.Option("--repo", metavar="REPO", help="Input repository for --id.")
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="KEY=VALUE", help="Ingested visits whose field to cover, like visit=40984."),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="TAP service instead of the one in the map.")
    ] = None,
) -> None:
    """Download a region from a TAP service and make a catalogue of it.

    A download that broke off goes on when the same command is given again.

    Example: `hscbox refcat fetch --name gaia_dr3 --output ref_cats --map gaia_dr3 --cone 34.5,-5.2,0.9`
    """
    from ..machine.logs import configure_logging
    from ..refcat.column_map import load_map
    from ..refcat.fetch import FetchRequest

    configure_logging()
    cones = _cones(cone or [], repository, ids or [])
    request = FetchRequest(output, name, load_map(map_name), cones, url)
    for line in _with_progress(request).lines():
        typer.echo(line)


def _cones(texts: list[str], repository: Path | None, ids: list[str]) -> tuple[Cone, ...]:
    from ..errors import UsageError
    from ..refcat.sky import Cone

    if (repository is None) != (not ids):
        raise UsageError("--repo and --id go together", remedy="Example: --repo input --id visit=40984")
    found = tuple(Cone.parse(text) for text in texts)
    if repository is not None:
        from ..refcat.footprint import visit_cones

        found += visit_cones(repository, ids)
    if not found:
        raise UsageError("There is no region", remedy="Give --cone RA,DEC,RADIUS, or --repo REPO --id visit=N")
    return found


def _with_progress(request: FetchRequest) -> Fetched:
    """Show a bar on a terminal, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from ..refcat.fetch import Progress
    from ..refcat.fetch import fetch as run

    console = Console(stderr=True)
    columns = (TextColumn("parts"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[size]}"))
    with Bar(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("parts", total=None, size="")

        def changed(state: Progress) -> None:
            size = f"{state.received / 1e6:.1f} MB"
            bar.update(task, total=state.parts, completed=state.done, size=size)

        return run(request, progress=Progress(changed=changed))
