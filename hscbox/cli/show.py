"""`hscbox show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..camera.calib_kinds import CALIB_KINDS

__all__ = ["show"]


def show(
    repository: Annotated[
        Path, typer.Argument(metavar="REPO", help="Output repository; for raws and calibrations also an input.")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Further words of the data id.")
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="KEY=VALUE", help="Data id of one CCD: visit=40984 ccd=55.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help=f"calexp, postISRCCD, raw, {', '.join(CALIB_KINDS)}; default calexp, else raw."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="STEP", help="Instead: before, after and difference of a step, e.g. Bias."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="PNG file to write; default DATASET-VISIT-CCD.png here.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="X0,Y0,WIDTH,HEIGHT", help="A part, at full resolution.")
    ] = None,
    mask: Annotated[
        str | None, typer.Option("--mask", metavar="PLANES", help="Mask planes drawn: CR,SAT or all or none.")
    ] = None,
    sources: Annotated[
        bool | None, typer.Option("--sources/--no-sources", help="Mark the sources; default for calexp.")
    ] = None,
) -> None:
    """Draw a CCD with its mask and sources, or what one step of the reduction did to it.

    Example: `hscbox show output --id visit=40984 ccd=55 --region 900,1200,300,200`
    """
    from ..butler.data_id import parse_ids
    from ..errors import UsageError
    from ..machine.files import write_bytes
    from ..pictures.show import Request
    from ..pictures.show import show as draw

    data_ids = parse_ids([" ".join([*(ids or []), *(words or [])]).split()])
    if len(data_ids) != 1:
        raise UsageError(f"The data id stands for {len(data_ids)} CCDs; a picture shows one")
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(f"Unknown ending '{output.suffix}' of {output}, allowed is .png")
    picture = draw(repository, data_ids[0], Request(dataset, compare, mask, sources, region))
    path = output if output is not None else Path(picture.name)
    write_bytes(path, picture.png)
    for note in picture.notes:
        typer.echo(note)
    typer.echo(f"written to {path}")
