"""`hscbox ingest-images`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..butler.ingest_engine import IngestOptions

__all__ = ["IngestMode", "ingest_images", "run_ingest_images"]


class IngestMode(StrEnum):
    """How files come into the repository."""

    LINK = "link"
    COPY = "copy"
    MOVE = "move"
    SKIP = "skip"


def ingest_images(
    repository: Annotated[Path, typer.Argument(metavar="REPO", help="Input repository (made with hscbox mount).")],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...",
            help="Raw frames (.fits, .fits.gz, .fits.fz): paths, quoted patterns, directories, "
            "@FILE with one path per line, or - for such lines on standard input.",
        ),
    ],
    mode: Annotated[
        IngestMode, typer.Option("--mode", help="How files come in; skip registers only.")
    ] = IngestMode.LINK,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, do nothing.")] = False,
    create: Annotated[bool, typer.Option("--create", help="Begin a new registry; the old one is kept as ~1.")] = False,
    ignore_ingested: Annotated[
        bool, typer.Option("--ignore-ingested", help="Leave out files whose visit and ccd are registered.")
    ] = False,
    clobber: Annotated[bool, typer.Option("--clobber", help="Replace other files that are in the way.")] = False,
    bad_file: Annotated[
        list[str] | None,
        typer.Option("--bad-file", "--badFile", metavar="PATTERN", help="Base names to leave out; repeatable."),
    ] = None,
    bad_id: Annotated[
        list[str] | None,
        typer.Option("--bad-id", "--badId", metavar="'K=V ...'", help="Data id to leave out; repeatable."),
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option("-c", "--config", metavar="NAME=VALUE", help="Option of the 2017 ingest.")
    ] = None,
    processes: Annotated[
        int, typer.Option("-j", "--processes", min=1, help="Processes that read headers; one writes.")
    ] = 1,
    report: Annotated[Path | None, typer.Option("--report", help="Write the report as JSON to this file.")] = None,
) -> None:
    """Link raw frames into a repository and register them.

    Files that are in already count as unchanged. Exit status 4 means that some files were refused; the others
    are in.

    Example: `hscbox ingest-images input /data/raw/HSCA04098410.fits`
    """
    from ..butler.ingest_engine import IngestOptions
    from .ingest_output import config_options

    options = IngestOptions(
        **{
            "mode": _mode(mode),
            "dry_run": dry_run,
            "create": create,
            "ignore_ingested": ignore_ingested,
            "clobber": clobber,
            "bad_files": tuple(bad_file or ()),
            "bad_ids": tuple(tuple(words.split()) for words in bad_id or ()),
            "processes": processes,
            **config_options(config or ()),
        }
    )
    raise typer.Exit(run_ingest_images(repository, files, options, report))


def _mode(mode: IngestMode) -> object:
    from ..butler.delivery import Mode

    return Mode(mode.value)


def run_ingest_images(
    repository: Path, files: list[str], options: IngestOptions, report_path: Path | None = None
) -> int:
    """Ingest, print the report and return the exit status."""
    from ..butler.ingest import ingest_images as ingest
    from ..butler.paths import with_prefix
    from ..machine.logs import configure_logging
    from .ingest_output import print_report, progress_bar, write_report

    configure_logging()
    with progress_bar("ingesting") as progress:
        report = ingest(with_prefix(repository, "PIPE_INPUT_ROOT"), files, options, progress=progress)
    print_report(report, options.dry_run)
    if report_path is not None:
        write_report(report, report_path)
    return int(report.exit_status)
