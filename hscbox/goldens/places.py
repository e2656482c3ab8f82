"""Where scene definitions and goldens stand."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from ..errors import MissingInputError

__all__ = ["golden_path", "scene_directory", "testdata_directory"]

_PACKAGE = Path(__file__).resolve().parents[1]


def testdata_directory(given: Path | None = None) -> Path:
    """Return the directory with ``scenes/`` and ``goldens/``.

    That is `given`, else ``testdata`` beside the package in a checkout, else ``share/hscbox/testdata`` of the
    installation.

    Raises
    ------
    MissingInputError
        None of them holds scenes.
    """
    shares = dict.fromkeys([sys.prefix, sysconfig.get_path("data")])
    candidates = [_PACKAGE.parent / "testdata", *(Path(root) / "share" / "hscbox" / "testdata" for root in shares)]
    if given is not None:
        candidates = [given]
    for directory in candidates:
        if scene_directory(directory).is_dir():
            return directory
    raise MissingInputError(
        f"No scene definitions in {' or '.join(str(path) for path in candidates)}",
        remedy="Give --testdata DIR with the directories scenes and goldens, or install hscbox with its data files",
    )


def scene_directory(testdata: Path) -> Path:
    """Return where the scene definitions stand."""
    return testdata / "scenes"


def golden_path(testdata: Path, scene: str) -> Path:
    """Return where the golden of a scene stands."""
    return testdata / "goldens" / f"{scene}.json"
