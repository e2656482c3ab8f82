"""Runs of pixels: the compiled loops under footprints.

A run is a row (y, x0, x1) of an int32 array, both ends included; runs are in raster order.
"""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import ByteArray, Float32Array, Int32Array, IntArray
from ..numerics.compiler import njit

__all__ = [
    "count_run_bits",
    "label_runs",
    "paint_disc",
    "peak_pixels",
    "runs_above",
    "runs_of_pixels",
    "set_run_bits",
]


@njit
def runs_above(
    image: Float32Array | ByteArray, threshold: np.float32, border: int, sign: np.float32
) -> tuple[Int32Array, Float32Array]:
    """Return the runs of pixels with sign * value >= threshold and the largest sign * value of each.

    Pixels within `border` of a side are left out. NaN is never above.
    """
    height, width = image.shape
    n = 0
    for y in range(border, height - border):
        n += _row_runs(image[y, border : width - border], threshold, sign)
    runs = np.empty((n, 3), dtype=np.int32)
    largest = np.empty(n, dtype=np.float32)
    n = 0
    for y in range(border, height - border):
        line = image[y, border : width - border]
        inside = False
        for x in range(len(line)):
            value = sign * line[x]
            if value >= threshold:
                if not inside:
                    inside = True
                    runs[n, 0], runs[n, 1] = y, x + border
                    largest[n] = value
                elif value > largest[n]:
                    largest[n] = value
            elif inside:
                inside = False
                runs[n, 2] = x - 1 + border
                n += 1
        if inside:
            runs[n, 2] = width - border - 1
            n += 1
    return runs, largest


@njit
def _row_runs(line: Float32Array | ByteArray, threshold: np.float32, sign: np.float32) -> int:
    n = 0
    before = False
    for x in range(len(line)):
        above = sign * line[x] >= threshold
        if above and not before:
            n += 1
        before = above
    return n


@njit
def _root(parents: IntArray, i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@njit
def label_runs(runs: Int32Array) -> tuple[IntArray, int]:
    """Return the number of the 8-connected group of each run and how many groups there are.

    Groups are numbered in the order of their first run. Runs of one row may touch.
    """
    n = len(runs)
    parents = np.arange(n)
    above = 0
    for i in range(n):
        y = runs[i, 0]
        # Runs of the row before that end before this run begins can touch no later run of this row either.
        while above < i and (runs[above, 0] < y - 1 or (runs[above, 0] == y - 1 and runs[above, 2] < runs[i, 1] - 1)):
            above += 1
        if i > 0 and runs[i - 1, 0] == y and runs[i - 1, 2] >= runs[i, 1] - 1:
            parents[i] = _root(parents, i - 1)
        k = above
        while k < i and runs[k, 0] == y - 1 and runs[k, 1] <= runs[i, 2] + 1:
            a, b = _root(parents, i), _root(parents, k)
            # The earlier run leads, so that the root of a group is its first run.
            if a < b:
                parents[b] = a
            else:
                parents[a] = b
            k += 1
    labels = np.empty(n, dtype=np.int64)
    n_groups = 0
    for i in range(n):
        root = _root(parents, i)
        if root == i:
            labels[i] = n_groups
            n_groups += 1
        else:
            labels[i] = labels[root]
    return labels, n_groups


@njit
def peak_pixels(
    image: Float32Array,
    runs: Int32Array,
    owner: IntArray,
    n_groups: int,
    border: int,
    sign: np.float32,
) -> tuple[IntArray, IntArray, IntArray]:
    """Return x, y and group of the peaks: pixels of the runs not below any of their 8 neighbours.

    The outermost rows and columns within `border` have no peaks. A group without peak gets its brightest pixel
    (the first in raster order).
    """
    height, width = image.shape
    capacity = n_groups
    for i in range(len(runs)):
        capacity += runs[i, 2] - runs[i, 1] + 1
    found = np.empty((3, capacity), dtype=np.int64)
    n = 0
    best = np.full(n_groups, np.float32(-np.inf), dtype=np.float32)
    best_x = np.zeros(n_groups, dtype=np.int64)
    best_y = np.zeros(n_groups, dtype=np.int64)
    has_peak = np.zeros(n_groups, dtype=np.bool_)
    for i in range(len(runs)):
        y, group = int(runs[i, 0]), owner[i]
        for x in range(runs[i, 1], runs[i, 2] + 1):
            value = sign * image[y, x]
            if value > best[group]:
                best[group] = value
                best_x[group] = x
                best_y[group] = y
            inside = border < y < height - 1 - border and border < x < width - 1 - border
            if inside and _is_peak(image, x, y, sign):
                found[0, n], found[1, n], found[2, n] = x, y, group
                n += 1
                has_peak[group] = True
    for group in range(n_groups):
        if not has_peak[group]:
            found[0, n], found[1, n], found[2, n] = best_x[group], best_y[group], group
            n += 1
    return found[0, :n].copy(), found[1, :n].copy(), found[2, :n].copy()


@njit
def _is_peak(image: Float32Array, x: int, y: int, sign: np.float32) -> bool:
    value = sign * image[y, x]
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if sign * image[y + dy, x + dx] > value:
                return False
    return True


@njit
def paint_disc(painted: ByteArray, runs: Int32Array, half_widths: IntArray) -> None:
    """Set to 1 the pixels of the runs dilated by an element of the given half widths per row."""
    height, width = painted.shape
    radius = len(half_widths) // 2
    for i in range(len(runs)):
        for dy in range(-radius, radius + 1):
            y = runs[i, 0] + dy
            if 0 <= y < height:
                half = half_widths[dy + radius]
                painted[y, max(0, runs[i, 1] - half) : min(width, runs[i, 2] + half + 1)] = 1


@njit
def set_run_bits(mask: Int32Array, runs: Int32Array, bits: int) -> None:
    """Set bits in the pixels of the runs; `mask` is modified."""
    for i in range(len(runs)):
        for x in range(runs[i, 1], runs[i, 2] + 1):
            mask[runs[i, 0], x] |= bits


@njit
def runs_of_pixels(ys: IntArray, xs: IntArray) -> Int32Array:
    """Return the runs of pixels given in raster order."""
    runs = np.empty((len(ys), 3), dtype=np.int32)
    n = 0
    for i in range(len(ys)):
        if n > 0 and runs[n - 1, 0] == ys[i] and runs[n - 1, 2] == xs[i] - 1:
            runs[n - 1, 2] = xs[i]
        else:
            runs[n, 0], runs[n, 1], runs[n, 2] = ys[i], xs[i], xs[i]
            n += 1
    return runs[:n].copy()


@njit
def count_run_bits(mask: Int32Array, runs: Int32Array, bits: int) -> int:
    """Return the number of pixels of the runs with any of `bits`."""
    n = 0
    for i in range(len(runs)):
        for x in range(runs[i, 1], runs[i, 2] + 1):
            if mask[runs[i, 0], x] & bits != 0:
                n += 1
    return n
