"""Flat fielding."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..image.calib_image import CalibImage
from ..image.exposure import Exposure
from ..numerics.compiler import njit

__all__ = ["divide_by_flat"]


def divide_by_flat(exposure: Exposure, flat: CalibImage) -> None:
    """Divide, in place, by the flat (relative response, unscaled) and propagate the variance of both.

    Where the flat is not above 0 the result is nan; the step for NaNs repairs that. The flat's mask is added: that is
    where NO_DATA outside the vignetted field comes from.
    """
    if flat.variance is None:
        _divide(exposure.image, exposure.variance, flat.image)
    else:
        _divide_with_variance(exposure.image, exposure.variance, flat.image, flat.variance)
    if flat.mask is not None:
        exposure.mask |= flat.mask


@njit
def _divide(image: Any, variance: Any, flat: Any) -> None:
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            response = flat[y, x] if flat[y, x] > np.float32(0.0) else np.float32(np.nan)
            image[y, x] /= response
            variance[y, x] /= response * response


@njit
def _divide_with_variance(image: Any, variance: Any, flat: Any, flat_variance: Any) -> None:
    one = np.float32(1.0)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            response = flat[y, x] if flat[y, x] > np.float32(0.0) else np.float32(np.nan)
            inverse = one / response
            value = image[y, x] * inverse
            image[y, x] /= response
            variance[y, x] = (variance[y, x] + value * value * flat_variance[y, x]) * inverse * inverse
