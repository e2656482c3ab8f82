"""Stamps of sources as the HSM measurements see them, and the moments of all sources."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...numerics.arrays import BoolArray, FloatArray, Int32Array
from ...numerics.compiler import njit
from ..pixels import put_back, take_out
from .hsm_moments import HsmMoments, hsm_moments

__all__ = ["HsmSources", "box_of", "masked_stamp", "measure_sources", "moments_of"]


class HsmSources(NamedTuple):
    """HSM moments of sources."""

    good: BoolArray
    """(n,) whether they could be measured."""
    table: FloatArray
    """(n, 7) x, y, xx, yy, xy, sum, rho4 of `HsmMoments`, x and y in the exposure."""
    empty: BoolArray
    """(n,) whether the footprint has no pixels."""
    not_contained: BoolArray
    """(n,) whether the centroid lies outside of the footprint's box."""


@njit
def measure_sources(
    pixels: Any, mask: Int32Array, bad: np.int32, x: FloatArray, y: FloatArray, sigma: FloatArray
) -> HsmSources:
    """Measure the moments of sources in the boxes of their footprints.

    Parameters
    ----------
    pixels
        `SourcePixels`.
    mask, bad
        Mask of the exposure, and the bits of pixels that do not count.
    x, y
        (n,) centroids [px]: first guesses.
    sigma
        (n,) first guesses of the width [px].
    """
    n = x.size
    good, table = np.zeros(n, np.bool_), np.full((n, 7), np.nan)
    empty, outside = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for i in range(n):
        empty[i] = pixels.start[i] == pixels.start[i + 1]
        if empty[i]:
            continue
        box = box_of(pixels, i)
        outside[i] = not (box[0] - 0.5 <= x[i] < box[2] + 0.5 and box[1] - 0.5 <= y[i] < box[3] + 0.5)
        if outside[i] or not sigma[i] > 0.0:
            continue
        put_back(pixels, i)
        stamp = masked_stamp(pixels.work, mask, bad, box)
        take_out(pixels, i)
        square = sigma[i] * sigma[i]
        m = hsm_moments(stamp, x[i] - box[0], y[i] - box[1], square, square, 0.0)
        good[i] = m.good
        table[i, 0], table[i, 1] = m.x + box[0], m.y + box[1]
        table[i, 2], table[i, 3], table[i, 4], table[i, 5], table[i, 6] = m.xx, m.yy, m.xy, m.sum, m.rho4
    return HsmSources(good, table, empty, outside)


@njit
def box_of(pixels: Any, i: int) -> tuple[int, int, int, int]:
    """Return the first column, first row, last column and last row of the pixels of source `i`."""
    width = pixels.work.shape[1]
    first, last = pixels.start[i], pixels.start[i + 1]
    # Pixels of a footprint are in raster order.
    bottom, top = pixels.where[first] // width, pixels.where[last - 1] // width
    left, right = width, -1
    for k in range(first, last):
        column = pixels.where[k] % width
        left, right = min(left, column), max(right, column)
    return left, bottom, right, top


@njit
def masked_stamp(plane: Any, mask: Any, bad: Any, box: tuple[int, int, int, int]) -> Any:
    """Return the pixels of a box as float64, those with a bad bit 0."""
    left, bottom, right, top = box
    stamp = np.zeros((top - bottom + 1, right - left + 1))
    for j in range(stamp.shape[0]):
        for i in range(stamp.shape[1]):
            if mask[bottom + j, left + i] & bad == 0:
                stamp[j, i] = plane[bottom + j, left + i]
    return stamp


@njit
def moments_of(good: bool, row: Any, left: int, bottom: int) -> HsmMoments:
    """Return a row of `HsmSources.table` as moments in a stamp whose first pixel is (left, bottom)."""
    return HsmMoments(good, row[0] - left, row[1] - bottom, row[2], row[3], row[4], row[5], row[6])
