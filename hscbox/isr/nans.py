"""Pixels that are not finite."""

from __future__ import annotations

import numpy as np

from ..image.exposure import Exposure
from ..image.interpolate import interpolate_pixels
from ..image.mask import mask_bits
from ..task_metadata import record
from .frame import Frame

__all__ = ["interpolate_nans", "repair_nans"]


def interpolate_nans(exposure: Exposure) -> int:
    """Set UNMASKEDNAN where image or variance is not finite, interpolate there in place; return the number."""
    nan = ~(np.isfinite(exposure.image) & np.isfinite(exposure.variance))
    number = int(nan.sum())
    if number:
        exposure.mask[nan] |= mask_bits("UNMASKEDNAN")
        interpolate_pixels(exposure.image, exposure.variance, exposure.mask, nan)
    return number


def repair_nans(frame: Frame) -> None:
    """Interpolate over what is not finite, with a warning and the number in the metadata of the task."""
    number = interpolate_nans(frame.exposure)
    record(frame.log.name, "NUMNANS", number)
    if number:
        frame.log.warning("There were %d unmasked NaNs", number)
