"""Follow the tracks of cosmic rays from the pixels that are surely theirs.

A long track is faint in places, and two pixels wide where the particle passed between their centres; there it rises
hardly more steeply than the sharpest star, so that the strict test fails and the rounds of growth end. Beside a
pixel that was hit another hit is likely, so that a looser test suffices: hysteresis.
"""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import BoolArray, Float32Array, FloatArray, Int32Array, IntArray
from ..numerics.compiler import njit
from .cosmic_ray_steepness import Steepness, any_around, is_steep
from .cosmic_ray_values import replace_pixels

__all__ = ["WIDEST", "follow_tracks", "in_raster_order"]

WIDEST = 0.55
"""Largest useful limit: over a track of two equal columns the mean across is half of the pixel, and some noise."""

_ROUNDS_MAX = 1000
_REACH = 3


def follow_tracks(
    image: Float32Array,
    mask: Int32Array,
    variance: Float32Array,
    is_ray: BoolArray,
    y: IntArray,
    x: IntArray,
    *,
    steepness: Steepness,
    background: float,
    min_sigma: float,
    bad_bits: int,
) -> tuple[IntArray, IntArray]:
    """Return all pixels of the tracks that pass through known pixels, in raster order, known ones included.

    Pixels beside known ones are tested until none is left that passes; before each round the known pixels, later
    those near new ones, get new values from what is still thought sound. The outcome does not depend on the order of
    the known pixels.

    Parameters
    ----------
    image
        Pixels [ADU], shape (height, width); those of cosmic rays are replaced.
    mask, variance
        Mask bits and variances [ADU^2].
    is_ray
        True at the known pixels; the new ones are added.
    y, x
        The known pixels.
    steepness
        Limits of the looser test.
    background
        Level of the sky [ADU].
    min_sigma
        Least height above the mean of two opposite neighbours, standard deviations.
    bad_bits
        Pixels that have any of these mask bits, or touch one that has, are left alone.
    """
    touched = np.zeros(image.shape, dtype=np.bool_)
    active_y, active_x = y, x
    for _ in range(_ROUNDS_MAX):
        replace_pixels(image, variance, is_ray, active_y, active_x, background, smooth_sky=False)
        more_y, more_x = _beside(
            image, mask, variance, is_ray, active_y, active_x, steepness.limits, background, min_sigma, bad_bits
        )
        if not len(more_y):
            break
        y, x = np.concatenate([y, more_y]), np.concatenate([x, more_x])
        active = _near(touched, more_y, more_x, y, x)
        active_y, active_x = y[active], x[active]
    return in_raster_order(y, x)


def in_raster_order(y: IntArray, x: IntArray) -> tuple[IntArray, IntArray]:
    """Return pixels row by row, from left to right."""
    order = np.lexsort((x, y))
    return y[order], x[order]


@njit
def _near(
    touched: BoolArray,
    new_y: IntArray,
    new_x: IntArray,
    ys: IntArray,
    xs: IntArray,
) -> BoolArray:
    """Return which of the known pixels are close enough to new ones to get another value; `touched` stays False."""
    height, width = touched.shape
    for mark in (True, False):
        for i in range(len(new_y)):
            for y in range(max(new_y[i] - _REACH, 0), min(new_y[i] + _REACH + 1, height)):
                for x in range(max(new_x[i] - _REACH, 0), min(new_x[i] + _REACH + 1, width)):
                    touched[y, x] = mark
        if mark:
            near = np.empty(len(ys), dtype=np.bool_)
            for i in range(len(ys)):
                near[i] = touched[ys[i], xs[i]]
    return near


@njit
def _beside(
    image: Float32Array,
    mask: Int32Array,
    variance: Float32Array,
    is_ray: BoolArray,
    ys: IntArray,
    xs: IntArray,
    limits: FloatArray,
    background: float,
    min_sigma: float,
    bad_bits: int,
) -> tuple[IntArray, IntArray]:
    """Mark and return the pixels beside known ones that pass the test."""
    height, width = image.shape
    found = np.empty((2, 8 * len(ys)), dtype=np.int64)
    n = 0
    for i in range(len(ys)):
        for y in range(max(ys[i] - 1, 0), min(ys[i] + 2, height)):
            for x in range(max(xs[i] - 1, 0), min(xs[i] + 2, width)):
                if is_ray[y, x] or not image[y, x] >= background or any_around(mask, y, x, bad_bits):
                    continue
                if is_steep(image, variance, y, x, limits, background, min_sigma, 0.0)[0]:
                    is_ray[y, x] = True
                    found[0, n], found[1, n] = y, x
                    n += 1
    return found[0, :n].copy(), found[1, :n].copy()
