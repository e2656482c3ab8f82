"""Bytes of a plain or gzipped file, and whether there are as many as there should be."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path
from typing import NoReturn, Protocol

from ..errors import DamagedInputError
from .structure import padding

__all__ = ["GzipSource", "PlainSource", "Source"]

_CHUNK = 1 << 16
# Headers lie in the first bytes of a file, or it is not unpacked for them.
_LONGEST_UNPACKED = 1 << 22
# Deflate cannot pack tighter than this; a trailer that claims more is not one.
_LARGEST_RATIO = 1040
# More than any file of this camera; ends the count of a gzip bomb.
_LARGEST_SIZE = 1 << 32


class Source(Protocol):
    """Bytes of one file."""

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on; fewer only at the end of the file."""

    def check_size(self, end: int, has_more: bool) -> None:
        """Refuse the file if it has fewer than `end` bytes, or more although there should be none."""

    def is_complete_at(self, end: int) -> bool:
        """Say whether the file ends at byte `end`."""

    def can_read(self, offset: int) -> bool:
        """Say whether bytes from `offset` on can be had without unpacking pixels."""


def _refuse(path: Path | str, size: int, end: int) -> NoReturn:
    raise DamagedInputError(
        f"{path} has {size} bytes, its header promises {end}",
        remedy="The file was truncated or extended: fetch it again",
        file=str(path),
        size=size,
        expected=end,
    )


class PlainSource:
    """An uncompressed file, by open descriptor."""

    def __init__(self, path: Path | str, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedInputError(f"{path} is not a file", remedy="Give names of FITS files", file=str(path))
        self._path = path
        self._descriptor = descriptor
        self.size = status.st_size

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on."""
        return os.pread(self._descriptor, count, offset)

    def check_size(self, end: int, has_more: bool) -> None:
        """Refuse the file if it ends before `end`; what follows is checked when it is read."""
        if self.size < end:
            _refuse(self._path, self.size, end)

    def is_complete_at(self, end: int) -> bool:
        """Say whether the file ends at byte `end`."""
        return self.size == end

    def can_read(self, offset: int) -> bool:
        """Say that any byte can be had."""
        return True


class GzipSource:
    """A gzipped file, unpacked as far as needed.

    Its size is read from the last four bytes (size modulo 2^32, RFC 1952). If that does not fit, the whole
    file is unpacked and counted: it may consist of several members.
    """

    def __init__(self, path: Path | str, plain: PlainSource) -> None:
        self._path = path
        self._plain = plain
        self._unpacker = zlib.decompressobj(wbits=31)
        self._packed_offset = 0
        self._data = bytearray()
        trailer = plain.read(max(0, plain.size - 4), 4)
        self._size = int.from_bytes(trailer, "little")
        self._counted = False

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on, all of them in the first megabytes."""
        end = min(offset + count, _LONGEST_UNPACKED)
        while len(self._data) < end and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail
            if not packed:
                packed = self._plain.read(self._packed_offset, _CHUNK)
                self._packed_offset += len(packed)
            if not packed:
                break
            try:
                self._data += self._unpacker.decompress(packed, end - len(self._data))
            except zlib.error as error:
                self._fail(error)
        return bytes(self._data[offset:end])

    def check_size(self, end: int, has_more: bool) -> None:
        """Refuse the file if its unpacked size does not fit."""
        if not self._fits(end, has_more) and not self._counted:
            self._size = self._count()
            self._counted = True
        if not self._fits(end, has_more):
            _refuse(f"{self._path} unpacked", self._size, end)

    def _fits(self, end: int, has_more: bool) -> bool:
        if self._size == end:
            return True
        plausible = self._counted or self._size <= _LARGEST_RATIO * self._plain.size
        return has_more and self._size > end and padding(self._size) == 0 and plausible

    def _count(self) -> int:
        """Return the true unpacked size."""
        total, offset = 0, 0
        unpacker = zlib.decompressobj(wbits=31)
        packed = b""
        try:
            while total < _LARGEST_SIZE:
                if not packed:
                    packed = self._plain.read(offset, _CHUNK)
                    offset += len(packed)
                    if not packed:
                        break
                if unpacker.eof:
                    unpacker = zlib.decompressobj(wbits=31)
                total += len(unpacker.decompress(packed, 16 * _CHUNK))
                packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        except zlib.error as error:
            self._fail(error)
        if not unpacker.eof:
            self._fail(zlib.error("it ends before its content does"))
        return total

    def is_complete_at(self, end: int) -> bool:
        """Say whether the unpacked file ends at byte `end`."""
        return self._size == end

    def can_read(self, offset: int) -> bool:
        """Say whether `offset` is within the first megabytes."""
        return offset < _LONGEST_UNPACKED // 2

    def _fail(self, error: zlib.error) -> NoReturn:
        raise DamagedInputError(
            f"{self._path} is a damaged gzip file: {error}", remedy="Fetch it again", file=str(self._path)
        ) from error
