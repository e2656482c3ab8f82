"""`hscbox ingest-images` and `hscbox ingest-calibs`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..camera.calib_kinds import CALIB_KINDS

__all__ = ["ingest_calibs", "ingest_images"]


class IngestMode(StrEnum):
    """How files come into the repository."""

    LINK = "link"
    COPY = "copy"
    MOVE = "move"
    SKIP = "skip"


_Mode = Annotated[IngestMode, typer.Option("--mode", help="How files come in; skip registers only.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, do nothing.")]
_Create = Annotated[bool, typer.Option("--create", help="Begin a new registry; the old one is kept as ~1.")]
_Clobber = Annotated[bool, typer.Option("--clobber", help="Replace other files that are in the way.")]
_Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", metavar="NAME=VALUE", help="Option of the 2017 ingest.")
]
_Processes = Annotated[int, typer.Option("-j", "--processes", min=1, help="Processes that read headers; one writes.")]
_Report = Annotated[Path | None, typer.Option("--report", help="Write the report as JSON to this file.")]


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
    mode: _Mode = IngestMode.LINK,
    dry_run: _DryRun = False,
    create: _Create = False,
    ignore_ingested: Annotated[
        bool, typer.Option("--ignore-ingested", help="Leave out files whose visit and ccd are registered.")
    ] = False,
    clobber: _Clobber = False,
    bad_file: Annotated[
        list[str] | None,
        typer.Option("--bad-file", "--badFile", metavar="PATTERN", help="Base names to leave out; repeatable."),
    ] = None,
    bad_id: Annotated[
        list[str] | None,
        typer.Option("--bad-id", "--badId", metavar="'K=V ...'", help="Data id to leave out; repeatable."),
    ] = None,
    config: _Config = None,
    processes: _Processes = 1,
    report: _Report = None,
) -> None:
    """Link raw frames into a repository and register them.

    Files that are in already count as unchanged. Exit status 4 means that some files were refused; the others
    are in.

    Example: `hscbox ingest-images input /data/raw/HSCA04098410.fits`
    """
    from ..butler.ingest import ingest_images as ingest
    from .ingest_output import ingest_options, run_ingest

    options = ingest_options(
        mode.value,
        config or (),
        dry_run=dry_run,
        create=create,
        ignore_ingested=ignore_ingested,
        clobber=clobber,
        bad_files=tuple(bad_file or ()),
        bad_ids=tuple(tuple(words.split()) for words in bad_id or ()),
        processes=processes,
    )
    raise typer.Exit(run_ingest(ingest, repository, files, options, report))


def ingest_calibs(
    repository: Annotated[Path, typer.Argument(metavar="REPO", help="Repository that uses the calibrations.")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="Master bias, dark, flat and fringe frames; as for ingest-images."),
    ],
    validity: Annotated[
        int, typer.Option("--validity", metavar="DAYS", help="Days before and after its date that a frame is valid.")
    ],
    calib: Annotated[
        Path | None,
        typer.Option("--calib", metavar="DIR", help="Calibration directory to fill; by default REPO/CALIB."),
    ] = None,
    mode: _Mode = IngestMode.MOVE,
    calib_type: Annotated[
        str | None,
        typer.Option("--calib-type", "--calibType", help=f"{' or '.join(CALIB_KINDS)}, instead of the header's."),
    ] = None,
    dry_run: _DryRun = False,
    create: _Create = False,
    ignore_ingested: Annotated[
        bool, typer.Option("--ignore-ingested", help="Leave out frames that are registered.")
    ] = False,
    clobber: _Clobber = False,
    config: _Config = None,
    processes: _Processes = 1,
    report: _Report = None,
) -> None:
    """Bring master calibrations into the calibration directory and register when they are valid.

    Validity is computed anew for the filters and CCDs of these files only.

    Example: `hscbox ingest-calibs input masters/*.fits --calib CALIB --validity 180 --mode copy`
    """
    from .ingest_output import ingest_options, run_ingest_calibs

    options = ingest_options(
        mode.value,
        config or (),
        dry_run=dry_run,
        create=create,
        ignore_ingested=ignore_ingested,
        clobber=clobber,
        processes=processes,
    )
    raise typer.Exit(run_ingest_calibs(repository, files, validity, calib, calib_type, options, report))
