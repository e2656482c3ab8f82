"""The files that a user named: paths, patterns, directories, lists in files and on standard input."""

from __future__ import annotations

import fnmatch
import glob
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import MissingInputError

__all__ = ["is_bad_file", "listed_files"]

ENDINGS = (".fits", ".fits.gz", ".fits.fz")


def listed_files(arguments: Iterable[str], logger: logging.Logger) -> Iterator[str]:
    """Yield the path of every file that is meant, as it was typed.

    An argument is a file; a pattern, if no file has that very name; a directory, which is the only case in which
    one is listed; `@NAME`, a text file with one path per line (blank lines and `#` comments are left out); or `-`
    for such lines on standard input. Lists are read line by line: their length does not matter.

    Raises
    ------
    MissingInputError
        The file of an `@NAME` cannot be read.
    """
    for argument in arguments:
        if argument == "-":
            yield from _lines(sys.stdin)
        elif argument.startswith("@") and not os.path.lexists(argument):
            yield from _from_list(Path(argument[1:]))
        elif os.path.lexists(argument):
            yield from _in_directory(argument) if Path(argument).is_dir() else (argument,)
        elif glob.has_magic(argument):
            # Sorted, since the order decides which row numbers are given.
            matched = sorted(glob.glob(argument))  # noqa: PTH207  (paths stay as typed)
            if not matched:
                logger.warning("%s doesn't match any file", argument)
            yield from matched
        else:
            yield argument


def _lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            yield text


def _from_list(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as stream:
            yield from _lines(stream)
    except OSError as error:
        raise MissingInputError(f"Cannot read the list of files {path}: {error.strerror or error}") from error


def _in_directory(directory: str) -> Iterator[str]:
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(ENDINGS))
    for name in names:
        yield os.path.join(directory, name)  # noqa: PTH118  (paths stay as typed, and this is the fast way)


def is_bad_file(path: str, patterns: Iterable[str]) -> bool:
    """Return whether the base name of `path` matches one of the patterns of files to leave out."""
    name = path.rpartition("/")[2]
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
