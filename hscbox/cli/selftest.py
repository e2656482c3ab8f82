"""`hscbox selftest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["selftest"]


def selftest(
    testdata: Annotated[Path | None, typer.Option("--testdata", help="Directory with scenes/ and goldens/.")] = None,
) -> None:
    """Prove this installation: make, process and check a small frame; exit with 3 if it fails.

    Takes less than a minute, and another one the first time, if loops have to be compiled. Offline; writes only below
    TMPDIR. Example: `hscbox selftest`
    """
    from ..errors import ConfigError, GoldenMismatchError
    from ..goldens.check import check_scene
    from ..goldens.golden import read_golden
    from ..goldens.places import golden_path, testdata_directory
    from ..goldens.scenes import read_scenes
    from .regress_output import print_check, working_directory

    place = testdata_directory(testdata)
    scenes = [scene for scene in read_scenes(place) if scene.selftest]
    if not scenes:
        raise ConfigError(f"No scene in {place} is marked selftest", remedy="Write selftest = true into one")
    with working_directory(None, None, None, ()) as work:
        checks = [check_scene(scene, read_golden(golden_path(place, scene.name)), work) for scene in scenes]
    for result in checks:
        print_check(result)
    if not all(result.passed for result in checks):
        raise GoldenMismatchError("FAIL", remedy="This installation does not produce what it must; see the table")
    seconds = sum(sum(result.run.seconds.values()) for result in checks)
    typer.echo(f"PASS at the {checks[0].level} level in {seconds:.0f} s")
