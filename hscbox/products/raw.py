"""Read raw frames: refuse wrong sizes before memory is taken, mirror to the detector frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..camera.detector import Detector
from ..camera.geometry import CHANNELS, EXTRA_ROWS, RAW_HEIGHT, RAW_WIDTH, row_windows
from ..camera.keywords import window
from ..errors import DamagedInputError
from ..fits.header_reader import read_primary_header
from ..fits.read import read_image
from ..numerics.arrays import Float32Array

__all__ = ["RawFrame", "read_raw"]


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
        It is truncated, fails its DATASUM, or has another size or pixel type.
    """
    path = Path(path)
    header = read_primary_header(path)
    rows = _checked_rows(path, header)
    stored = read_image(path)
    if stored.shape != (rows, RAW_WIDTH) or stored.dtype != np.uint16:
        raise DamagedInputError(f"{path} does not unpack to an image of {RAW_WIDTH} x {rows} unsigned numbers")
    mirrored = stored[:, ::-1] if detector.mirror == "LR" else stored[::-1]
    return RawFrame(np.ascontiguousarray(mirrored, dtype=np.float32), header, path)


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
