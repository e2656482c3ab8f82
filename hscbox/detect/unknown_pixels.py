"""Pixels that nothing is known of: what stands in them is no light."""

from __future__ import annotations

import numpy as np

from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Float32Array, Int32Array

__all__ = ["blank_unknown", "unknown_pixels"]


def unknown_pixels(mask: Int32Array) -> BoolArray:
    """Return where the mask (height, width) has NO_DATA, or BAD without INTRP."""
    unknown: BoolArray = mask & mask_bits("NO_DATA") != 0
    unknown |= mask & mask_bits("BAD", "INTRP") == mask_bits("BAD")
    return unknown


def blank_unknown(image: Float32Array, unknown: BoolArray) -> Float32Array:
    """Return the background-subtracted image with 0 in the unknown pixels; itself if there are none."""
    return np.where(unknown, np.float32(0.0), image) if unknown.any() else image
