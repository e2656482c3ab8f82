"""`hscbox simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simulate"]


def simulate(
    directory: Annotated[Path, typer.Argument(help="Directory for raw/, CALIB/, ref_cats/ and truth/.")],
    visit: Annotated[int, typer.Option(help="Visit number, even.")] = 40984,
    ccd: Annotated[list[int] | None, typer.Option(help="CCD, 0 to 111; may be given again. [default: 55]")] = None,
    filter_name: Annotated[
        str, typer.Option("--filter", help="Filter: HSC-G, HSC-R, HSC-I, HSC-Z, HSC-Y...")
    ] = "HSC-R",
    seed: Annotated[int, typer.Option(min=0, help="Number of the synthetic sky and camera.")] = 1,
    rows: Annotated[int, typer.Option(help="Exposed rows, 64 to 4176; fewer make a quick cut-out.")] = 4176,
    exptime: Annotated[float, typer.Option(help="Exposure time in seconds.")] = 300.0,
    date: Annotated[str, typer.Option(help="Date of the exposure, YYYY-MM-DD.")] = "2015-10-10",
    seeing: Annotated[float, typer.Option(help="FWHM of the stars in arcseconds.")] = 0.52,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave an effect out, like cosmic_rays; may be given again.")
    ] = None,
    scene_files: Annotated[
        list[Path] | None,
        typer.Option("--scene", help="JSON file with a scene (or a list of them) instead of the options above."),
    ] = None,
) -> None:
    """Make synthetic raw frames with all that is needed to reduce them, and the truth to compare with.

    Example: `hscbox simulate sim` makes visit 40984 CCD 55: 300 s in r with 0.52 arcsec seeing.
    """
    from ..simulate.dataset import write_dataset
    from ..simulate.effects import Effects
    from ..simulate.scene import Scene, read_scenes

    if scene_files:
        scenes = [scene for path in scene_files for scene in read_scenes(path)]
    else:
        effects = Effects().without(*(without or []))
        scenes = [
            Scene(
                visit=visit,
                ccd=number,
                filter=filter_name,
                seed=seed,
                rows=rows,
                exposure_time=exptime,
                date=date,
                seeing=seeing,
                effects=effects,
            )
            for number in (ccd or [55])
        ]
    for path in write_dataset(directory, scenes):
        typer.echo(str(path))
