"""The symbolic links of a repository, of which a bounded number is looked at.

A repository may hold links to a million raws, and the directory that they point to must never be listed. So a few
links are read in each of a bounded number of the repository's own directories.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..butler.repository import parent_place
from ..butler.repository_cfg import CFG_NAME, read_cfg
from ..errors import HscboxError
from ..machine.mounts import Dangling, dangling, mount_points

__all__ = ["LinkSurvey", "leaf_directories", "parents_of", "survey", "top_links"]

LINKS_PER_DIRECTORY = 3
MOST_DIRECTORIES = 200
_MOST_ENTRIES = 1000
_OTHERS = frozenset({"CALIB", "ref_cats", "rerun", "_parent", "config", "schema"})
_TOP = ("_mapper", "CALIB", "ref_cats", "_parent", "registry.sqlite3")
_DIRECTORIES = frozenset({"CALIB", "ref_cats", "_parent"})
_MOST_PARENTS = 50


@dataclass
class LinkSurvey:
    """What was seen.

    Attributes
    ----------
    looked
        Links that were followed.
    directories, all_directories
        Directories of raws and calibrations in which links were looked for, and how many there are.
    broken
        The links that lead to nothing.
    targets
        Directories outside the repository that sound links lead to.
    """

    looked: int = 0
    directories: int = 0
    all_directories: int = 0
    broken: list[Dangling] = field(default_factory=list)
    targets: set[Path] = field(default_factory=set)


def top_links(root: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the links of a repository that have fixed names, each with whether it should lead to a directory."""
    for name in _TOP:
        if (root / name).is_symlink():
            yield root / name, name in _DIRECTORIES


def leaf_directories(root: Path) -> Iterator[Path]:
    """Yield the directories that hold a repository's raws: field/date/pointing/filter."""
    for own in _directories(root):
        if own.name not in _OTHERS and not own.name.startswith("."):
            for date in _directories(own):
                for pointing in _directories(date):
                    yield from _directories(pointing)


def _directories(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [place / name for name in sorted(names)]


def _links(place: Path, most: int = _MOST_ENTRIES) -> list[Path]:
    """Return the first links of a directory; of one with many entries only the first are looked at."""
    try:
        with os.scandir(place) as entries:
            found = (entry.name for entry in islice(entries, _MOST_ENTRIES) if entry.is_symlink())
            return [place / name for name in islice(found, most)]
    except OSError:
        return []


def survey(root: Path) -> LinkSurvey:
    """Follow the links of a repository and of its parents."""
    result = LinkSurvey()
    points = mount_points()
    seen: set[str] = set()
    waiting = [root]
    while waiting and len(seen) < _MOST_PARENTS:
        place = waiting.pop()
        identity = os.path.realpath(place)
        if identity in seen:
            continue
        seen.add(identity)
        for link, is_directory in top_links(place):
            _follow(link, is_directory, points, result)
        calib, ref_cats = place / "CALIB", place / "ref_cats"
        for inner in (*_links(calib), *_links(ref_cats)):
            _follow(inner, None, points, result)
        leaves = list(leaf_directories(place))
        leaves += [leaf for kind in _directories(calib) for date in _directories(kind) for leaf in _directories(date)]
        leaves += _directories(calib) + _directories(ref_cats)
        _sample(leaves, points, result)
        waiting += [parent for parent in parents_of(place) if parent.is_dir()]
    return result


def _sample(leaves: list[Path], points: Mapping[str, str], result: LinkSurvey) -> None:
    result.all_directories += len(leaves)
    # Spread over the whole tree.
    step = max(1, -(-len(leaves) // MOST_DIRECTORIES))
    for leaf in leaves[::step]:
        result.directories += 1
        for link in _links(leaf, LINKS_PER_DIRECTORY):
            _follow(link, None, points, result)


def _follow(link: Path, is_directory: bool | None, points: Mapping[str, str], result: LinkSurvey) -> None:
    result.looked += 1
    found = dangling(link, directory=is_directory, points=points)
    if found is not None:
        result.broken.append(found)
        return
    target = Path(os.path.realpath(link))
    result.targets.add(target if target.is_dir() else target.parent)


def parents_of(place: Path) -> list[Path]:
    """Return the parents of a repository, as far as they can be read; a bad file is told of elsewhere."""
    found = [place / "_parent"] if (place / "_parent").exists() else []
    if (place / CFG_NAME).exists():
        try:
            cfg = read_cfg(place / CFG_NAME)
        except HscboxError:
            return found
        found += [parent_place(place, parent) for parent in cfg.parents]
    return found
