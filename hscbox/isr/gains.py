"""Between ADU and electrons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..camera.detector import Detector
from ..numerics.arrays import Float32Array
from ..numerics.compiler import njit

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
    electrons = np.empty_like(image)
    _multiply(image, gains, electrons)
    return electrons


def add_electrons(image: Float32Array, electrons: Float32Array, gains: Float32Array) -> None:
    """Add `electrons`, divided by the gain of each column, to `image` [ADU] in place."""
    _add_quotient(image, electrons, gains)


@njit
def _multiply(image: Any, gains: Any, out: Any) -> None:
    for y in range(image.shape[0]):
        row, target = image[y], out[y]
        n_finite = 0
        for x in range(row.size):
            value = row[x] * gains[x]
            target[x] = value
            # The difference of a number from itself is nan for nan and infinity.
            n_finite += 1 if value - value == np.float32(0.0) else 0
        if n_finite < row.size:
            _fill(target)


@njit
def _fill(row: Any) -> None:
    last = np.float32(0.0)
    for x in range(row.size - 1, -1, -1):
        if np.isfinite(row[x]):
            last = row[x]
    for x in range(row.size):
        if np.isfinite(row[x]):
            last = row[x]
        else:
            row[x] = last


@njit
def _add_quotient(image: Any, electrons: Any, gains: Any) -> None:
    for y in range(image.shape[0]):
        row, more = image[y], electrons[y]
        for x in range(row.size):
            row[x] += more[x] / gains[x]
