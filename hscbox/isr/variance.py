"""Variance plane from the image."""

from __future__ import annotations

import math

import numpy as np

from ..camera.detector import Detector
from ..image.exposure import Exposure

__all__ = ["set_variance"]


def set_variance(exposure: Exposure, detector: Detector) -> None:
    """Set the variance [ADU^2], in place, to image / gain + read noise^2 of each amplifier.

    Photon noise of the image itself: negative pixels can get a negative variance. Amplifiers without gain are left.
    """
    for amp in detector.amplifiers:
        if math.isfinite(amp.gain) and amp.gain > 0:
            area = amp.trimmed.slices
            exposure.variance[area] = exposure.image[area] / np.float32(amp.gain) + np.float32(amp.read_noise**2)
