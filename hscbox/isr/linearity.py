"""Non-linearity of the amplifiers."""

from __future__ import annotations

import numpy as np

from ..camera.detector import Detector
from ..image.exposure import Exposure

__all__ = ["is_nonlinear", "linearize"]


def is_nonlinear(detector: Detector) -> bool:
    """Say whether the detector has a correction at all."""
    return detector.amplifiers[0].linearity_type != "None"


def linearize(exposure: Exposure, detector: Detector) -> bool:
    """Replace, in place, I by I (1 + c0 I) with the coefficient of each amplifier; the variance stays.

    Returns
    -------
    bool
        Whether the detector has a correction at all.
    """
    if not is_nonlinear(detector):
        return False
    for amp in detector.amplifiers:
        if amp.linearity_c0 != 0:
            area = exposure.image[amp.trimmed.slices]
            area += area * area * np.float32(amp.linearity_c0)
    return True
