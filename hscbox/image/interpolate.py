"""Linear prediction of bad pixels from their neighbours in the same row.

Wiener interpolation (Rybicki & Press 1992, ApJ 398, 169) with the autocorrelation of a critically narrow PSF,
rho(d) = exp(-d^2 / 4): the best unbiased linear prediction from at most two good pixels on either side. The weights
depend on the geometry alone. Used for defects, saturated pixels, cosmic rays and NaNs (lsst/meas_algorithms
b99accf8, Interp.cc, describes the same scheme).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..camera.boxes import Box
from ..numerics.arrays import BoolArray, Float32Array, FloatArray, Int32Array
from ..numerics.compiler import njit
from ..numerics.statistics import clipped_mean
from .mask import mask_bits

__all__ = ["TRANSITION", "interpolate_boxes", "interpolate_pixels", "prediction_weights"]

TRANSITION = 6
"""Pixels next to a good one that are predicted; farther ones get the mean of the neighbours or of all good pixels."""

_LONGEST = 2 * TRANSITION + 1  # in a longer run both ends and the middle are those of this length


@cache
def prediction_weights(n_left: int, n_right: int, n_bad: int, position: int) -> tuple[float, ...]:
    """Return the weights of the good neighbours of one pixel in a run of bad ones.

    Parameters
    ----------
    n_left, n_right
        Good pixels to use left and right of the run, 0 to 2 each and not both 0.
    n_bad, position
        Length of the run and index in it of the pixel to predict, from the left.

    Returns
    -------
    tuple
        Weights of the good pixels from left to right; they minimise the expected square error under the condition
        that their sum is one.
    """
    good = np.array([*range(-n_left, 0), *range(n_bad, n_bad + n_right)], np.float64)
    nearest = np.min(np.abs(good - position))
    # Beyond the transition nothing is known of the pixel: all that is left is the mean of the neighbours.
    known = 1.0 if nearest <= TRANSITION else 0.0
    system = np.ones((good.size + 1, good.size + 1))
    system[:-1, :-1] = _autocorrelation(good[:, None] - good[None, :])
    system[-1, -1] = 0.0
    right_side = np.append(known * _autocorrelation(good - position), 1.0)
    return tuple(float(w) for w in np.linalg.solve(system, right_side)[:-1])


def interpolate_boxes(
    image: Float32Array,
    variance: Float32Array,
    mask: Int32Array,
    boxes: Sequence[Box],
) -> int:
    """Interpolate, in place, over the pixels of `boxes` (clipped to the image); see `interpolate_pixels`."""
    frame = Box(0, 0, image.shape[1], image.shape[0])
    bad = np.zeros(image.shape, np.bool_)
    for box in boxes:
        bad[box.clip(frame).slices] = True
    return interpolate_pixels(image, variance, mask, bad)


def interpolate_pixels(
    image: Float32Array,
    variance: Float32Array,
    mask: Int32Array,
    bad: BoolArray,
) -> int:
    """Replace, in place, image and variance of the bad pixels by their linear prediction and set INTRP.

    Where prediction is impossible (in runs at the left or right edge that are wider than `TRANSITION`, beyond that
    distance from the good side, and in rows without any good pixel) they become the clipped means of the good pixels.

    Parameters
    ----------
    image, variance, mask
        The three planes, [y, x]. A predicted variance that is not positive although its neighbours are is replaced
        by the mean of the neighbours.
    bad
        Pixels to replace; all others are trusted.

    Returns
    -------
    int
        Number of pixels replaced.
    """
    n_bad, needs_fallback = _survey(bad)
    if n_bad == 0:
        return 0
    value, spread = _fallback(image, variance, bad) if needs_fallback else (0.0, 0.0)
    _interpolate_rows(image, variance, mask, bad, _tables(), value, spread, np.int32(mask_bits("INTRP")))
    return n_bad


def _autocorrelation(distance: FloatArray) -> FloatArray:
    return np.exp(-0.25 * distance * distance)


def _fallback(image: npt.NDArray[Any], variance: npt.NDArray[Any], bad: BoolArray) -> tuple[float, float]:
    bits = bad.astype(np.int32)
    value, spread = clipped_mean(image, bits, 1).mean, clipped_mean(variance, bits, 1).mean
    return (value if np.isfinite(value) else 0.0, spread if np.isfinite(spread) else 0.0)


@cache
def _tables() -> FloatArray:
    """Return weights [n_left, n_right, n_bad, position, k]; k counts left far, left near, right near, right far."""
    table = np.zeros((3, 3, _LONGEST + 1, _LONGEST, 4))
    for n_left in range(3):
        for n_right in range(3):
            for n_bad in range(1, _LONGEST + 1) if n_left + n_right else ():
                for position in range(n_bad):
                    weights = prediction_weights(n_left, n_right, n_bad, position)
                    table[n_left, n_right, n_bad, position, 2 - n_left : 2 + n_right] = weights
    table.setflags(write=False)
    return table


@njit
def _survey(bad: Any) -> tuple[int, bool]:
    """Return the number of bad pixels and whether a run at an edge is too wide for prediction."""
    height, width = bad.shape
    total = 0
    wide = False
    for y in range(height):
        run = 0
        for x in range(width):
            if bad[y, x]:
                total += 1
                run += 1
                if run > TRANSITION and (run == x + 1 or x == width - 1):
                    wide = True
            else:
                run = 0
    return total, wide


@njit
def _interpolate_rows(
    image: Any, variance: Any, mask: Any, bad: Any, tables: Any, value: float, spread: float, intrp: Any
) -> None:
    height, width = image.shape
    for y in range(height):
        x = 0
        while x < width:
            if not bad[y, x]:
                x += 1
                continue
            start = x
            while x < width and bad[y, x]:
                mask[y, x] |= intrp
                x += 1
            _predict_run(image[y], variance[y], bad[y], start, x, tables, value, spread)


@njit
def _predict_run(
    row: Any, variance: Any, bad: Any, start: int, stop: int, tables: Any, value: float, spread: float
) -> None:
    """Predict the pixels start <= x < stop of one row; pixel start - 1 and pixel stop are good or outside."""
    width = row.size
    n_bad = stop - start
    n_left = 0 if start == 0 else (1 if start == 1 or bad[start - 2] else 2)
    n_right = 0 if stop == width else (1 if stop == width - 1 or bad[stop + 1] else 2)
    length = min(n_bad, _LONGEST)
    for x in range(start, stop):
        from_left = x - start + 1
        from_right = stop - x
        lost = (n_left == 0 and from_right > TRANSITION) or (n_right == 0 and from_left > TRANSITION)
        if (n_left == 0 and n_right == 0) or lost:
            row[x] = value
            variance[x] = spread
            continue
        if from_left <= TRANSITION:
            position = from_left - 1
        elif from_right <= TRANSITION:
            position = length - from_right
        else:
            position = TRANSITION
        weights = tables[n_left, n_right, length, position]
        signal, noise, mean = 0.0, 0.0, 0.0
        for k in range(n_left):
            w = weights[1 - k]
            signal += w * row[start - 1 - k]
            noise += w * variance[start - 1 - k]
            mean += variance[start - 1 - k] / (n_left + n_right)
        for k in range(n_right):
            w = weights[2 + k]
            signal += w * row[stop + k]
            noise += w * variance[stop + k]
            mean += variance[stop + k] / (n_left + n_right)
        row[x] = signal
        variance[x] = mean if noise <= 0.0 and mean > 0.0 else noise
