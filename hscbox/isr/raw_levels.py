"""Pixels that are full, or too full for good linearity: masks from the raw values."""

from __future__ import annotations

import numpy as np

from ..image.mask import mask_bits
from .frame import Frame

__all__ = ["mask_saturated", "mask_suspect"]


def mask_suspect(frame: Frame) -> None:
    """Set SUSPECT, in place, at and above the level of good linearity."""
    _mask(frame, [amp.suspect for amp in frame.detector.amplifiers], "SUSPECT")


def mask_saturated(frame: Frame) -> None:
    """Set SAT, in place, at and above the saturation level."""
    _mask(frame, [amp.saturation for amp in frame.detector.amplifiers], "SAT")


def _mask(frame: Frame, levels: list[float], plane: str) -> None:
    """Set a plane in the amplifiers that work; a level that is not finite is none."""
    for amp, level in zip(frame.detector.amplifiers, levels, strict=True):
        if amp.index not in frame.dead and np.isfinite(level):
            full = frame.inputs.raw.pixels[amp.data.slices] >= level
            frame.exposure.mask[amp.trimmed.slices][full] |= mask_bits(plane)
