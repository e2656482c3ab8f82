"""How the paths on a command line become places on disk: prefix variables and reruns."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError

__all__ = ["absolute", "rerun_paths", "with_prefix"]


def absolute(path: Path | str) -> Path:
    """Return `path` absolute and without `..`, symbolic links kept as they were given."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (Path.resolve would follow links)


def with_prefix(path: Path | str, variable: str) -> Path:
    """Return `path` absolute, a relative one below the directory that an environment variable names.

    The variables are `PIPE_INPUT_ROOT`, `PIPE_OUTPUT_ROOT` and `PIPE_CALIB_ROOT`.
    """
    return absolute(Path(os.environ.get(variable, "")) / path)


def rerun_paths(root: Path, rerun: str) -> tuple[Path, Path]:
    """Return input and output repository of `--rerun [IN:]OUT` below the repository `root`.

    Raises
    ------
    UsageError
        There is more than one colon, or an empty name.
    """
    names = rerun.split(":")
    if len(names) > 2 or not all(names):
        raise UsageError(f"Bad --rerun '{rerun}'; it must be OUT or IN:OUT")
    output = absolute(root / "rerun" / names[-1])
    if len(names) == 2:
        return absolute(root / "rerun" / names[0]), output
    parent = output / "_parent"
    return (Path(os.path.realpath(parent)) if parent.exists() else absolute(root)), output
