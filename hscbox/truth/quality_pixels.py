"""Numbers of pixels against the truth: noise, sky, cosmic rays, saturation."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import FloatArray
from .measures import Measured, pixel_recall, touching_precision
from .true_frame import Truth

__all__ = ["pixel_numbers"]


_SATURATION_MARGIN_PX = 10


def pixel_numbers(truth: Truth, exposure: Exposure, background: FloatArray) -> dict[str, Measured]:
    """Return numbers of pixels: noise, sky, cosmic rays, saturation.

    Parameters
    ----------
    background
        Sum of the subtracted background models (height, width), ADU.
    """
    flagged = exposure.mask & mask_bits("CR") != 0
    noise = np.sqrt(np.maximum(exposure.variance, 1.0))
    significant = truth.cosmic_rays / noise
    unusable = exposure.mask & mask_bits("SAT", "BAD", "NO_DATA") != 0
    # Beside saturated pixels the brighter-fatter correction is only approximate: that is no blank sky.
    near_saturated = binary_dilation(truth.saturated, iterations=_SATURATION_MARGIN_PX)
    blank = (exposure.mask == 0) & ~near_saturated
    residual = exposure.image[blank] + background[blank] - (truth.objects + truth.sky)[blank]
    sky = float(np.median(background)) / float(np.median(truth.sky)) - 1
    level = residual.mean()
    pull = (residual - level) / noise[blank]
    return {
        "variance_pull": Measured(float(np.std(pull)), float(1 / np.sqrt(2 * pull.size)), int(pull.size)),
        "sky_error": Measured(100 * sky, 100 * float(residual.std() / np.sqrt(residual.size) / truth.sky.mean()), 1),
        "cosmic_ray_recall": pixel_recall((significant > 10) & ~unusable, flagged),
        "cosmic_ray_precision": touching_precision(flagged & ~unusable, significant > 3),
        "saturation_recall": pixel_recall(truth.saturated, exposure.mask & mask_bits("SAT") != 0),
    }
