"""`hscbox ingest-calibs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..camera.calib_kinds import CALIB_KINDS
from .ingest_images import IngestMode

if TYPE_CHECKING:
    from ..butler.ingest_engine import IngestOptions

__all__ = ["ingest_calibs", "run_ingest_calibs"]


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
    mode: Annotated[
        IngestMode, typer.Option("--mode", help="How files come in; skip registers only.")
    ] = IngestMode.MOVE,
    calib_type: Annotated[
        str | None,
        typer.Option("--calib-type", "--calibType", help=f"{' or '.join(CALIB_KINDS)}, instead of the header's."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, do nothing.")] = False,
    create: Annotated[bool, typer.Option("--create", help="Begin a new registry; the old one is kept as ~1.")] = False,
    ignore_ingested: Annotated[
        bool, typer.Option("--ignore-ingested", help="Leave out frames that are registered.")
    ] = False,
    clobber: Annotated[bool, typer.Option("--clobber", help="Replace other files that are in the way.")] = False,
    config: Annotated[
        list[str] | None, typer.Option("-c", "--config", metavar="NAME=VALUE", help="Option of the 2017 ingest.")
    ] = None,
    processes: Annotated[int, typer.Option("-j", "--processes", min=1, help="Processes that read headers.")] = 1,
    report: Annotated[Path | None, typer.Option("--report", help="Write the report as JSON to this file.")] = None,
) -> None:
    """Bring master calibrations into the calibration directory and register when they are valid.

    Validity is computed anew for the filters and CCDs of these files only.

    Example: `hscbox ingest-calibs input masters/*.fits --calib CALIB --validity 180 --mode copy`
    """
    from ..butler.delivery import Mode
    from ..butler.ingest_engine import IngestOptions
    from .ingest_output import config_options

    options = IngestOptions(
        **{
            "mode": Mode(mode.value),
            "dry_run": dry_run,
            "create": create,
            "ignore_ingested": ignore_ingested,
            "clobber": clobber,
            "processes": processes,
            **config_options(config or ()),
        }
    )
    raise typer.Exit(run_ingest_calibs(repository, files, validity, calib, calib_type, options, report))


def run_ingest_calibs(
    repository: Path,
    files: list[str],
    validity: int,
    calib: Path | None,
    calib_type: str | None,
    options: IngestOptions,
    report_path: Path | None = None,
) -> int:
    """Ingest, print the report and return the exit status."""
    from ..butler.ingest_calibs import ingest_calibs as ingest
    from ..butler.paths import with_prefix
    from ..machine.logs import configure_logging
    from .ingest_output import print_report, progress_bar, write_report

    configure_logging()
    with progress_bar("ingesting") as progress:
        report = ingest(
            with_prefix(repository, "PIPE_INPUT_ROOT"),
            files,
            calib=None if calib is None else with_prefix(calib, "PIPE_CALIB_ROOT"),
            validity=validity,
            options=options,
            calib_type=calib_type,
            progress=progress,
        )
    print_report(report, options.dry_run)
    if report_path is not None:
        write_report(report, report_path)
    return int(report.exit_status)
