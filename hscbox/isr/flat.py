"""Flat fielding."""

from __future__ import annotations

import numpy as np

from ..image.calib_image import CalibImage
from ..image.exposure import Exposure

__all__ = ["divide_by_flat"]


def divide_by_flat(exposure: Exposure, flat: CalibImage) -> None:
    """Divide, in place, by the flat (relative response, unscaled) and propagate the variance of both.

    Where the flat is not above 0 the result is nan; the step for NaNs repairs that. The flat's mask is added: that is
    where NO_DATA outside the vignetted field comes from.
    """
    response = np.where(flat.image > 0, flat.image, np.float32(np.nan))
    if flat.variance is None:
        exposure.variance /= response * response
    else:
        inverse = 1 / response
        value = exposure.image * inverse
        exposure.variance += value * value * flat.variance
        exposure.variance *= inverse
        exposure.variance *= inverse
    exposure.image /= response
    if flat.mask is not None:
        exposure.mask |= flat.mask
