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
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="NAME", help="Site whose calibrations and reference catalogues are linked."),
    ] = None,
) -> None:
    """Make an input repository: the file `_mapper`, and links to calibrations and reference catalogues.

    What is there already is left as it is. A link to something that does not exist yet is made with a warning.

    Example: `hscbox mount input --calib /data/CALIB --ref-cats /data/ref_cats`, or `hscbox mount input --site ccin2p3`
    """
    from ..butler.mount import mount as make
    from ..machine.logs import configure_logging

    configure_logging()
    if site is not None:
        calib, ref_cats = _of_site(site, calib, ref_cats)
    report = make(repository, calib, ref_cats)
    for name, state in report.entries.items():
        entry = report.root / name
        target = f" -> {entry.readlink()}" if entry.is_symlink() else ""
        typer.echo(f"{state:9} {entry}{target}")


def _of_site(name: str, calib: Path | None, ref_cats: Path | None) -> tuple[Path, Path]:
    """Return the directories to link: those given, else those of the site."""
    from ..errors import ConfigError
    from ..site.profile import expanded
    from ..site.sources import load_profile

    repository = load_profile(name).repository
    found = []
    for option, given, known in (
        ("calib", calib, repository.calib),
        ("ref_cats", ref_cats, repository.ref_cats),
    ):
        place = given or (expanded(known) if known else None)
        if place is None:
            raise ConfigError(
                f"Site '{name}' does not say where its {option} directory is",
                remedy=f"Give --{option.replace('_', '-')} DIR, or set repository.{option} in the profile",
            )
        found.append(place)
    return found[0], found[1]
