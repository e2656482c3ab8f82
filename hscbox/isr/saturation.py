"""Saturated pixels: widening of bleed trails, interpolation."""

from __future__ import annotations

import numpy as np

from ..image.exposure import Exposure
from ..image.interpolate import interpolate_pixels
from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Int32Array

__all__ = ["full_wells", "grow_mask", "interpolate_saturated", "widen_trails"]


def widen_trails(mask: Int32Array) -> int:
    """Set SAT, in place, on both sides of wide saturated runs and return the number of new pixels.

    Bleed trails are wider in truth than above the saturation level. A run of 6 or 7 pixels in a row is widened by 1
    pixel on each side, one of 8 or 9 by 3, a longer one by 4.
    """
    sat = mask_bits("SAT")
    before = np.pad((mask & sat) != 0, ((0, 0), (1, 1)))
    # In every row first and last ends of runs take turns.
    rows, ends = np.divmod(np.flatnonzero(before[:, 1:] != before[:, :-1]), mask.shape[1] + 1)
    starts, stops = ends[::2], ends[1::2]
    extra = np.array([0, 1, 3, 4])[np.digitize(stops - starts, [6, 8, 10])]
    for k in np.flatnonzero(extra):
        mask[rows[2 * k], max(starts[k] - extra[k], 0) : stops[k] + extra[k]] |= sat
    return int(np.count_nonzero(mask & sat) - np.count_nonzero(before))


def interpolate_saturated(exposure: Exposure, grow: int = 1) -> int:
    """Interpolate, in place, over SAT pixels and `grow` pixels around them; return the number of pixels.

    SAT stays on the saturated pixels alone; INTRP is set on all that changed.
    """
    bad = grow_mask(exposure.mask, mask_bits("SAT"), grow)
    return interpolate_pixels(exposure.image, exposure.variance, exposure.mask, bad)


def full_wells(mask: Int32Array) -> BoolArray:
    """Return the SAT pixels and those above and below them, where a trail may end in a pixel not quite full."""
    saturated = (mask & mask_bits("SAT")) != 0
    full: BoolArray = saturated.copy()
    full[1:] |= saturated[:-1]
    full[:-1] |= saturated[1:]
    return full


def grow_mask(mask: Int32Array, bits: int, radius: int) -> BoolArray:
    """Return where any of the bits is set within a city-block distance of `radius` pixels."""
    grown: BoolArray = (mask & bits) != 0
    for _ in range(radius):
        before = grown.copy()
        grown[1:] |= before[:-1]
        grown[:-1] |= before[1:]
        grown[:, 1:] |= before[:, :-1]
        grown[:, :-1] |= before[:, 1:]
    return grown
