"""`hscbox export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..catalog.source_catalog import SourceCatalog
    from ..image.photo_calib import PhotoCalib

__all__ = ["export"]


def export(
    catalog: Annotated[Path, typer.Argument(help="Catalogue file: SRC, ICSRC, SRCMATCH...")],
    output: Annotated[Path, typer.Argument(help="File to write; its ending (.csv, .parquet, .reg) says the format.")],
    exposure: Annotated[
        Path | None,
        typer.Option("--exposure", help="CORR file whose zero point adds AB magnitude columns."),
    ] = None,
) -> None:
    """Write a source catalogue as CSV, Parquet or DS9 regions, with AB magnitudes if the exposure is given.

    Example: `hscbox export SRC-0040984-055.fits src.csv --exposure CORR-0040984-055.fits`
    """
    from ..errors import MissingInputError, UsageError
    from ..products.catalog import read_catalog
    from ..products.export import export_csv, export_ds9, export_parquet
    from ..products.exposure import read_exposure

    writers: dict[str, Callable[[Path, SourceCatalog, PhotoCalib | None], None]] = {
        ".csv": export_csv,
        ".parquet": export_parquet,
        ".reg": export_ds9,
    }
    if output.suffix not in writers:
        raise UsageError(f"Unknown ending '{output.suffix}' of {output}, allowed are {', '.join(writers)}")
    sources = read_catalog(catalog, footprints=False)
    photo_calib = None
    if exposure is not None:
        photo_calib = read_exposure(exposure).photo_calib
        if photo_calib is None:
            raise MissingInputError(
                f"{exposure} has no zero point (FLUXMAG0): its calibration failed, and no magnitudes follow",
                remedy="Leave out --exposure for instrumental fluxes, or process the CCD again",
            )
    writers[output.suffix](output, sources, photo_calib)
    typer.echo(f"{len(sources)} rows written to {output}")
