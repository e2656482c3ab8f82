"""Bring one file into a repository by link, copy or move, so that it can be taken back.

A delivery has three steps. `stage` does the slow part (copying) before the registry is locked; `place` makes the
destination appear in one step; then either `finish` or `undo`. A file that is moved is removed from its old
place by `finish` only: whenever the process is killed, the data are at one of the two places, and ingesting
again picks them up.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import secrets
import shutil
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from ..errors import InputError
from ..machine.files import output_failure

__all__ = ["Delivery", "DestinationTakenError", "Mode"]


class Mode(StrEnum):
    """How files come into a repository."""

    LINK = "link"
    COPY = "copy"
    MOVE = "move"
    SKIP = "skip"


class DestinationTakenError(InputError):
    """Another file is where this one should go."""

    code = "destination-taken"


class Delivery:
    """One file on its way.

    Parameters
    ----------
    source
        The file as an absolute path; symbolic links in it are kept.
    destination
        Where it should appear.
    mode
        How.
    clobber
        Replace another file at the destination.
    """

    def __init__(self, source: str, destination: str, mode: Mode, clobber: bool = False) -> None:
        # Most files need two system calls and nothing else; Path objects are made for the others only.
        self._from = source
        self._to = destination
        self.mode = mode
        self.clobber = clobber
        self._staged: Path | None = None
        self._backup: Path | None = None
        self._placed = False
        self._made: list[Path] = []

    @cached_property
    def source(self) -> Path:
        """The file as an absolute path."""
        return Path(self._from)

    @cached_property
    def destination(self) -> Path:
        """Where it should appear."""
        return Path(self._to)

    def is_same(self) -> bool:
        """Return whether the destination already holds this very file."""
        if self.mode is Mode.SKIP:
            return False
        with contextlib.suppress(OSError):
            if os.readlink(self._to) == self._from:  # noqa: PTH115  (speed)
                return True
        destination = self.destination
        try:
            same = destination.samefile(self.source)
            if same or destination.is_symlink():
                return same
            # For a copy, equal size and time of change count as equal (copies keep the time for that reason); before
            # a source is deleted, all bytes are compared.
            shallow = self.mode is Mode.COPY
            return self.mode is not Mode.LINK and filecmp.cmp(self.source, destination, shallow=shallow)
        except OSError:
            return False

    def stage(self) -> None:
        """Copy the content next to the destination where the mode needs that.

        Raises
        ------
        OutputError, TemporaryError
            The copy cannot be written.
        """
        if self.mode is Mode.COPY or (self.mode is Mode.MOVE and not self._can_link()):
            if os.path.lexists(self.destination) and not self.clobber:
                return
            self._make_directories()
            try:
                self._staged = _copy(self.source, self.destination)
            except OSError as error:
                raise output_failure(self.destination, error) from error

    def _can_link(self) -> bool:
        directory = self.destination.parent
        while not directory.exists() and directory != directory.parent:
            directory = directory.parent
        with contextlib.suppress(OSError):
            return not self.source.is_symlink() and self.source.stat().st_dev == directory.stat().st_dev
        return False

    def place(self) -> bool:
        """Make the destination appear; return False if this very file was there already.

        Raises
        ------
        DestinationTakenError
            Another file is there, and `clobber` is not set.
        OutputError, TemporaryError
            The destination cannot be made.
        """
        if self.mode is Mode.SKIP:
            return True
        try:
            # Nearly always the directory exists and the destination is free: looking first would only cost time.
            try:
                self._put()
            except FileNotFoundError:
                self._make_directories()
                self._put()
        except FileExistsError:
            if self.is_same():
                self._drop_staged()
                return False
            if not self.clobber:
                raise self.taken() from None
            self._replace()
        except OSError as error:
            raise output_failure(self.destination, error) from error
        self._placed = True
        return True

    def taken(self) -> DestinationTakenError:
        """Return the error that says what is at the destination."""
        destination = self.destination
        what = f"is a link to {destination.readlink()}" if destination.is_symlink() else "is another file"
        return DestinationTakenError(f"{destination} exists already and {what}", remedy="Use --clobber to replace it")

    def _put(self) -> None:
        if self.mode is Mode.LINK:
            os.symlink(self._from, self._to)  # noqa: PTH211  (speed)
        elif self._staged is not None:
            # Unlike rename, making a hard link fails if the destination exists.
            _link_or_rename(self._staged, self.destination)
            self._drop_staged()
        elif os.path.lexists(self.destination):
            raise FileExistsError(errno.EEXIST, "exists", str(self.destination))
        elif self._can_link() and self.mode is Mode.MOVE:
            os.link(self.source, self.destination)
        else:
            self._staged = _copy(self.source, self.destination)
            self._put()

    def _replace(self) -> None:
        try:
            backup = self.destination.with_name(f".{self.destination.name}-{os.getpid()}")
            self.destination.rename(backup)
            self._backup = backup
            self._put()
        except OSError as error:
            self.undo()
            raise output_failure(self.destination, error) from error

    def _make_directories(self) -> None:
        parent = self.destination.parent
        if parent.is_dir():
            return
        missing = [parent]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_failure(parent, error) from error
        self._made = missing

    def _drop_staged(self) -> None:
        if self._staged is not None:
            self._staged.unlink(missing_ok=True)
            self._staged = None

    def leave(self) -> None:
        """Give the delivery up: the file stays where it is."""
        self._drop_staged()
        self.mode = Mode.SKIP

    def undo(self) -> None:
        """Take back what this delivery has made; what was there before is there again."""
        self._drop_staged()
        if self._placed:
            self.destination.unlink(missing_ok=True)
            self._placed = False
        if self._backup is not None:
            self._backup.rename(self.destination)
            self._backup = None
        for directory in self._made:
            # Another file may be in it by now.
            with contextlib.suppress(OSError):
                directory.rmdir()

    def finish(self) -> None:
        """Make the delivery final: remove what was replaced and, after a move, the old place."""
        self._drop_staged()
        if self._backup is not None:
            self._backup.unlink(missing_ok=True)
            self._backup = None
        if self.mode is Mode.MOVE and not self._is_in_place():
            self.source.unlink(missing_ok=True)

    def _is_in_place(self) -> bool:
        """Return whether source and destination are one path, or the destination leads to the source."""
        if self.destination.is_symlink():
            return True
        return os.path.realpath(self.source) == os.path.realpath(self.destination)


def _copy(source: Path, destination: Path) -> Path:
    """Copy content and time of change to a temporary sibling of `destination`, safely on disk."""
    # Not by tempfile, which makes files that only their owner can read.
    temporary = destination.with_name(f".{destination.name}-{secrets.token_hex(4)}")
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1024 * 1024)
            writer.flush()
            os.fsync(writer.fileno())
        status = source.stat()
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _link_or_rename(temporary: Path, destination: Path) -> None:
    try:
        os.link(temporary, destination)
    except FileExistsError:
        raise
    except OSError:
        # File systems without hard links: the registry's lock keeps other ingests away meanwhile.
        if os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, "exists", str(destination)) from None
        temporary.rename(destination)
