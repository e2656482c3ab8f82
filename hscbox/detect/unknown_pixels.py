"""Pixels that nothing is known of: what stands in them is no light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hscbox.image.mask import mask_bits

__all__ = ["blank_unknown", "unknown_pixels"]


def unknown_pixels(mask: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where the mask (height, width) has NO_DATA, or BAD without INTRP."""
    unknown: NDArray[np.bool_] = mask & mask_bits("NO_DATA") != 0
    unknown |= mask & mask_bits("BAD", "INTRP") == mask_bits("BAD")
    return unknown


def blank_unknown(image: NDArray[np.float32], unknown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the background-subtracted image with 0 in the unknown pixels; itself if there are none."""
    return np.where(unknown, np.float32(0.0), image) if unknown.any() else image
