"""Read FITS files with suspicion: whole, of the promised size, with the right checksums, or not at all."""

from __future__ import annotations

import gzip
import io
import sys
import warnings
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from ..errors import DamagedInputError, MissingInputError
from ..machine.mounts import missing_link_remedy
from .cards import CARD_SIZE
from .checked import open_checked
from .metadata import Metadata
from .write import BLOCK, array_sum, word_sum

__all__ = ["ReadUnit", "header_metadata", "naming", "read_content", "read_first_header", "read_units"]

_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_MAX_CONTENT = 1 << 30
_MAX_HEADER_BLOCKS = 2000


@dataclass(frozen=True)
class ReadUnit:
    """One header and data unit of a file that was read."""

    path: Path
    header: fits.Header
    data: bytes = b""
    """The data as they stand in the file, without padding; empty for images and for units that were skipped."""
    stored: NDArray[Any] | None = None
    """Stored numbers of an image in native byte order, (height, width); None if skipped."""

    @property
    def is_image(self) -> bool:
        """Whether the unit is a two-dimensional image."""
        return _is_image(self.header) or (self.stored is not None and self.stored.ndim == 2)

    def array(self) -> NDArray[Any]:
        """Return the pixels in native byte order, BSCALE and BZERO applied.

        Raises
        ------
        DamagedInputError
            The unit is not an image.
        """
        if self.stored is None:
            raise DamagedInputError(f"{self.path} has no two-dimensional image where one is expected")
        scale, zero = self.header.get("BSCALE", 1), self.header.get("BZERO", 0)
        if (scale == 1 and zero == 0) or self.header.get("ZIMAGE", False):
            return self.stored
        if scale == 1 and zero == 32768 and self.stored.dtype == np.int16:
            return self.stored.view(np.uint16) ^ np.uint16(32768)
        return self.stored * np.float64(scale) + np.float64(zero)


def read_content(path: Path | str) -> bytes:
    """Return the bytes of a file, decompressed if it is gzipped.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    DamagedInputError
        The gzip stream is damaged or unreasonably long.
    """
    with _open(Path(path)) as stream:
        return stream.read()


def read_units(path: Path | str, skip: Container[str] = ()) -> list[ReadUnit]:
    """Read all units of a FITS file and check the sums of what is read.

    Parameters
    ----------
    path
        Plain, gzipped or tile-compressed file.
    skip
        Values of EXTTYPE of units whose data are not wanted.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    DamagedInputError
        It is truncated, extended, fails a checksum or is no FITS file.
    """
    path = Path(path)
    units: list[ReadUnit] = []
    with _open(path) as stream:
        total = stream.seek(0, io.SEEK_END)
        start = 0
        while start < total:
            stream.seek(start)
            text, header = _read_header(path, stream, start)
            try:
                size = _data_size(header)
            except (KeyError, TypeError, ValueError, fits.VerifyError) as error:
                raise DamagedInputError(f"{path} has a header that makes no sense: {error}") from error
            end = start + len(text) + size + -size % BLOCK
            if end > total:
                raise DamagedInputError(
                    f"{path} has {total} bytes, its headers promise at least {end}",
                    remedy="The file was truncated: fetch it again",
                    size=total,
                    expected=end,
                )
            if str(header.get("EXTTYPE", "")).strip() in skip:
                units.append(ReadUnit(path, header))
            else:
                units.append(_read_data(path, stream, text, header, size))
            start = end
    if not units:
        raise DamagedInputError(f"{path} is empty", remedy="Fetch it again")
    if any("ZIMAGE" in unit.header for unit in units):
        return _decompressed(path)
    return units


