"""Pixels that are not finite."""

from __future__ import annotations

import numpy as np

from ..image.exposure import Exposure
from ..image.interpolate import interpolate_pixels
from ..image.mask import mask_bits

__all__ = ["interpolate_nans"]


def interpolate_nans(exposure: Exposure) -> int:
    """Set UNMASKEDNAN where image or variance is not finite, interpolate there in place; return the number."""
    nan = ~(np.isfinite(exposure.image) & np.isfinite(exposure.variance))
    number = int(nan.sum())
    if number:
        exposure.mask[nan] |= mask_bits("UNMASKEDNAN")
        interpolate_pixels(exposure.image, exposure.variance, exposure.mask, nan)
    return number
