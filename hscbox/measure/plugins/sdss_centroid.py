"""Centroid by quartic interpolation of the PSF-smoothed image.

Pier et al. 2003, AJ 125, 1559 (SDSS photo); error formulae as in lsst/meas_base 79989139. An object that is wider
than the PSF is binned until the maximum is well sampled.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np
from numpy.typing import NDArray

from hscbox.catalog.schema import Schema
from hscbox.image.psf import Psf
from hscbox.jit import njit

from ..centroid_check import reset_outside_footprint
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import Plugin, register
from ..psf_moments import stamp_moments

__all__ = ["SdssCentroid", "SdssCentroidConfig"]

_EDGE, _NO_SECOND, _ALMOST_NO_SECOND, _NOT_MAXIMUM = 1, 2, 3, 4
_FAILURES = {
    _EDGE: "edge",
    _NO_SECOND: "noSecondDerivative",
    _ALMOST_NO_SECOND: "almostNoSecondDerivative",
    _NOT_MAXIMUM: "notAtMaximum",
}
# Correction of a parabola's maximum for the fourth derivative of a Gaussian.
_QUARTIC = 1.33
# A step that is longer than this, in units of the curvature, says that there is no maximum near.
_LONGEST_STEP = 10.0
# The smoothing kernel is that of the middle of a cell of this size [px]: the PSF hardly varies within one.
_CELL = 128


class SdssCentroidConfig(pex_config.Config):  # type: ignore[misc]
    """Parameters of base_SdssCentroid."""

    binmax = pex_config.RangeField("Coarsest binning tried (px).", int, default=16, min=1)
    peakMin = pex_config.Field("Bin until the smoothed peak is higher [ADU]; negative: off.", float, default=-1.0)
    wfac = pex_config.RangeField("Bin if the width exceeds this times that of the PSF.", float, default=1.5, min=0)
    doFootprintCheck = pex_config.Field("Go back to the peak if the centroid leaves the footprint?", bool, default=True)
    maxDistToPeak = pex_config.Field(
        "Go back if farther from the peak than this (px); negative: off.", float, default=-1.0
    )


@register("base_SdssCentroid")
class SdssCentroid(Plugin):
    """base_SdssCentroid."""

    ConfigClass: ClassVar[type[Any]] = SdssCentroidConfig
    order: ClassVar[float] = 0.0

    def declare(self, schema: Schema) -> None:
        """Add positions, errors and flags."""
        for axis in "xy":
            schema.add_field(f"{self.name}_{axis}", "D", f"SDSS quartic-interpolated centroid, {axis}", "pixel")
        for axis in "xy":
            schema.add_field(f"{self.name}_{axis}Sigma", "F", f"1-sigma error of {axis}", "pixel")
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            flag_edge="too near the edge",
            flag_noSecondDerivative="curvature is zero",
            flag_almostNoSecondDerivative="curvature nearly zero (step > limit)",
            flag_notAtMaximum="start pixel is not a local maximum",
            flag_resetToPeak="result lay outside the footprint and was replaced by the first peak",
        )

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources, starting from their first peaks."""
        catalog, name = context.catalog, self.name
        start_x = np.floor(context.peak_x + 0.5).astype(np.int64)
        start_y = np.floor(context.peak_y + 0.5).astype(np.int64)
        kernels, sigma, cell = _cell_kernels(context.psf, start_x, start_y)
        x, y, x_error, y_error, failure = _centroids(
            context.pixels,
            context.exposure.variance,
            start_x,
            start_y,
            kernels,
            sigma,
            cell,
            self.config.binmax,
            self.config.wfac,
            self.config.peakMin,
        )
        failed = failure > 0
        x[failed], y[failed] = context.peak_x[failed], context.peak_y[failed]
        for number, ending in _FAILURES.items():
            catalog[f"{name}_flag_{ending}"] = failure == number
        reset = reset_outside_footprint(context, x, y, self.config.doFootprintCheck, self.config.maxDistToPeak)
        catalog[f"{name}_flag_resetToPeak"] = reset
        catalog[f"{name}_flag"] = failed | reset
        catalog[f"{name}_x"], catalog[f"{name}_y"] = x, y
        catalog[f"{name}_xSigma"], catalog[f"{name}_ySigma"] = x_error, y_error


