"""Read raw frames: refuse wrong sizes before memory is taken, mirror to the detector frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..camera.detector import Detector
from ..camera.geometry import CHANNELS, EXTRA_ROWS, RAW_HEIGHT, RAW_WIDTH, row_windows
from ..camera.keywords import window
from ..errors import DamagedInputError
from ..fits.cards import CARD_SIZE
from ..fits.checked import open_checked
from ..fits.header_reader import read_primary_header
from ..fits.read import read_content
from ..fits.write import BLOCK
from ..numerics.arrays import Float32Array

__all__ = ["RawFrame", "read_raw"]

_STRIP = 128
_END_CARD = b"END".ljust(CARD_SIZE)
_NO_AXES = re.compile(rb"NAXIS   = +0[ /]")


@dataclass(frozen=True)
class RawFrame:
    """A raw CCD frame in the detector frame, with prescan and overscan."""

    pixels: Float32Array
    """(4241, 2144) ADU, mirrored; fewer rows for a cut-out."""
    header: dict[str, object]
    """Cards of the file."""
    path: Path

    @property
    def n_rows(self) -> int:
        """Number of exposed rows: 4176, fewer for a cut-out."""
        return int(self.pixels.shape[0]) - EXTRA_ROWS


def read_raw(path: Path | str, detector: Detector) -> RawFrame:
    """Read a raw frame of a CCD: plain, gzipped or tile-compressed.

    Accepted are the full size of 2144 x 4241 pixels and cut-outs: full width, fewer rows, with T_EFM* and
    T_OSM* cards that say so.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    DamagedInputError
        It is truncated, has another size or pixel type.
    """
    path = Path(path)
    header = read_primary_header(path)
    rows = _checked_rows(path, header)
    stored = _stored_pixels(path, rows)
    pixels = np.empty((rows, RAW_WIDTH), dtype=np.float32)
    # Row by row strips: the temporary arrays stay in the cache.
    for start in range(0, rows, _STRIP):
        stop = min(start + _STRIP, rows)
        strip = stored[start:stop]
        if strip.dtype == np.dtype(">i2"):
            # Adding BZERO = 32768 to signed numbers is flipping their first bit.
            strip = strip.astype(np.int16).view(np.uint16) ^ np.uint16(0x8000)
        if detector.mirror == "LR":
            pixels[start:stop] = strip[:, ::-1]
        else:
            pixels[rows - stop : rows - start] = strip[::-1]
    return RawFrame(pixels, header, path)


def _checked_rows(path: Path, header: Mapping[str, object]) -> int:
    width, height = header.get("NAXIS1"), header.get("NAXIS2")
    if header.get("NAXIS") != 2 or not isinstance(width, int) or not isinstance(height, int):
        raise DamagedInputError(f"{path} has no two-dimensional image", remedy="Give a raw HSC frame")
    kind = header.get("BITPIX"), header.get("BZERO"), header.get("BSCALE", 1)
    if kind != (16, 32768, 1):
        raise DamagedInputError(
            f"{path} has BITPIX, BZERO, BSCALE = {kind[0]}, {kind[1]}, {kind[2]}; raw frames have 16, 32768, 1",
            remedy="Give a raw HSC frame",
        )
    if (width, height) == (RAW_WIDTH, RAW_HEIGHT):
        return height
    if width != RAW_WIDTH or not EXTRA_ROWS < height < RAW_HEIGHT:
        raise DamagedInputError(
            f"{path} has {width} x {height} pixels; allowed: {RAW_WIDTH} x {RAW_HEIGHT}, "
            f"or {RAW_WIDTH} columns and fewer rows for a cut-out",
            remedy="Give a raw HSC frame",
            width=width,
            height=height,
        )
    _check_cut_out(path, header, height)
    return height


def _check_cut_out(path: Path, header: Mapping[str, object], height: int) -> None:
    for end, row in row_windows(height - EXTRA_ROWS).items():
        for channel in CHANNELS:
            name = window(end, channel, 2)
            if header.get(name) != row:
                raise DamagedInputError(
                    f"{path} has {RAW_WIDTH} x {height} pixels, a raw frame has {RAW_WIDTH} x {RAW_HEIGHT}; "
                    f"as a cut-out it would have {name} = {row}, but has {header.get(name)!r}",
                    remedy="Give a whole raw frame, or correct the T_EFM and T_OSM cards of the cut-out",
                    width=RAW_WIDTH,
                    height=height,
                )


def _stored_pixels(path: Path, rows: int) -> NDArray[Any]:
    """Return the pixels as the file has them: big-endian int16, or uint16 if they had to be decompressed."""
    with path.open("rb") as stream:
        start = stream.read(BLOCK)
    if start[:2] != b"\x1f\x8b" and _NO_AXES.search(start):
        return _decompressed(path, rows)
    size = 2 * rows * RAW_WIDTH
    content = read_content(path)
    # Extensions may follow the image, therefore its place is counted from the header.
    offset = _header_length(path, content)
    if len(content) < offset + size + -size % BLOCK:
        raise DamagedInputError(
            f"{path} has {len(content)} bytes; its header needs {offset} and its image {size}",
            remedy="Fetch it again",
        )
    return np.frombuffer(content, dtype=">i2", count=rows * RAW_WIDTH, offset=offset).reshape(rows, RAW_WIDTH)


def _header_length(path: Path, content: bytes) -> int:
    for start in range(0, len(content), CARD_SIZE):
        if content.startswith(_END_CARD, start):
            end = start + CARD_SIZE
            return end + -end % BLOCK
    raise DamagedInputError(f"{path} has a header without end", remedy="Fetch it again")


def _decompressed(path: Path, rows: int) -> NDArray[Any]:
    with open_checked(path) as hdus:
        image = next((hdu.data for hdu in hdus if hdu.data is not None and hdu.data.ndim == 2), None)
        if image is None or image.shape != (rows, RAW_WIDTH) or image.dtype.kind != "u":
            raise DamagedInputError(f"{path} does not unpack to an image of {RAW_WIDTH} x {rows} unsigned numbers")
        return np.asarray(image)
