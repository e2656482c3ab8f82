"""Dark current subtraction."""

from __future__ import annotations

import numpy as np

from ..errors import DamagedInputError
from ..image.calib_image import CalibImage
from ..image.exposure import Exposure

__all__ = ["subtract_dark"]


def subtract_dark(exposure: Exposure, dark: CalibImage, dark_time: float) -> None:
    """Subtract, in place, the dark frame [ADU per second] times the dark time [s]; its variance is added.

    Raises
    ------
    DamagedInputError
        The dark time is not a number of seconds >= 0.
    """
    if not (np.isfinite(dark_time) and dark_time >= 0):
        raise DamagedInputError(f"Dark time is {dark_time} s; it must be finite and not negative", dark_time=dark_time)
    seconds = np.float32(dark_time)
    exposure.image -= seconds * dark.image
    if dark.mask is not None:
        exposure.mask |= dark.mask
    if dark.variance is not None:
        exposure.variance += seconds * seconds * dark.variance
