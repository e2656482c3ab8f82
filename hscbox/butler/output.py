"""The repository that products are written to."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..machine.files import atomic_path, output_failure
from .paths import absolute
from .repository import Opened, Repository, is_repository, open_repository, parent_place
from .repository_cfg import CFG_NAME, RepositoryCfg, read_cfg, relative_to_repository, write_cfg

__all__ = ["OutputRepository", "back_up"]

log = logging.getLogger("butler")


class OutputRepository:
    """Where products go. Nothing is made on disk before `prepare`.

    Parameters
    ----------
    root
        Its directory, which need not exist.
    calib_root
        Calibration directory that was asked for, or None.
    opened
        Repositories that are open already.
    new
        It will be made anew: what is there is not looked at.

    Attributes
    ----------
    inputs
        Opened input repositories, which become its parents.

    Raises
    ------
    UsageError
        It exists and was made with another calibration directory, or is not a repository.
    """

    def __init__(
        self, root: Path | str, calib_root: Path | None, *, opened: Opened | None = None, new: bool = False
    ) -> None:
        self.root = absolute(root)
        self.calib_root = calib_root
        self.inputs: Sequence[Repository] = ()
        self._ready = False
        self.repository = self._new() if new or not is_repository(self.root) else self._open(opened)

    def _new(self) -> Repository:
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"The output {self.root} is not a directory")
        return Repository(self.root, None, (), self.calib_root, os.path.realpath(self.root))

    def _open(self, opened: Opened | None) -> Repository:
        existing = open_repository(self.root, self.calib_root, opened=opened)
        self._check_calib(existing.cfg)
        self.calib_root = self.calib_root or self._recorded_calib(existing.cfg)
        return existing

    def _recorded_calib(self, cfg: RepositoryCfg | None) -> Path | None:
        return self.root / cfg.calib_root if cfg is not None and cfg.calib_root is not None else None

    def _check_calib(self, cfg: RepositoryCfg | None) -> None:
        if cfg is None or self.calib_root is None:
            return
        recorded = self._recorded_calib(cfg)
        if recorded is not None and os.path.realpath(recorded) == os.path.realpath(self.calib_root):
            return
        raise UsageError(
            f"The output {self.root} was made with the calibrations of {recorded or 'CALIB of its parents'}; "
            f"--calib {self.calib_root} is another choice",
            remedy="Use another --output, or leave --calib as it was",
        )

    def prepare(self) -> None:
        """Make the directory and record the parents, once; parents that are new are appended."""
        if self._ready:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_failure(self.root, error) from error
        cfg_path = self.root / CFG_NAME
        if not cfg_path.exists() and is_repository(self.root):
            # Of the older kind, which has no such file.
            self._ready = True
            return
        with _locked(self.root):
            recorded = read_cfg(cfg_path) if cfg_path.exists() else None
            self._check_calib(recorded)
            write_cfg(cfg_path, self._with_parents(recorded))
        self._ready = True

    def _with_parents(self, recorded: RepositoryCfg | None) -> RepositoryCfg:
        if recorded is None:
            calib = None if self.calib_root is None else str(self.calib_root)
            return RepositoryCfg(parents=tuple(self._entry(p, calib) for p in self.inputs), calib_root=calib)
        known = {os.path.realpath(parent_place(self.root, parent)) for parent in recorded.parents}
        new = [parent for parent in self.inputs if parent.identity not in known]
        for parent in new:
            log.info("Adding parent %s to %s", parent.root, self.root)
        entries = tuple(self._entry(parent, recorded.calib_root) for parent in new)
        return replace(recorded, parents=recorded.parents + entries)

    def _entry(self, parent: Repository, calib: str | None) -> str | RepositoryCfg:
        """Return how a parent is recorded: its path, within an entry of its own if it has no file for that."""
        path = relative_to_repository(parent.root, self.root)
        if parent.cfg is not None:
            return path
        return RepositoryCfg(root=path, calib_root=calib)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other processes from changing the list of parents for the block.

    The directory itself carries the lock, since the file is replaced when written. Where locks are not supported
    the write is still atomic; only two first runs at the same moment could then drop a parent.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def back_up(path: Path) -> None:
    """Copy `path` to `path~1`, after moving an older `~1` to `~2` and so on."""
    if not path.exists():
        return
    newest = 0
    while path.with_name(f"{path.name}~{newest + 1}").exists():
        newest += 1
    for number in range(newest, 0, -1):
        path.with_name(f"{path.name}~{number}").replace(path.with_name(f"{path.name}~{number + 1}"))
    with atomic_path(path.with_name(f"{path.name}~1")) as temporary:
        shutil.copyfile(path, temporary)
