"""Non-linearity of the amplifiers."""

from __future__ import annotations

from ..camera.detector import Detector
from ..image.exposure import Exposure

__all__ = ["linearize"]


def linearize(exposure: Exposure, detector: Detector) -> bool:
    """Replace, in place, I by I (1 + c0 I) with the coefficient of each amplifier; the variance stays.

    Returns
    -------
    bool
        Whether the detector has a correction at all.
    """
    if detector.amplifiers[0].linearity_type == "None":
        return False
    for amp in detector.amplifiers:
        if amp.linearity_c0 != 0:
            pixels = exposure.image[amp.trimmed.slices]
            pixels += pixels * pixels * amp.linearity_c0
    return True
