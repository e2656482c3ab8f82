"""`hscbox mount`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["mount"]


def mount(
    repository: Annotated[Path, typer.Argument(metavar="REPO", help="Directory to make an input repository.")],
    calib: Annotated[
        Path | None, typer.Option("--calib", metavar="DIR", help="Calibration directory; becomes the link CALIB.")
    ] = None,
    ref_cats: Annotated[
        Path | None,
        typer.Option("--ref-cats", metavar="DIR", help="Reference catalogues; becomes the link ref_cats."),
    ] = None,
) -> None:
    """Make an input repository: the file `_mapper`, and links to calibrations and reference catalogues.

    What is there already is left as it is. A link to something that does not exist yet is made with a warning.

    Example: `hscbox mount input --calib /data/CALIB --ref-cats /data/ref_cats`
    """
    from ..butler.mount import mount as make
    from ..pipeline.logs import configure_logging

    configure_logging()
    report = make(repository, calib, ref_cats)
    for name, state in report.entries.items():
        entry = report.root / name
        target = f" -> {entry.readlink()}" if entry.is_symlink() else ""
        typer.echo(f"{state:9} {entry}{target}")
