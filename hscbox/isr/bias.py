"""Bias subtraction."""

from __future__ import annotations

from ..image.calib_image import CalibImage
from ..image.exposure import Exposure

__all__ = ["subtract_bias"]


def subtract_bias(exposure: Exposure, bias: CalibImage) -> None:
    """Subtract the bias frame [ADU] in place and add its mask and variance to those of the exposure."""
    exposure.image -= bias.image
    if bias.mask is not None:
        exposure.mask |= bias.mask
    if bias.variance is not None:
        exposure.variance += bias.variance
