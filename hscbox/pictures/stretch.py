"""From numbers to brightness: the asinh stretch for images, and its two-sided form for differences.

The asinh stretch is that of Lupton et al. 2004, PASP 116, 133.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics.arrays import BoolArray, ByteArray, FloatArray
from ..numerics.constants import SIGMA_PER_IQR
from ..numerics.statistics import quantiles

__all__ = ["Scale", "difference_scale", "grey_scale"]

_BLACK = -2.5
_SOFT = 3.0
_LEAST_WHITE = 4.0
_BRIGHT = 0.997
_EXTREME = 0.9995
_COMMON = 0.9
_DYNAMIC = 300.0
_BLUE, _PAPER, _RED = (33.0, 102.0, 222.0), (247.0, 247.0, 247.0), (214.0, 40.0, 36.0)


@dataclass(frozen=True)
class Scale:
    """Colours of values by asinh, nearly linear near the origin, logarithmic far from it.

    An image has levels of grey, black at the origin and white above it; a difference is blue below, white at and red
    above the origin.
    """

    origin: float
    """Value drawn black, or white in a difference."""
    reach: float
    """Distance from the origin that has the full colour."""
    soft: float
    """Distance to which the scale is nearly linear."""
    two_sided: bool = False
    """Whether it is that of a difference."""

    def rgb(self, pixels: FloatArray) -> ByteArray:
        """Return colours (..., 3) of pixels (...); what is not a number is at the origin."""
        distance = np.nan_to_num(pixels, nan=self.origin) - self.origin
        level = np.arcsinh(distance / self.soft) / np.arcsinh(self.reach / self.soft)
        return self._colours(np.asarray(np.clip(level, -1.0 if self.two_sided else 0.0, 1.0)))

    def ramp(self, n: int) -> ByteArray:
        """Return n colours (n, 3) that stand for evenly spaced levels, the lowest value first."""
        # Steps of the 255 levels of grey, whose halves are exact.
        return self._colours(np.linspace(-1.0, 1.0, n) if self.two_sided else np.linspace(0.0, 255.0, n) / 255.0)

    def value(self, place: float) -> float:
        """Return the value that is drawn at a place of the ramp, from 0 (lowest) to 1 (highest)."""
        level = 2.0 * place - 1.0 if self.two_sided else place
        return self.origin + self.soft * float(np.sinh(level * float(np.arcsinh(self.reach / self.soft))))

    def _colours(self, level: FloatArray) -> ByteArray:
        if not self.two_sided:
            return np.repeat(np.rint(255.0 * level).astype(np.uint8)[..., None], 3, axis=-1)
        share = np.abs(level)[..., None]
        end = np.where(level[..., None] < 0, np.array(_BLUE), np.array(_RED))
        return np.asarray(np.rint((1.0 - share) * np.array(_PAPER) + share * end), dtype=np.uint8)


def grey_scale(pixels: FloatArray, good: BoolArray) -> Scale:
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
        return Scale(0.0, 1.0, 1.0)
    low, middle, high, bright = quantiles(chosen, (0.25, 0.5, 0.75, _BRIGHT))
    sigma = SIGMA_PER_IQR * (high - low)
    if sigma <= 0:
        # Most pixels are alike; what little differs sets the scale.
        sigma = float(np.abs(chosen - middle).max()) / _LEAST_WHITE or 1.0
    black, white = middle + _BLACK * sigma, max(bright, middle + _LEAST_WHITE * sigma)
    return Scale(black, white - black, _SOFT * sigma)


def difference_scale(pixels: FloatArray) -> Scale:
    """Return a symmetric scale that one changed pixel in 2,000 exceeds.

    The centre is zero, unless nearly all pixels changed by nearly the same amount (an offset such as the overscan):
    then it is their median, and the colours show the structure on top. Where few pixels changed much more than the
    others, it is logarithmic over most of its length, else nearly linear.
    """
    changed = pixels[np.isfinite(pixels) & (pixels != 0)]
    if changed.size == 0:
        return Scale(0.0, 1.0, 1.0, two_sided=True)
    centre = quantiles(changed, (0.5,))[0]
    common, extreme = quantiles(np.abs(changed - centre), (_COMMON, _EXTREME))
    if changed.size < 0.9 * pixels.size or extreme >= 0.5 * abs(centre):
        centre = 0.0
        common, extreme = quantiles(np.abs(changed), (_COMMON, _EXTREME))
    if extreme <= 0:
        # All pixels changed by exactly the same.
        return Scale(0.0, abs(float(changed[0])), abs(float(changed[0])), two_sided=True)
    return Scale(centre, extreme, max(common, extreme / _DYNAMIC), two_sided=True)
