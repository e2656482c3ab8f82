"""Saturated pixels: widening of bleed trails, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..image.exposure import Exposure
from ..image.interpolate import interpolate_pixels
from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Int32Array
from ..numerics.compiler import njit

__all__ = ["full_wells", "grow_mask", "interpolate_saturated", "widen_trails"]


def widen_trails(mask: Int32Array) -> int:
    """Set SAT, in place, on both sides of wide saturated runs and return the number of new pixels.

    Bleed trails are wider in truth than above the saturation level. A run of 6 or 7 pixels in a row is widened by 1
    pixel on each side, one of 8 or 9 by 3, a longer one by 4.
    """
    return int(_widen(mask, np.int32(mask_bits("SAT"))))


def interpolate_saturated(exposure: Exposure, grow: int = 1) -> int:
    """Interpolate, in place, over SAT pixels and `grow` pixels around them; return the number of pixels.

    SAT stays on the saturated pixels alone; INTRP is set on all that changed.
    """
    bad = grow_mask(exposure.mask, mask_bits("SAT"), grow)
    return interpolate_pixels(exposure.image, exposure.variance, exposure.mask, bad)


def full_wells(mask: Int32Array) -> BoolArray:
    """Return the SAT pixels and those above and below them, where a trail may end in a pixel not quite full."""
    return np.asarray(_full(mask, np.int32(mask_bits("SAT"))))


def grow_mask(mask: Int32Array, bits: int, radius: int) -> BoolArray:
    """Return where any of the bits is set within a city-block distance of `radius` pixels."""
    return np.asarray(_grow(mask, np.int32(bits), radius))


@njit
def _full(mask: Any, sat: Any) -> Any:
    height, width = mask.shape
    full = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            if mask[y, x] & sat:
                full[max(y - 1, 0) : y + 2, x] = True
    return full


@njit
def _widen(mask: Any, sat: Any) -> int:
    height, width = mask.shape
    added = 0
    starts = np.empty(width, np.int64)
    stops = np.empty(width, np.int64)
    for y in range(height):
        n = 0
        x = 0
        while x < width:
            if not mask[y, x] & sat:
                x += 1
                continue
            starts[n] = x
            while x < width and mask[y, x] & sat:
                x += 1
            stops[n] = x
            n += 1
        for k in range(n):
            length = stops[k] - starts[k]
            extra = 0 if length <= 5 else (1 if length <= 7 else (3 if length <= 9 else 4))
            for x in range(max(starts[k] - extra, 0), min(stops[k] + extra, width)):
                if not mask[y, x] & sat:
                    mask[y, x] |= sat
                    added += 1
    return added


@njit
def _grow(mask: Any, bits: Any, radius: int) -> Any:
    height, width = mask.shape
    grown = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            if mask[y, x] & bits:
                for dy in range(-min(radius, y), min(radius, height - 1 - y) + 1):
                    reach = radius - abs(dy)
                    grown[y + dy, max(x - reach, 0) : min(x + reach + 1, width)] = True
    return grown
