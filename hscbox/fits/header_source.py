"""Bytes of a plain or gzipped file, and whether there are as many as there should be."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from pathlib import Path
from typing import NoReturn

from ..errors import DamagedInputError
from .structure import padding

__all__ = ["GzipSource", "Source"]

_CHUNK = 1 << 20
# Headers lie in the first bytes of a file, or it is not unpacked for them.
_FARTHEST_HEADER = 1 << 21
# Deflate cannot pack tighter than this; a trailer that claims more is not one.
_LARGEST_RATIO = 1040
# More than any file of this camera; ends the count of a gzip bomb.
_LARGEST_SIZE = 1 << 32


class Source:
    """Bytes of one uncompressed file, by open descriptor."""

    def __init__(self, path: Path | str, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedInputError(f"{path} is not a file", remedy="Give names of FITS files", file=str(path))
        self._path = path
        self._descriptor = descriptor
        self._size = status.st_size

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on; fewer only at the end of the file."""
        return os.pread(self._descriptor, count, offset)

    def check_size(self, end: int, has_more: bool) -> None:
        """Refuse the file if it ends before `end`; what follows is checked when it is read."""
        if self._size < end:
            _refuse(self._path, self._size, end)

    def is_complete_at(self, end: int) -> bool:
        """Say whether the file ends at byte `end`."""
        return self._size == end

    def can_read(self, offset: int) -> bool:
        """Say whether bytes from `offset` on can be had without unpacking pixels."""
        return True


class GzipSource(Source):
    """Bytes of a gzipped file, unpacked as far as needed.

    Its size is read from the last four bytes (size modulo 2^32, RFC 1952). If that does not fit, the whole
    file is unpacked and counted: it may consist of several members.
    """

    def __init__(self, path: Path | str, descriptor: int) -> None:
        super().__init__(path, descriptor)
        self._packed_size = self._size
        self._size = int.from_bytes(super().read(max(0, self._size - 4), 4), "little")
        self._unpacked = gzip.GzipFile(fileobj=os.fdopen(descriptor, "rb", closefd=False))

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on; fewer only at the end of the content."""
        try:
            self._unpacked.seek(offset)
            return self._unpacked.read(count)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DamagedInputError(
                f"{self._path} is a damaged gzip file: {error}", remedy="Fetch it again", file=str(self._path)
            ) from error

    def check_size(self, end: int, has_more: bool) -> None:
        """Refuse the file if its unpacked size is not `end`, nor more in whole blocks where `has_more` allows it."""
        if self._size > _LARGEST_RATIO * self._packed_size or not self._fits(end, has_more):
            self._size = self._count()
            if not self._fits(end, has_more):
                _refuse(f"{self._path} unpacked", self._size, end)

    def _fits(self, end: int, has_more: bool) -> bool:
        return self._size == end or (has_more and self._size > end and padding(self._size) == 0)

    def _count(self) -> int:
        """Return the true unpacked size."""
        size = 0
        while size < _LARGEST_SIZE and (piece := self.read(size, _CHUNK)):
            size += len(piece)
        return size

    def can_read(self, offset: int) -> bool:
        """Say whether `offset` is within the first megabytes."""
        return offset < _FARTHEST_HEADER


def _refuse(path: Path | str, size: int, end: int) -> NoReturn:
    raise DamagedInputError(
        f"{path} has {size} bytes, its header promises {end}",
        remedy="The file was truncated or extended: fetch it again",
        file=str(path),
        size=size,
        expected=end,
    )
