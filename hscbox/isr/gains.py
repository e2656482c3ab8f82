"""Between ADU and electrons."""

from __future__ import annotations

import math

import numpy as np

from ..camera.detector import Detector
from ..numerics.arrays import Float32Array

__all__ = ["add_electrons", "column_gains", "electrons_of"]


def column_gains(detector: Detector) -> Float32Array:
    """Return the gain [e-/ADU] of every column of the trimmed image; 1 in amplifiers without gain."""
    gains = np.ones(detector.width, np.float32)
    for amp in detector.amplifiers:
        if math.isfinite(amp.gain) and amp.gain > 0:
            gains[amp.trimmed.slices[1]] = amp.gain
    return gains


def electrons_of(image: Float32Array, gains: Float32Array) -> Float32Array:
    """Return a copy of `image` [ADU] times the gain of each column.

    What is not finite takes the value of the pixel left or right of it, so that no hole repels charge; 0 in rows
    without any finite pixel.
    """
    electrons = image * gains
    finite = np.isfinite(electrons)
    for y in np.flatnonzero(~finite.all(axis=1)):
        good = np.flatnonzero(finite[y])
        left = np.searchsorted(good, np.arange(finite.shape[1]), side="right") - 1
        electrons[y] = electrons[y, good[np.maximum(left, 0)]] if good.size else 0.0
    return electrons


def add_electrons(image: Float32Array, electrons: Float32Array, gains: Float32Array) -> None:
    """Add `electrons`, divided by the gain of each column, to `image` [ADU] in place."""
    image += electrons / gains
