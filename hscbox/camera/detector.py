"""Detectors and their amplifiers.

The detector frame is the raw array mirrored as a whole (in x, on the corner CCDs 100 to 103 in y) and
trimmed to the exposed pixels: 2048 columns, 4176 rows. The focal plane is measured in pixels of 15 um.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..numerics.arrays import FloatArray
from .boxes import Box
from .geometry import CCD_CENTRE, CCD_HEIGHT, CCD_WIDTH

__all__ = ["Amplifier", "Detector"]


@dataclass(frozen=True)
class Amplifier:
    """One of the four amplifiers of a detector.

    `trimmed` is its window on the assembled image; `raw` (all its pixels), `data` (exposed pixels) and
    `serial_overscan` (16 columns beside them) are windows on the mirrored raw array.
    """

    index: int
    """0 to 3, by increasing x in the detector frame."""
    channel: int
    """Readout channel of the header (T_GAINn), 1 to 4."""
    gain: float
    """Measured gain, electrons per ADU."""
    header_gain: float
    """Nominal gain of the header, electrons per ADU."""
    read_noise: float
    """ADU."""
    saturation: float
    """Raw level (ADU, pedestal included) above which a pixel is saturated."""
    suspect: float
    """Raw level above which a pixel is suspect; nan if there is none."""
    linearity_type: str
    """"Squared" (corrected = x (1 + c0 x)) or "None"."""
    linearity_c0: float
    """1/ADU."""
    trimmed: Box
    raw: Box
    data: Box
    serial_overscan: Box

    def for_rows(self, n_rows: int) -> Amplifier:
        """Return the amplifier of a cut-out raw with `n_rows` exposed rows."""
        lost = self.data.height - n_rows
        return replace(
            self,
            trimmed=self.trimmed._replace(height=n_rows),
            raw=self.raw._replace(height=self.raw.height - lost),
            data=self.data._replace(height=n_rows),
            serial_overscan=self.serial_overscan._replace(height=n_rows),
        )


@dataclass(frozen=True)
class Detector:
    """One CCD: identity, place on the focal plane, amplifiers."""

    id: int
    """CCD number, header DET-ID."""
    name: str
    """Readout back-end and data output, like "0_10"."""
    serial: str
    """The id as text, as in the 2017 camera description; not the serial number of the chip."""
    type: Literal["SCIENCE", "FOCUS"]
    bee: int
    """Readout back-end, header T_BEEID."""
    sdo: int
    """Data output, header T_SDOID: the last two digits of FRAMEID."""
    offset_x: float
    """Focal-plane position of the centre, pixels."""
    offset_y: float
    yaw_deg: float
    """Rotation of the detector's x axis from the focal plane's, counter-clockwise, degrees."""
    mirror: Literal["LR", "TB"]
    """Reversal of the raw array that gives the detector frame: "LR" in x, "TB" in y."""
    amplifiers: tuple[Amplifier, ...]
    width: int = CCD_WIDTH
    height: int = CCD_HEIGHT

    @property
    def is_science(self) -> bool:
        """Whether the CCD records the sky in focus; the others serve the focus."""
        return self.type == "SCIENCE"

    @property
    def bbox(self) -> Box:
        """The trimmed image."""
        return Box(0, 0, self.width, self.height)

    @cached_property
    def _rotation(self) -> tuple[float, float]:
        yaw = math.radians(self.yaw_deg)
        return math.cos(yaw), math.sin(yaw)

    def pixel_to_focal_plane(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Convert detector pixels (0-based, integer at the pixel centre) to focal-plane pixels.

        Source: lsst/obs_subaru @ b7c7029d (2017-09-22): hsc/camera/camera.py.
        """
        cos, sin = self._rotation
        dx = np.asarray(x, dtype=np.float64) - CCD_CENTRE[0]
        dy = np.asarray(y, dtype=np.float64) - CCD_CENTRE[1]
        return self.offset_x + cos * dx - sin * dy, self.offset_y + sin * dx + cos * dy

    def focal_plane_to_pixel(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Convert focal-plane pixels to detector pixels; the inverse of `pixel_to_focal_plane`."""
        cos, sin = self._rotation
        dx = np.asarray(x, dtype=np.float64) - self.offset_x
        dy = np.asarray(y, dtype=np.float64) - self.offset_y
        return CCD_CENTRE[0] + cos * dx + sin * dy, CCD_CENTRE[1] - sin * dx + cos * dy

    def for_rows(self, n_rows: int) -> Detector:
        """Return the detector of a cut-out raw, of which only the first `n_rows` exposed rows exist.

        Rows keep their numbers, so the geometry stays as it is.

        Raises
        ------
        ValueError
            `n_rows` is not between 1 and the height of the detector.
        """
        if not 1 <= n_rows <= self.height:
            raise ValueError(f"A cut-out of CCD {self.id} cannot have {n_rows} rows, only 1 to {self.height}")
        return replace(
            self, height=n_rows, amplifiers=tuple(amplifier.for_rows(n_rows) for amplifier in self.amplifiers)
        )
