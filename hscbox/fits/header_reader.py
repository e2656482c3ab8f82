"""Read the header of a raw frame or master calibration fast, and refuse files that are not whole.

Plain and gzipped files and tile-compressed (.fz) ones are told apart by content, not by name. Only the
header is read; the size of the file must be what the headers promise.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import DamagedInputError, MissingInputError
from .card_parser import parse_header
from .header_source import GzipSource, Source
from .structure import BLOCK, CARD_SIZE, data_size, padding

__all__ = ["read_primary_header"]

# 5 blocks hold the header of a raw frame; one more saves a second read of longer ones.
_FIRST_READ = 6 * BLOCK
_LONGEST_HEADER = 1 << 20
_MOST_HDUS = 1000
_END = b"END".ljust(CARD_SIZE)
# Cards that describe the table around a compressed image, or its storage.
_TABLE_CARD = re.compile(
    r"XTENSION|BITPIX|NAXIS\d*|[PG]COUNT|TFIELDS|THEAP|CHECKSUM|DATASUM|T(?:TYPE|FORM|UNIT|DIM|NULL|SCAL|ZERO|DISP)\d+"
    r"|Z(?:IMAGE|CMPTYPE|MASKCMP|QUANTIZ|DITHER0|TENSION|SIMPLE|EXTEND|BLOCKED|[PG]COUNT|TILE\d+|NAME\d+|VAL\d+|"
    r"FORM\d+|CTYP\d+|HECKSUM|DATASUM)"
)
_IMAGE_CARD = re.compile(r"Z(BITPIX|NAXIS\d*)")


def read_primary_header(path: Path | str) -> dict[str, object]:
    """Return the header of a FITS file as int, float, bool, str, or None for cards without a value.

    For a tile-compressed image after an empty primary HDU, it is the header of the image, with the NAXIS
    cards of the image itself, completed from the primary header.

    Raises
    ------
    MissingInputError
        The file does not exist or cannot be opened.
    DamagedInputError
        It is not FITS, truncated, longer than its headers say, or a damaged gzip file.
    """
    try:
        # O_NONBLOCK: a named pipe must not stop the program.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MissingInputError(
            f"Cannot open {path}: {error.strerror}",
            remedy="Check the name and that its file system is mounted",
        ) from error
    try:
        plain = Source(path, descriptor)
        is_gzip = plain.read(0, 2) == b"\x1f\x8b"
        return _read(path, GzipSource(path, descriptor) if is_gzip else plain)
    except OSError as error:
        raise DamagedInputError(f"Cannot read {path}: {error.strerror}", remedy="Fetch the file again") from error
    finally:
        os.close(descriptor)


def _read(path: Path | str, source: Source) -> dict[str, object]:
    primary, end = _read_hdu(path, source, 0)
    if primary.get("SIMPLE") is not True:
        raise _damaged(path, "it does not begin with SIMPLE = T")
    if source.is_complete_at(end):
        return primary
    image: dict[str, object] | None = None
    for _ in range(_MOST_HDUS):
        # Behind the first megabytes a gzipped file would have to be unpacked; its length was checked already.
        if source.is_complete_at(end) or not source.can_read(end):
            break
        header, end = _read_hdu(path, source, end)
        if image is None and header.get("ZIMAGE") is True:
            image = _image_header(header)
    if image is not None and primary.get("NAXIS") == 0:
        return image | {keyword: value for keyword, value in primary.items() if keyword not in image}
    return primary


def _read_hdu(path: Path | str, source: Source, start: int) -> tuple[dict[str, object], int]:
    """Return the header that begins at byte `start`, and the first byte behind the HDU's data."""
    cards, length = _header_cards(path, source, start)
    header = parse_header(cards)
    try:
        size = data_size(header)
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    end = start + length + size + padding(size)
    source.check_size(end, has_more=header.get("EXTEND") is True or start > 0)
    return header, end


def _header_cards(path: Path | str, source: Source, start: int) -> tuple[bytes, int]:
    """Return the cards before END, and the length of the header in bytes, padding included."""
    size = _FIRST_READ
    while True:
        data = source.read(start, size)
        if not data.startswith(b"XTENSION=" if start else b"SIMPLE  ="):
            what = "there are bytes after its last HDU" if start else "it is not a FITS file, no SIMPLE card"
            raise _damaged(path, what)
        end = data.find(_END)
        # A comment may contain the same characters, though not where a card begins.
        while end >= 0 and end % CARD_SIZE:
            end = data.find(_END, end + 1)
        if end >= 0:
            return data[:end], end + CARD_SIZE + padding(end + CARD_SIZE)
        if len(data) < size or size > _LONGEST_HEADER:
            raise _damaged(path, "its header has no END card")
        size *= 4


def _image_header(table: dict[str, object]) -> dict[str, object]:
    """Return the header of the image inside a compressed-image table (FITS standard 4.0, section 10.1)."""
    image: dict[str, object] = {"SIMPLE": True}
    for keyword, value in table.items():
        if match := _IMAGE_CARD.fullmatch(keyword):
            image[match[1]] = value
        elif not _TABLE_CARD.fullmatch(keyword):
            image[keyword] = value
    return image


def _damaged(path: Path | str, problem: str) -> DamagedInputError:
    return DamagedInputError(f"{path} is damaged: {problem}", remedy="Fetch the file again", file=str(path))
