"""From numbers to brightness: the asinh stretch for images, and its two-sided form for differences.

The asinh stretch is that of Lupton et al. 2004, PASP 116, 133.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics.arrays import BoolArray, ByteArray, FloatArray
from ..numerics.constants import SIGMA_PER_IQR
from ..numerics.statistics import quantiles

__all__ = ["DifferenceScale", "GreyScale", "difference_scale", "grey_scale"]

_BLACK = -2.5
_SOFT = 3.0
_LEAST_WHITE = 4.0
_BRIGHT = 0.997
_EXTREME = 0.9995
_COMMON = 0.9
_DYNAMIC = 300.0
_BLUE, _PAPER, _RED = (33.0, 102.0, 222.0), (247.0, 247.0, 247.0), (214.0, 40.0, 36.0)


@dataclass(frozen=True)
class GreyScale:
    """Grey levels of an image: nearly linear in the noise, logarithmic far above it."""

    black: float
    """Value drawn black."""
    white: float
    """Value drawn white."""
    soft: float
    """Where the linear part ends, above black."""

    def rgb(self, pixels: FloatArray) -> ByteArray:
        """Return colours (..., 3) of pixels (...); what is not finite is black."""
        distance = np.nan_to_num(pixels, nan=self.black) - self.black
        level = _level(distance, self.white - self.black, self.soft)
        grey = np.rint(255.0 * np.clip(level, 0.0, 1.0)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)

    def ramp(self, n: int) -> ByteArray:
        """Return n colours (n, 3) that stand for evenly spaced levels of grey, black first."""
        grey = np.rint(np.linspace(0.0, 255.0, n)).astype(np.uint8)
        return np.repeat(grey[:, None], 3, axis=-1)

    def value(self, level: float) -> float:
        """Return the value that is drawn with a level of grey from 0 (black) to 1 (white)."""
        return self.black + _distance(level, self.white - self.black, self.soft)


@dataclass(frozen=True)
class DifferenceScale:
    """Colours of a difference: blue below, white at, red above the centre; asinh to both sides."""

    centre: float
    half_width: float
    """Distance from the centre that has the full colour."""
    soft: float
    """Distance to which the scale is nearly linear."""

    def rgb(self, pixels: FloatArray) -> ByteArray:
        """Return colours (..., 3) of pixels (...); what is not finite is at the centre."""
        distance = np.nan_to_num(pixels, nan=self.centre) - self.centre
        return _two_sided(np.clip(_level(distance, self.half_width, self.soft), -1.0, 1.0))

    def ramp(self, n: int) -> ByteArray:
        """Return n colours (n, 3), the lowest value first."""
        return _two_sided(np.linspace(-1.0, 1.0, n))

    def value(self, level: float) -> float:
        """Return the value at a place of the ramp, from 0 (lowest) to 1 (highest)."""
        return self.centre + _distance(2.0 * level - 1.0, self.half_width, self.soft)


def _level(distance: FloatArray, full: float, soft: float) -> FloatArray:
    """Return the stretched levels of distances, 1 where they are `full`; linear below `soft`."""
    return np.asarray(np.arcsinh(distance / soft) / np.arcsinh(full / soft))


def _distance(level: float, full: float, soft: float) -> float:
    """Return the distance that has a level: the inverse of `_level`."""
    return soft * float(np.sinh(level * float(np.arcsinh(full / soft))))


def _two_sided(level: FloatArray) -> ByteArray:
    share = np.abs(level)[..., None]
    end = np.where(level[..., None] < 0, np.array(_BLUE), np.array(_RED))
    return np.asarray(np.rint((1.0 - share) * np.array(_PAPER) + share * end), dtype=np.uint8)


def grey_scale(pixels: FloatArray, good: BoolArray) -> GreyScale:
    """Return a scale for an image of any level.

    Black is 2.5 sigma below the median, white the value that 0.3 % of the pixels exceed, at least 4 sigma above the
    median; sigma comes from the quartiles, so that stars do not count.

    Parameters
    ----------
    pixels
        The image as it will be drawn, any shape.
    good
        Pixels to derive the scale from; all finite ones if none is good.
    """
    finite = np.isfinite(pixels)
    chosen = pixels[finite & good] if (finite & good).any() else pixels[finite]
    if chosen.size == 0:
        return GreyScale(0.0, 1.0, 1.0)
    low, middle, high, bright = quantiles(chosen, (0.25, 0.5, 0.75, _BRIGHT))
    sigma = SIGMA_PER_IQR * (high - low)
    if sigma <= 0:
        # Most pixels are alike; what little differs sets the scale.
        sigma = float(np.abs(chosen - middle).max()) / _LEAST_WHITE or 1.0
    white = max(bright, middle + _LEAST_WHITE * sigma)
    return GreyScale(middle + _BLACK * sigma, white, _SOFT * sigma)


def difference_scale(pixels: FloatArray) -> DifferenceScale:
    """Return a symmetric scale that one changed pixel in 2,000 exceeds.

    The centre is zero, unless nearly all pixels changed by nearly the same amount (an offset such as the overscan):
    then it is their median, and the colours show the structure on top. Where few pixels changed much more than the
    others, it is logarithmic over most of its length, else nearly linear.
    """
    changed = pixels[np.isfinite(pixels) & (pixels != 0)]
    if changed.size == 0:
        return DifferenceScale(0.0, 1.0, 1.0)
    centre = quantiles(changed, (0.5,))[0]
    common, extreme = quantiles(np.abs(changed - centre), (_COMMON, _EXTREME))
    if changed.size < 0.9 * pixels.size or extreme >= 0.5 * abs(centre):
        centre = 0.0
        common, extreme = quantiles(np.abs(changed), (_COMMON, _EXTREME))
    if extreme <= 0:
        # All pixels changed by exactly the same.
        return DifferenceScale(0.0, abs(float(changed[0])), abs(float(changed[0])))
    return DifferenceScale(centre, extreme, max(common, extreme / _DYNAMIC))
