"""Medians and means of many square boxes of an image.

Medians: every pixel is given the number of a narrow interval of values once; a box then needs one counting pass, and
a sort of the few values in the interval of the median. Exact for any choice of intervals.
Means: differences of sums from the corner.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics.arrays import BoolArray, Float32Array, FloatArray, IntArray
from ..numerics.compiler import njit
from ..numerics.statistics import median_and_clipped_mean

__all__ = ["box_means", "box_medians"]

_N_BINS = 1024
_HALF_RANGE = 5.0
"""Standard deviations covered by the intervals; the first and last one hold everything beyond."""


def box_medians(
    image: Float32Array,
    usable: BoolArray,
    xs: IntArray,
    ys: IntArray,
    half: int,
) -> FloatArray:
    """Return the median of the usable pixels from -half to half - 1 about each position, in x and in y.

    All boxes must lie on the image. Boxes without usable pixels give nan.
    """
    values = np.where(usable, image, np.float32(np.nan))
    centre, clipped = median_and_clipped_mean(values)
    width = 2.0 * _HALF_RANGE * clipped.std if clipped.n > 1 and clipped.std > 0.0 else 1.0
    bins = np.full(image.shape, _N_BINS, np.uint16)
    _fill_bins(values, centre - 0.5 * width, _N_BINS / width, bins)
    # Neighbours one after the other find their pixels in the cache.
    order = np.lexsort((xs, ys // 16))
    result = np.empty(xs.size, np.float64)
    result[order] = _medians(values, bins, xs[order], ys[order], half)
    return result


def box_means(
    image: Float32Array,
    usable: BoolArray,
    xs: IntArray,
    ys: IntArray,
    half: int,
) -> FloatArray:
    """Return the mean of the usable pixels in the same boxes as `box_medians`."""
    shape = image.shape[0] + 1, image.shape[1] + 1
    sums, numbers = np.zeros(shape, np.float64), np.zeros(shape, np.int64)
    _integrate(image, usable, sums, numbers)
    low_x, high_x, low_y, high_y = xs - half, xs + half, ys - half, ys + half
    total, number = (s[high_y, high_x] - s[low_y, high_x] - s[high_y, low_x] + s[low_y, low_x] for s in (sums, numbers))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


@njit
def _integrate(image: Any, usable: Any, sums: Any, numbers: Any) -> None:
    """Fill element [y, x] with sum and number of the usable pixels below row y and left of column x."""
    for y in range(image.shape[0]):
        total, number = 0.0, 0
        for x in range(image.shape[1]):
            if usable[y, x]:
                total += image[y, x]
                number += 1
            sums[y + 1, x + 1] = sums[y, x + 1] + total
            numbers[y + 1, x + 1] = numbers[y, x + 1] + number


@njit
def _fill_bins(values: Any, low: float, scale: float, bins: Any) -> None:
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            if np.isfinite(values[y, x]):
                bins[y, x] = np.uint16(min(max((values[y, x] - low) * scale, 0.0), _N_BINS - 1.0))


@njit
def _medians(values: Any, bins: Any, xs: Any, ys: Any, half: int) -> Any:
    result = np.full(xs.size, np.nan)
    counts = np.empty(_N_BINS + 1, np.int64)
    for k in range(xs.size):
        box = slice(ys[k] - half, ys[k] + half), slice(xs[k] - half, xs[k] + half)
        box_bins, box_values = bins[box], values[box]
        counts[:] = 0
        for y in range(2 * half):
            row = box_bins[y]
            for x in range(2 * half):
                counts[row[x]] += 1
        n = 4 * half * half - counts[_N_BINS]
        if n == 0:
            continue
        lower, upper = _ranked(box_values, box_bins, counts, (n - 1) // 2, n // 2)
        result[k] = 0.5 * (lower + upper)
    return result


@njit
def _ranked(values: Any, bins: Any, counts: Any, first: int, second: int) -> tuple[float, float]:
    """Return the values of two ranks that are equal or neighbours."""
    number, before = 0, 0
    while before + counts[number] <= first:
        before += counts[number]
        number += 1
    found = _sorted_bin(values, bins, number, counts[number])
    lower = np.float64(found[first - before])
    if second - before < counts[number]:
        return lower, np.float64(found[second - before])
    number += 1
    while counts[number] == 0:
        number += 1
    return lower, np.float64(_sorted_bin(values, bins, number, counts[number])[0])


@njit
def _sorted_bin(values: Any, bins: Any, number: int, count: int) -> Any:
    found = np.empty(count, np.float32)
    n = 0
    for y in range(bins.shape[0]):
        for x in range(bins.shape[1]):
            if bins[y, x] == number:
                found[n] = values[y, x]
                n += 1
    found.sort()
    return found