def read_first_header(path: Path | str) -> fits.Header:
    """Return the primary header of a file without reading its data.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    DamagedInputError
        It does not begin with a FITS header.
    """
    path = Path(path)
    with _open(path) as stream:
        return _read_header(path, stream, 0)[1]


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is interpreted into an error that names it.

    Raises
    ------
    DamagedInputError
        Instead of the errors that values of the wrong kind or size cause deep inside.
    """
    try:
        yield
    except DamagedInputError as error:
        if str(path) in error.message:
            raise
        raise DamagedInputError(f"{path}: {error.message}", remedy=error.remedy, **error.numbers) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, fits.VerifyError) as error:
        raise DamagedInputError(
            f"{path} cannot be understood: {error}", remedy="Fetch or make the file again"
        ) from error


def header_metadata(header: fits.Header) -> Metadata:
    """Return the cards of a header as metadata: repeated keywords become lists, undefined values are left out."""
    metadata = Metadata()
    for item in header.cards:
        value = item.value
        if not item.keyword or isinstance(value, fits.card.Undefined):
            continue
        if item.keyword in metadata:
            metadata.add(item.keyword, value)
        else:
            metadata.set(item.keyword, value, item.comment)
    return metadata


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as stream:
            if stream.read(2) != b"\x1f\x8b":
                stream.seek(0)
                yield stream
                return
    except FileNotFoundError as error:
        remedy = missing_link_remedy(path) or "Check the name"
        raise MissingInputError(f"No such file: {path}", remedy=remedy) from error
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
    try:
        with gzip.open(path) as packed:
            content = packed.read(_MAX_CONTENT + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DamagedInputError(f"{path} is a damaged gzip file: {error}", remedy="Fetch it again") from error
    if len(content) > _MAX_CONTENT:
        raise DamagedInputError(f"{path} unpacks to more than {_MAX_CONTENT} bytes; no frame is that large")
    yield io.BytesIO(content)


def _read_header(path: Path, stream: BinaryIO, start: int) -> tuple[bytes, fits.Header]:
    text = b""
    for _ in range(_MAX_HEADER_BLOCKS):
        block = stream.read(BLOCK)
        if not text and not (block.startswith(b"SIMPLE  = ") if start == 0 else block.startswith(b"XTENSION=")):
            what = "is not a FITS file" if start == 0 else f"has bytes after its last unit, at {start}"
            raise DamagedInputError(f"{path} {what}", remedy="Fetch it again")
        text += block
        if _has_end(block) or len(block) < BLOCK:
            break
    if len(text) % BLOCK or not _has_end(text[-BLOCK:]):
        raise DamagedInputError(f"{path} has a header without end", remedy="The file was truncated: fetch it again")
    return text, _parse(path, text)


def _read_data(path: Path, stream: BinaryIO, text: bytes, header: fits.Header, size: int) -> ReadUnit:
    padding = -size % BLOCK
    if not _is_image(header):
        content = stream.read(size + padding)
        _check_sums(path, header, text, word_sum(content))
        return ReadUnit(path, header, content[:size])
    shape = header["NAXIS2"], header["NAXIS1"]
    pixels = np.empty(shape, dtype=_TYPES[header["BITPIX"]])
    stream.readinto(pixels.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
    rest = stream.read(padding)
    swapped = pixels
    if sys.byteorder == "little":
        swapped = pixels.byteswap(inplace=True).view(pixels.dtype.newbyteorder("="))
    _check_sums(path, header, text, array_sum(swapped, rest))
    return ReadUnit(path, header, stored=swapped)


def _has_end(chunk: bytes) -> bool:
    return any(chunk[k : k + 8] == b"END     " for k in range(0, BLOCK, CARD_SIZE))


def _parse(path: Path, text: bytes) -> fits.Header:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyWarning)
            header = fits.Header.fromstring(text)
            # Cards are parsed when looked at: look now, so that a bad one is reported with the file's name.
            for item in header.cards:
                _ = item.value
            return header
    except (AstropyWarning, fits.VerifyError, ValueError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DamagedInputError(f"{path} has a header that cannot be read: {reason}") from error


def _is_image(header: fits.Header) -> bool:
    return str(header.get("XTENSION", "IMAGE")).strip() == "IMAGE" and header.get("NAXIS") == 2


def _data_size(header: fits.Header) -> int:
    lengths = [header[f"NAXIS{axis + 1}"] for axis in range(header["NAXIS"])]
    if header["BITPIX"] not in _TYPES or any(not isinstance(n, int) or n < 0 for n in lengths):
        raise ValueError(f"BITPIX = {header['BITPIX']}, axes {lengths}")
    if not lengths:
        return 0
    items = header.get("PCOUNT", 0)
    product = 1
    for length in lengths:
        product *= length
    if items < 0 or header.get("GCOUNT", 1) != 1:
        raise ValueError(f"PCOUNT = {items}, GCOUNT = {header.get('GCOUNT')}")
    return int(abs(header["BITPIX"]) // 8 * (product + items))


def _check_sums(path: Path, header: fits.Header, text: bytes, data_sum: int) -> None:
    stated = str(header.get("DATASUM", "")).strip()
    # Modulo, because zero and minus zero are the same number to a ones' complement sum.
    if stated and (not stated.isdigit() or (int(stated) - data_sum) % 0xFFFFFFFF):
        raise DamagedInputError(
            f"{path} fails its checksum: DATASUM is {stated}, the data add up to {data_sum}", remedy="Fetch it again"
        )
    if str(header.get("CHECKSUM", "")).strip() and word_sum(text, data_sum) not in (0, 0xFFFFFFFF):
        raise DamagedInputError(f"{path} fails the checksum of a header", remedy="Fetch it again")


def _decompressed(path: Path) -> list[ReadUnit]:
    with open_checked(path) as hdus:
        units = []
        for hdu in hdus:
            image = None if hdu.data is None or hdu.is_image is False else np.asarray(hdu.data)
            native = None if image is None else image.astype(image.dtype.newbyteorder("="))
            units.append(ReadUnit(path, hdu.header.copy(), stored=native))
        return units