def _cell_kernels(
    psf: Psf, x: NDArray[np.int64], y: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return PSF kernels (m, size, size) of cells, their sigmas (m,) [px], and the cell (n,) of every source."""
    cells, cell = np.unique(np.stack([x, y], axis=1) // _CELL, axis=0, return_inverse=True)
    centre = (cells + 0.5) * _CELL
    kernels = psf.kernel_images(centre[:, 0], centre[:, 1])
    middle = np.full(len(kernels), kernels.shape[-1] // 2, dtype=np.float64)
    xx, yy, xy = stamp_moments(kernels, middle, middle).T
    sigma = np.sqrt(np.sqrt(np.maximum(xx * yy - xy * xy, 1e-8)))
    return kernels, np.where(np.isfinite(sigma), sigma, 1.0), np.asarray(cell, dtype=np.int64).reshape(-1)


@njit
def _centroids(
    pixels: Any,
    variance: Any,
    start_x: Any,
    start_y: Any,
    kernels: Any,
    sigma: Any,
    cell: Any,
    binmax: int,
    wfac: float,
    low: float,
) -> tuple[Any, Any, Any, Any, Any]:
    n = start_x.size
    x, y = np.full(n, np.nan), np.full(n, np.nan)
    x_error, y_error = np.full(n, np.nan), np.full(n, np.nan)
    failure = np.zeros(n, np.int64)
    for i in range(n):
        put_back(pixels, i)
        c = cell[i]
        result = _centroid(pixels.work, variance, start_x[i], start_y[i], kernels[c], sigma[c], binmax, wfac, low)
        failure[i], x[i], y[i], x_error[i], y_error[i] = result
        take_out(pixels, i)
    return x, y, x_error, y_error, failure


@njit
def _centroid(
    image: Any, variance: Any, x: int, y: int, kernel: Any, sigma: float, binmax: int, wfac: float, low: float
) -> tuple[int, float, float, float, float]:
    """Return failure (0: none), x, y and their errors, binning as far as necessary."""
    bin_x, bin_y, tries = 1, 1, 1
    xc, yc, x_error, y_error = np.nan, np.nan, np.nan, np.nan
    while tries <= binmax:
        failure, smooth, noise = _smoothed_3x3(image, variance, x, y, kernel, bin_x, bin_y)
        if failure != 0:
            return failure, np.nan, np.nan, np.nan, np.nan
        noise *= bin_x * bin_y * 4.0 * np.pi * sigma * sigma
        failure, xc, yc, x_error, y_error, size_x, size_y, peak = _peak_of_3x3(smooth, noise, sigma)
        if failure != 0:
            return failure, np.nan, np.nan, np.nan, np.nan
        if tries > 1:
            xc, yc = (xc + 0.5) * bin_x - 0.5, (yc + 0.5) * bin_y - 0.5
            x_error, y_error = x_error * bin_x, y_error * bin_y
            size_x, size_y = size_x * bin_x * bin_x, size_y * bin_y * bin_y
        limit_x = wfac * (1.0 + sigma * sigma) * bin_x * bin_x
        limit_y = wfac * (1.0 + sigma * sigma) * bin_y * bin_y
        wide_x = size_x >= limit_x or xc * xc >= limit_x
        wide_y = size_y >= limit_y or yc * yc >= limit_y
        if not wide_x and not wide_y and (tries > 1 or low < 0 or peak > low):
            break
        bin_x = bin_x * 2 if wide_x else bin_x
        bin_y = bin_y * 2 if wide_y else bin_y
        tries *= 2
    return 0, x + xc, y + yc, x_error, y_error


@njit
def _smoothed_3x3(
    image: Any, variance: Any, x: int, y: int, kernel: Any, bin_x: int, bin_y: int
) -> tuple[int, Any, Any]:
    """Return failure, and the 3 x 3 (binned) pixels about x, y of image and variance after smoothing by `kernel`."""
    size = kernel.shape[0]
    half = size // 2
    smooth, noise = np.zeros((3, 3)), np.zeros((3, 3))
    # The box of the original has one binned pixel more on each side than the arithmetic needs.
    left, bottom = x - bin_x * (half + 2), y - bin_y * (half + 2)
    right, top = left + bin_x * (size + 4) - 1, bottom + bin_y * (size + 4) - 1
    if left < 0 or bottom < 0 or right >= image.shape[1] or top >= image.shape[0]:
        return _EDGE, smooth, noise
    left, bottom = x - bin_x * (half + 1), y - bin_y * (half + 1)
    cells, cell_noise = np.empty((size + 2, size + 2)), np.empty((size + 2, size + 2))
    if bin_x == 1 and bin_y == 1:
        cells[:, :] = image[bottom : bottom + size + 2, left : left + size + 2]
        cell_noise[:, :] = variance[bottom : bottom + size + 2, left : left + size + 2]
    else:
        _bin(image, left, bottom, bin_x, bin_y, cells, 1.0 / (bin_x * bin_y))
        _bin(variance, left, bottom, bin_x, bin_y, cell_noise, 1.0 / (bin_x * bin_y) ** 2)
    total = kernel.sum()
    for j in range(size):
        for i in range(size):
            weight = kernel[j, i] / total
            for dy in range(3):
                for dx in range(3):
                    smooth[dy, dx] += weight * cells[j + dy, i + dx]
                    noise[dy, dx] += weight * weight * cell_noise[j + dy, i + dx]
    return 0, smooth, noise


@njit
def _bin(plane: Any, left: int, bottom: int, bin_x: int, bin_y: int, cells: Any, factor: float) -> None:
    cells[:, :] = 0.0
    for j in range(cells.shape[0] * bin_y):
        for i in range(cells.shape[1]):
            for k in range(bin_x):
                cells[j // bin_y, i] += plane[bottom + j, left + i * bin_x + k]
    cells *= factor


@njit
def _peak_of_3x3(v: Any, noise: Any, sigma: float) -> tuple[int, float, float, float, float, float, float, float]:
    """Return failure, offset x, y, their errors, squared widths in x, y beyond the PSF's, and peak height."""
    bad = (np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    d2x, d2y = 2.0 * v[1, 1] - v[1, 0] - v[1, 2], 2.0 * v[1, 1] - v[0, 1] - v[2, 1]
    sx, sy = 0.5 * (v[1, 2] - v[1, 0]), 0.5 * (v[2, 1] - v[0, 1])
    if not (np.isfinite(d2x) and np.isfinite(d2y)) or d2x == 0.0 or d2y == 0.0:
        return (_NO_SECOND, *bad)
    if d2x < 0.0 or d2y < 0.0:
        return (_NOT_MAXIMUM, *bad)
    dx0, dy0 = sx / d2x, sy / d2y
    if abs(dx0) > _LONGEST_STEP or abs(dy0) > _LONGEST_STEP:
        return (_ALMOST_NO_SECOND, *bad)
    peak = v[1, 1] + 0.5 * (sx * dx0 + sy * dy0)
    if peak < 0.0:
        return (_NOT_MAXIMUM, *bad)
    across, along = np.empty(3), np.empty(3)
    valid = True
    for k in range(3):
        ok_x, across[k] = _row_maximum(v[k, 0], v[k, 1], v[k, 2])
        ok_y, along[k] = _row_maximum(v[0, k], v[1, k], v[2, k])
        valid = valid and ok_x and ok_y
    if valid:
        slope_x, bend_x = 0.5 * (across[2] - across[0]), across[1] - 0.5 * (across[2] + across[0])
        slope_y, bend_y = 0.5 * (along[2] - along[0]), along[1] - 0.5 * (along[2] + along[0])
        dx = across[1] + dy0 * (slope_x - dy0 * bend_x)
        dy = along[1] + dx0 * (slope_y - dx0 * bend_y)
        xc = across[1] + dy * (slope_x - dy * bend_x)
        yc = along[1] + dx * (slope_y - dx * bend_y)
        quartic = _QUARTIC
        size_x = peak / d2x - 0.25 * (1.0 + 6.0 * dx0 * dx0)
        size_y = peak / d2y - 0.25 * (1.0 + 6.0 * dy0 * dy0)
    else:
        xc, yc, quartic = dx0, dy0, 0.0
        size_x, size_y = peak / d2x, peak / d2y
    s2 = sigma * sigma
    sky = (noise.sum() - noise[1, 1]) / 8.0
    x_error = _error(sx, d2x, peak, sky, noise[1, 1], s2, quartic)
    y_error = _error(sy, d2y, peak, sky, noise[1, 1], s2, quartic)
    return 0, xc, yc, x_error, y_error, max(size_x - s2, s2), max(size_y - s2, s2), peak


@njit
def _row_maximum(a: float, b: float, c: float) -> tuple[bool, float]:
    """Return whether the quartic through three equidistant values has a maximum near, and where."""
    rise, fall = b - a, b - c
    d2 = rise + fall
    if not (d2 > 0.0 and b > 0.0):
        return False, 0.0
    position = 0.5 * (c - a) / d2 * (1.0 + _QUARTIC * rise * fall / (d2 * b))
    return abs(position) < 1.0, position


@njit
def _error(slope: float, d2: float, peak: float, sky: float, source: float, s2: float, quartic: float) -> float:
    e1, e3, e4 = np.exp(-1.0 / s2), np.exp(-1.0 / (3.0 * s2)), np.exp(-1.0 / (4.0 * s2))
    var_slope = sky / (8.0 * np.pi * s2) * (1.0 - e1) + source / (12.0 * np.pi * s2) * (e3 - e1)
    var_curve = sky / (2.0 * np.pi * s2) * (3.0 - 4.0 * e4 + e1) + source / (3.0 * np.pi * s2) * (2.0 - 3.0 * e3 + e1)
    by_slope = 1.0 / d2 + quartic / (4.0 * peak) * (1.0 - 12.0 * slope * slope / (d2 * d2))
    by_curve = slope / d2**2 - quartic / (4.0 * peak) * 8.0 * slope**2 / d2**3
    return math.sqrt(var_slope * by_slope**2 + var_curve * by_curve**2)
