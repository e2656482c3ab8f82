"""Files that killed processes left: temporary siblings of products, copies on their way, journals of registries."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ...butler.calib_registry import CALIB_REGISTRY_NAME
from ...butler.paths import absolute
from ...butler.registry import REGISTRY_NAME
from ...runs.store import records_root
from ..finding import Context, Finding, State
from ..links import leaf_directories

__all__ = ["check_temporaries", "is_temporary_name", "stale_files"]

# `.name-8characters.suffix` of the one writer of files, with what it writes into repositories; `.name-8characters` and
# `.name-pid` of the ingest; and the probe of locks. Nothing else may match: the user is told to remove it.
_NAME = re.compile(
    r"\.(?:"
    r".+-[a-z0-9_]{8}\.(?:fits|png|boost)"
    r"|(?:run|\d+-\d+)-[a-z0-9_]{8}\.json"
    r"|(?:packages-[a-z0-9_]{8}\.pickle|processCcd-[a-z0-9_]{8}\.py|repositoryCfg-[a-z0-9_]{8}\.yaml)(?:~1)?"
    r"|_mapper-[a-z0-9_]{8}"
    r"|.+\.fits(?:\.gz|\.fz)?-(?:[a-z0-9_]{8}|\d+)"
    r"|hscbox-lock-[a-z0-9_]{8}\.sqlite3(?:-journal)?"
    r")"
)
# What stood at the destination while the ingest replaced it.
_SET_ASIDE = re.compile(r"\.(.+\.fits(?:\.gz|\.fz)?)-\d+")
# Where `hscbox refcat` builds a catalogue.
_ROOM = re.compile(r"\..+\.building-[a-z0-9_]+")
_MOST_DIRECTORIES = 2000
_MOST_ENTRIES = 5000
_SHOWN = 5
# No step of a run keeps a temporary file longer; a younger one may belong to a process that is alive.
_HOUR = 3600.0


def is_temporary_name(name: str) -> bool:
    """Return whether a file has the name of a temporary of ours."""
    return _NAME.fullmatch(name) is not None


def check_temporaries(context: Context) -> Iterator[Finding]:
    """Look for what killed processes left in the repository."""
    if context.repository is None or not context.repository.is_dir():
        return
    root = absolute(context.repository)
    yield from _journals(root)
    found, directories = stale_files(root, time.time() - _HOUR)
    scope = f"{directories} directories looked at"
    last = [path for path in found if not os.path.lexists(_original(path))]
    for path in last[:_SHOWN]:
        original = _original(path)
        yield Finding(
            "temporaries",
            State.WARN,
            f"{path} is the last copy of {original.name}, which a killed ingest was replacing",
            f"When no run is going on: mv {shlex.quote(str(path))} {shlex.quote(str(original))}"
            + (f"; then hscbox doctor again, for {len(last) - _SHOWN} more" if len(last) > _SHOWN else ""),
        )
    found = [path for path in found if path not in last]
    if last and not found:
        return
    if not found:
        yield Finding("temporaries", State.OK, f"none older than an hour ({scope})")
        return
    command = "rm -r" if any(path.is_dir() for path in found[:_SHOWN]) else "rm"
    shown = " ".join(shlex.quote(str(path)) for path in found[:_SHOWN])
    more = f"; then hscbox doctor again, for {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    size = sum(_size(path) for path in found)
    yield Finding(
        "temporaries",
        State.WARN,
        f"{len(found)} temporary files of killed processes, {size / 1e6:.0f} MB ({scope})",
        f"When no run is going on: {command} {shown}{more}",
    )


def _original(path: Path) -> Path:
    """Return where a file that was set aside stood; any other path is its own."""
    name = _SET_ASIDE.fullmatch(path.name)
    return path.with_name(name[1]) if name else path


def _journals(root: Path) -> Iterator[Finding]:
    for registry in (root / REGISTRY_NAME, root / "CALIB" / CALIB_REGISTRY_NAME):
        journal = registry.with_name(f"{registry.name}-journal")
        if not journal.exists():
            continue
        writable = os.access(registry.parent, os.W_OK) and os.access(registry, os.W_OK)
        # It holds what is needed to roll back: removing it would damage the registry.
        yield Finding(
            "temporaries",
            State.WARN if writable else State.FAIL,
            f"{journal}: a writer is at work, or was killed",
            "Never remove it; the next command that reads the registry rolls back what is unfinished"
            if writable
            else f"Never remove it; run hscbox query {shlex.quote(str(root))} once where the registry can be written",
        )


def stale_files(root: Path, before: float) -> tuple[list[Path], int]:
    """Return the temporary files of a repository that are older than a time, and how many directories were read.

    Rooms in which a reference catalogue was built are among them, as directories.

    Only the repository's own directories are read, a bounded number of entries each; links are not followed.
    """
    found: list[Path] = []
    looked = 0
    for directory in islice(_own_directories(root), _MOST_DIRECTORIES):
        looked += 1
        try:
            with os.scandir(directory) as entries:
                names = [e.name for e in islice(entries, _MOST_ENTRIES) if e.name.startswith(".")]
        except OSError:
            continue
        for name in sorted(names):
            path = directory / name
            if is_temporary_name(name) and not path.is_dir() and _changed(path) < before:
                found.append(path)
    ref_cats = root / "ref_cats"
    if ref_cats.is_dir() and not ref_cats.is_symlink():
        looked += 1
        found += [room for room in _rooms(ref_cats) if _last_change(room) < before]
    return found, looked


def _rooms(ref_cats: Path) -> list[Path]:
    try:
        return [path for path in sorted(ref_cats.iterdir()) if _ROOM.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return []


def _last_change(room: Path) -> float:
    """Return when files last came to the catalogue in the room; infinity if it is another user's."""
    try:
        return max(map(_changed, (room, *room.iterdir())))
    except OSError:
        return float("inf")


def _own_directories(root: Path) -> Iterator[Path]:
    yield root
    yield from leaf_directories(root)
    outputs = [root]
    reruns = root / "rerun"
    if reruns.is_dir():
        outputs += sorted(place for place in reruns.iterdir() if place.is_dir() and not place.is_symlink())
    for output in outputs:
        for name in ("config", "schema"):
            if (output / name).is_dir():
                yield output / name
        yield from (run for run in sorted(records_root(output).glob("*")) if run.is_dir())
        # pointing/filter/kind of an output repository
        yield from (place for place in sorted(output.glob("[0-9]*/*/*")) if place.is_dir())


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return float("inf")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
