"""A repository on disk: what kind it is, its parents, and where its files are.

Two kinds are known. The older (V1) is a directory with `_mapper`, `registry.sqlite3` or a `_parent` link. The
newer (V2) has a `repositoryCfg.yaml` that names its parents.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DamagedInputError, MissingInputError, RegistryError, UsageError
from ..machine.mounts import dangling, missing_link_error
from .calib_registry import CALIB_REGISTRY_NAME
from .paths import absolute
from .registry import REGISTRY_NAME
from .repository_cfg import CFG_NAME, MAPPER, RepositoryCfg, read_cfg

__all__ = [
    "Opened",
    "Repository",
    "chain",
    "find_mapper",
    "is_repository",
    "open_repository",
    "parent_place",
    "spelled",
]

# A file may be stored compressed; the plain one wins.
ENDINGS = ("", ".gz", ".fz")
_HDU = re.compile(r"\[\d+\]$")
_MAX_DEPTH = 50


@dataclass(frozen=True)
class Repository:
    """An opened repository.

    Attributes
    ----------
    root
        Absolute path as given, symbolic links kept.
    cfg
        Content of `repositoryCfg.yaml`; None for a V1 repository.
    parents
        Opened parents in the order in which they are searched.
    calib_root
        Calibration directory: the one asked for, else `CALIB` in the root if it exists; None if there is none.
    """

    root: Path
    cfg: RepositoryCfg | None
    parents: tuple[Repository, ...] = ()
    calib_root: Path | None = None
    identity: str = field(default="", compare=False)

    @property
    def registry_path(self) -> Path | None:
        """The registry of raws in this directory, or None."""
        path = self.root / REGISTRY_NAME
        if path.exists():
            return path
        if (self.root / "registry.pgsql").exists():
            raise RegistryError(f"{self.root} has a PostgreSQL registry; only {REGISTRY_NAME} can be read")
        return None

    @property
    def calib_registry_path(self) -> Path | None:
        """The registry of calibrations, or None."""
        if self.calib_root is None:
            return None
        path = self.calib_root / CALIB_REGISTRY_NAME
        return path if path.exists() else None


Opened = dict[tuple[str, Path | None], Repository]
"""Repositories by their real path and the calibration directory that was asked for."""


def is_repository(root: Path) -> bool:
    """Return whether `root` has any of the marks of a repository."""
    marks = (CFG_NAME, "_mapper", "_parent", REGISTRY_NAME)
    return any(os.path.lexists(root / mark) for mark in marks)


def find_mapper(root: Path) -> str | None:
    """Return the mapper class named in `_mapper` of `root` or of its `_parent` chain; None if there is none."""
    directory = root
    for _ in range(_MAX_DEPTH):
        file = directory / "_mapper"
        if file.exists():
            return _read_mapper(file)
        directory = directory / "_parent"
        if not directory.exists():
            return None
    raise DamagedInputError(f"The _parent links of {root} go in a circle")


def _read_mapper(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            name = stream.readline(1000).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedInputError(f"Cannot read {file}: {error}") from error
    if name.rpartition(".")[2] != "HscMapper" or "." not in name:
        raise UsageError(
            f"{file} names the mapper {name!r}; only lsst.obs.hsc.HscMapper is known",
            remedy="Its first line must be lsst.obs.hsc.HscMapper",
        )
    return name


def open_repository(
    root: Path | str, calib_root: Path | None = None, *, opened: Opened | None = None, depth: int = 0
) -> Repository:
    """Open an existing repository with all its parents.

    Parameters
    ----------
    root
        Its directory.
    calib_root
        Calibration directory to use instead of the recorded one or `CALIB`.
    opened
        What is open already; it is used, and what is opened is added.

    Raises
    ------
    MissingInputError
        There is no such directory, or nothing in it says that it is a repository.
    DamagedInputError
        Parents form a circle.
    UsageError
        It is a repository of another camera.
    """
    directory = absolute(root)
    if depth > _MAX_DEPTH:
        raise DamagedInputError(f"The parents of {directory} form a circle")
    opened = {} if opened is None else opened
    key = (os.path.realpath(directory), calib_root)
    if key not in opened:
        opened[key] = _open(directory, calib_root, opened, depth)
    return opened[key]


def _open(directory: Path, calib_root: Path | None, opened: Opened, depth: int) -> Repository:
    if not directory.is_dir():
        link = f"; it is a symbolic link to {directory.readlink()}" if directory.is_symlink() else ""
        raise MissingInputError(f"No such repository: {directory}{link}", remedy="Make one with hscbox mount")
    cfg_path = directory / CFG_NAME
    if cfg_path.exists():
        cfg = read_cfg(cfg_path)
        _check_mapper(cfg.mapper, cfg_path)
        if calib_root is None and cfg.calib_root is not None:
            calib_root = directory / cfg.calib_root
        parents = tuple(_open_parent(directory, parent, calib_root, opened, depth) for parent in cfg.parents)
        return _build(directory, cfg, parents, calib_root)
    if find_mapper(directory) is None:
        raise MissingInputError(
            f"{directory} is not a repository: it has neither {CFG_NAME} nor a file _mapper",
            remedy=f"Write the line lsst.obs.hsc.HscMapper into {directory / '_mapper'}, or use hscbox mount",
        )
    return _build(directory, None, _legacy_parent(directory, calib_root, opened, depth), calib_root)


def _check_mapper(mapper: str, path: Path) -> None:
    if mapper.rpartition(".")[2] != "HscMapper":
        raise UsageError(f"{path} names the mapper {mapper!r}; only {MAPPER} is known")


def _build(
    directory: Path, cfg: RepositoryCfg | None, parents: tuple[Repository, ...], calib_root: Path | None
) -> Repository:
    if calib_root is None and os.path.lexists(directory / "CALIB"):
        calib_root = directory / "CALIB"
    return Repository(directory, cfg, parents, calib_root, os.path.realpath(directory))


def parent_place(directory: Path, parent: str | RepositoryCfg) -> Path:
    """Return where a parent is that the configuration in `directory` names."""
    # Relative parents count from the real place of the repository.
    return absolute(Path(os.path.realpath(directory)) / (parent if isinstance(parent, str) else str(parent.root)))


def _open_parent(
    directory: Path, parent: str | RepositoryCfg, calib_root: Path | None, opened: Opened, depth: int
) -> Repository:
    place = parent_place(directory, parent)
    if not place.is_dir():
        raise MissingInputError(
            f"Parent repository {place} recorded in {directory / CFG_NAME} is not there",
            remedy="Mend the path in that file; relative paths count from its directory",
        )
    if isinstance(parent, RepositoryCfg):
        if calib_root is None and parent.calib_root is not None:
            calib_root = directory / parent.calib_root
        if not is_repository(place):
            return _build(place, None, (), calib_root)
    return open_repository(place, calib_root, opened=opened, depth=depth + 1)


def _legacy_parent(directory: Path, calib_root: Path | None, opened: Opened, depth: int) -> tuple[Repository, ...]:
    link = directory / "_parent"
    if not os.path.lexists(link):
        return ()
    # A relative link counts from the directory that it is in, whatever the working directory is.
    place = absolute(directory / link.readlink()) if link.is_symlink() else link
    if not place.is_dir():
        raise MissingInputError(f"Parent repository {place}, which {link} points to, is not there")
    return (open_repository(place, calib_root, opened=opened, depth=depth + 1),)


def chain(repositories: Iterable[Repository]) -> list[Repository]:
    """Return the repositories with their parents, depth first, each real directory once."""
    found: dict[str, Repository] = {}

    def visit(repository: Repository) -> None:
        if repository.identity not in found:
            found[repository.identity] = repository
            for parent in repository.parents:
                visit(parent)

    for repository in repositories:
        visit(repository)
    return list(found.values())


def spelled(path: Path) -> Path | None:
    """Return `path`, or `path.gz` or `path.fz`, whichever exists first; None if none does.

    Raises
    ------
    MissingInputError
        It is a symbolic link whose target is not there.
    """
    base = _HDU.sub("", path.name)
    for ending in ENDINGS:
        candidate = path.with_name(base + ending)
        if candidate.exists():
            return candidate
        if found := dangling(candidate, directory=False):
            raise missing_link_error(found)
    return None
