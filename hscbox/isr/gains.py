"""Between ADU and electrons."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..camera.detector import Detector

__all__ = ["multiply_by_gains"]


def multiply_by_gains(image: npt.NDArray[np.float32], detector: Detector, *, inverse: bool = False) -> None:
    """Multiply each amplifier by its gain [e-/ADU] in place, or divide by it; amplifiers without gain are left."""
    for amp in detector.amplifiers:
        if math.isfinite(amp.gain) and amp.gain > 0:
            pixels = image[amp.trimmed.slices]
            if inverse:
                pixels /= np.float32(amp.gain)
            else:
                pixels *= np.float32(amp.gain)
