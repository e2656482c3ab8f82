"""`hscbox regress check` and `hscbox regress accept`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["regress"]

regress = typer.Typer(
    no_args_is_help=True,
    help="Compare golden scenes with what they must produce; accept what they produce now.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Scenes = Annotated[list[str] | None, typer.Argument(metavar="[SCENE]...", help="Scenes. [default: all]")]
_Testdata = Annotated[Path | None, typer.Option("--testdata", help="Directory with scenes/ and goldens/.")]
_Keep = Annotated[Path | None, typer.Option("--keep", help="Make the scenes in this directory and leave them there.")]
_Again = Annotated[
    Path | None, typer.Option("--again", help="Run nothing: take what an earlier --keep left in this directory.")
]


@regress.command()
def check(
    scenes: _Scenes = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything compared to this file.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    keep: _Keep = None,
    again: _Again = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", help="Directory of another --keep run, for a FITS diff of every pixel and cell."),
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option("--config", "-c", metavar="NAME=VALUE", help="Process with this override, to see what it does."),
    ] = None,
    testdata: _Testdata = None,
) -> None:
    """Make the golden scenes offline, process them, and compare files, bytes and numbers; exit with 3 on a mismatch.

    Example: `hscbox regress check --junit regress.xml`
    """
    from ..errors import HscboxError
    from ..goldens.check import SceneCheck, check_scene
    from ..goldens.failures import SceneFailure, verdict
    from ..goldens.golden import read_golden
    from ..goldens.places import golden_path, testdata_directory
    from ..goldens.report import write_json, write_junit
    from ..goldens.scenes import read_scenes
    from .regress_output import print_check, print_failure, working_directory

    place = testdata_directory(testdata)
    definitions = read_scenes(place, scenes or ())
    checks: list[SceneCheck | SceneFailure] = []
    with working_directory(keep, again, reference, tuple(config or ())) as work:
        for scene in definitions:
            try:
                result = check_scene(scene, read_golden(golden_path(place, scene.name)), work)
            except HscboxError as error:
                # The other scenes have something to say all the same.
                failure = SceneFailure(scene.name, scene.title, error)
                checks.append(failure)
                print_failure(failure)
                continue
            checks.append(result)
            print_check(result)
    if json_file is not None:
        write_json(json_file, checks)
    if junit is not None:
        write_junit(junit, checks)
    wrong = verdict(checks)
    if wrong is not None:
        raise wrong


@regress.command()
def accept(
    reason: Annotated[str, typer.Option("--reason", help="Why the products changed; kept in the golden.")],
    scenes: _Scenes = None,
    keep: _Keep = None,
    again: _Again = None,
    testdata: _Testdata = None,
) -> None:
    """Make the scenes and write what they produce as their goldens, if the generator's truth allows it.

    Example: `hscbox regress accept crowded --reason "Aperture corrections from isolated stars only"`
    """
    from ..errors import UsageError
    from ..goldens.accept import accept_scene
    from ..goldens.places import testdata_directory
    from ..goldens.scenes import read_scenes
    from .regress_output import check_writable, print_change, working_directory

    if not reason.strip():
        raise UsageError("The reason is empty", remedy='Say why the products changed: --reason "..."')
    place = testdata_directory(testdata)
    check_writable(place)
    definitions = read_scenes(place, scenes or ())
    with working_directory(keep, again, None, ()) as work:
        for scene in definitions:
            print_change(accept_scene(scene, place, work, reason.strip()))
