"""Least squares fits of PSFs to the peaks of a blend: the compiled loops under `deblend_psf`."""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import ByteArray, Float32Array, FloatArray, IntArray
from ..numerics.cholesky import solve_positive
from ..numerics.compiler import njit

__all__ = ["Peaks", "Region", "fit_peaks"]

_MOST_NEIGHBOURS = 16
"""More terms would make the cost of a peak grow with the number of peaks, and leave no degrees of freedom."""

# Image, variance, footprint; radius of full weight, radius of no weight, tiny size.
Region = tuple[Float32Array, Float32Array, ByteArray, int, int, int]
# Peaks x, y; stamps and the columns and rows of their first pixels in the cut-out.
Peaks = tuple[IntArray, IntArray, FloatArray, IntArray, IntArray]


@njit
def fit_peaks(
    region: Region,
    peaks: Peaks,
    which: IntArray,
    stamps: FloatArray,
    x0: IntArray,
    y0: IntArray,
    with_derivatives: bool,
) -> FloatArray:
    """Fit the peaks numbered `which`, drawn by `stamps`; others are drawn by the stamps in `peaks`.

    Returns
    -------
    (len(which), 4): flux, chi^2 per degree of freedom (inf if there is none), shift in x and y [px].
    """
    n_derivatives = 2 if with_derivatives else 0
    results = np.zeros((len(which), 4))
    for i in range(len(which)):
        results[i, 1] = np.inf
        near = _neighbours(peaks, which[i], region[4] + stamps.shape[1] // 2)
        n_terms = 4 + len(near) + n_derivatives
        rows, data, weights, total = _equations(region, peaks, which[i], near, stamps[i], x0[i], y0[i], n_terms)
        if total - n_terms <= 0.0:
            continue
        terms = _solve(rows, data, weights)
        chi2 = 0.0
        for j in range(len(data)):
            residual = data[j]
            for k in range(n_terms):
                residual -= rows[j, k] * terms[k]
            chi2 += weights[j] * residual * residual
        results[i, 0] = terms[0]
        results[i, 1] = chi2 / (total - n_terms)
        if with_derivatives and terms[0] > 0.0:
            results[i, 2] = terms[n_terms - 2] / terms[0]
            results[i, 3] = terms[n_terms - 1] / terms[0]
    return results


@njit
def _neighbours(peaks: Peaks, peak: int, reach: int) -> IntArray:
    """Return the numbers of the other peaks within `reach` [px], at most the 16 nearest ones, in rising order."""
    peak_x, peak_y = peaks[0], peaks[1]
    near = np.empty(len(peak_x), dtype=np.int64)
    distance2 = np.empty(len(peak_x), dtype=np.int64)
    n = 0
    for k in range(len(peak_x)):
        squared = (peak_x[k] - peak_x[peak]) ** 2 + (peak_y[k] - peak_y[peak]) ** 2
        if k != peak and squared < reach * reach:
            near[n], distance2[n] = k, squared
            n += 1
    if n <= _MOST_NEIGHBOURS:
        return near[:n]
    nearest = np.argsort(distance2[:n], kind="mergesort")[:_MOST_NEIGHBOURS]
    return near[np.sort(nearest)]


@njit
def _equations(
    region: Region,
    peaks: Peaks,
    peak: int,
    near: IntArray,
    stamp: FloatArray,
    x0: int,
    y0: int,
    n_terms: int,
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return the rows of terms, data and weights of the fit about a peak, and the sum of the ramp weights.

    Terms: PSF, constant, slopes in x and y, neighbours and, if `n_terms` has room for them, derivatives in x and y.
    """
    image, variance, inside, inner, outer, tiny_size = region
    peak_x, peak_y, other_stamps, other_x0, other_y0 = peaks
    cx, cy = peak_x[peak], peak_y[peak]
    left, right = max(cx - outer, 0), min(cx + outer, image.shape[1] - 1)
    bottom, top = max(cy - outer, 0), min(cy + outer, image.shape[0] - 1)
    rows = np.zeros(((right - left + 1) * (top - bottom + 1), n_terms))
    data = np.empty(len(rows))
    weights = np.empty(len(rows))
    n = 0
    total = 0.0
    low_x, high_x, low_y, high_y = right, left, top, bottom
    for y in range(bottom, top + 1):
        for x in range(left, right + 1):
            r = np.sqrt(np.float64((x - cx) ** 2 + (y - cy) ** 2))
            ramp = 1.0 if r <= inner else (outer - r) / (outer - inner)
            if inside[y, x] == 0 or ramp <= 0.0 or not variance[y, x] > 0.0 or not np.isfinite(image[y, x]):
                continue
            row = rows[n]
            sx, sy = x - x0, y - y0
            row[0] = _at(stamp, sx, sy)
            row[1], row[2], row[3] = 1.0, x - cx, y - cy
            for k in range(len(near)):
                row[4 + k] = _at(other_stamps[near[k]], x - other_x0[near[k]], y - other_y0[near[k]])
            if n_terms == 6 + len(near):
                # A PSF moved by d is lower by d times its slope.
                row[n_terms - 2] = -_slope(stamp, sx, sy, 1, 0)
                row[n_terms - 1] = -_slope(stamp, sx, sy, 0, 1)
            data[n] = image[y, x]
            weights[n] = ramp / variance[y, x]
            total += ramp
            low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
            n += 1
    if high_x - low_x + 1 <= tiny_size or high_y - low_y + 1 <= tiny_size:
        total = 0.0
    return rows[:n], data[:n], weights[:n], total


@njit
def _at(stamp: FloatArray, x: int, y: int) -> float:
    if x < 0 or y < 0 or y >= stamp.shape[0] or x >= stamp.shape[1]:
        return 0.0
    return float(stamp[y, x])


@njit
def _slope(stamp: FloatArray, x: int, y: int, dx: int, dy: int) -> float:
    """Return the slope in a direction from four pixels; two are 15 % off for a PSF of sigma 1.3 px."""
    near = _at(stamp, x + dx, y + dy) - _at(stamp, x - dx, y - dy)
    far = _at(stamp, x + 2 * dx, y + 2 * dy) - _at(stamp, x - 2 * dx, y - 2 * dy)
    return (8.0 * near - far) / 12.0


@njit
def _solve(rows: FloatArray, data: FloatArray, weights: FloatArray) -> FloatArray:
    """Solve weighted least squares; a term that barely enters, as a far neighbour's PSF, is left out with value 0."""
    n, n_terms = rows.shape
    matrix = np.zeros((n_terms, n_terms))
    right = np.zeros(n_terms)
    for j in range(n):
        for k in range(n_terms):
            weighted = weights[j] * rows[j, k]
            right[k] += weighted * data[j]
            for m in range(k + 1):
                matrix[k, m] += weighted * rows[j, m]
    solve_positive(matrix, right, 1e-10)
    return right
