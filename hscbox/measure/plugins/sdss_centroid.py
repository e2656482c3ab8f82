"""Centroid by quartic interpolation of the PSF-smoothed image.

Pier et al. 2003, AJ 125, 1559 (SDSS photo). An object that is wider than the PSF is binned until the maximum is well
sampled. Errors are propagated from the pixels, where the original's formulae take a Gaussian PSF.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...image.psf import Psf
from ...numerics.arrays import FloatArray, IntArray
from ...numerics.compiler import njit
from ..centroid_check import CentroidPlugin
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import register
from ..quartic_peak import ALMOST_NO_SECOND, NO_SECOND, NOT_MAXIMUM, peak_of_3x3
from ..shapes.psf_moments import stamp_moments

__all__ = ["SdssCentroid", "SdssCentroidConfig"]

_EDGE = 4
_FAILURES = {
    _EDGE: "edge",
    NO_SECOND: "noSecondDerivative",
    ALMOST_NO_SECOND: "almostNoSecondDerivative",
    NOT_MAXIMUM: "notAtMaximum",
}
# The smoothing kernel is that of the middle of a cell of this size [px]: the PSF hardly varies within one.
_CELL = 128


class SdssCentroidConfig(pex_config.Config):
    """Parameters of base_SdssCentroid."""

    binmax = pex_config.RangeField("Coarsest binning tried (px).", int, default=16, min=1)
    peakMin = pex_config.Field("Bin until the smoothed peak is higher [ADU]; negative: off.", float, default=-1.0)
    wfac = pex_config.RangeField("Bin if the width exceeds this times that of the PSF.", float, default=1.5, min=0)
    doFootprintCheck = pex_config.Field("Go back to the peak if the centroid leaves the footprint?", bool, default=True)
    maxDistToPeak = pex_config.Field(
        "Go back if farther from the peak than this (px); negative: off.", float, default=-1.0
    )


@register("base_SdssCentroid")
class SdssCentroid(CentroidPlugin):
    """base_SdssCentroid."""

    ConfigClass: ClassVar[type[Any]] = SdssCentroidConfig

    def declare(self, schema: Schema) -> None:
        """Add positions, errors and flags."""
        self.add_point(schema, "SDSS quartic-interpolated centroid")
        for axis in "xy":
            schema.add_field(f"{self.name}_{axis}Sigma", "F", f"1-sigma error of {axis}", "pixel")
        self.declare_flags(
            schema,
            flag_edge="too near the edge",
            flag_noSecondDerivative="curvature is zero",
            flag_almostNoSecondDerivative="curvature nearly zero (step > limit)",
            flag_notAtMaximum="start pixel is not a local maximum",
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
        self.fill(context, x, y, failure, (context.peak_x, context.peak_y), _FAILURES)
        catalog[f"{name}_xSigma"], catalog[f"{name}_ySigma"] = x_error, y_error


def _cell_kernels(psf: Psf, x: IntArray, y: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
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
    coarse_x, coarse_y = 1, 1
    xc, yc, left, bottom = np.nan, np.nan, 0, 0
    smooth = np.zeros((3, 3))
    while tries <= binmax:
        failure, first_x, first_y, cells = _smoothed_3x3(image, x, y, kernel, coarse_x, coarse_y)
        if failure != 0:
            # Where a coarser box leaves the image, the finer one has to do.
            if tries > 1:
                break
            return failure, np.nan, np.nan, np.nan, np.nan
        bin_x, bin_y, left, bottom, smooth = coarse_x, coarse_y, first_x, first_y, cells
        failure, xc, yc, size_x, size_y, peak = peak_of_3x3(smooth, sigma)
        if failure != 0:
            return failure, np.nan, np.nan, np.nan, np.nan
        if tries > 1:
            xc, yc = (xc + 0.5) * bin_x - 0.5, (yc + 0.5) * bin_y - 0.5
            size_x, size_y = size_x * bin_x * bin_x, size_y * bin_y * bin_y
        limit_x = wfac * (1.0 + sigma * sigma) * bin_x * bin_x
        limit_y = wfac * (1.0 + sigma * sigma) * bin_y * bin_y
        wide_x = size_x >= limit_x or xc * xc >= limit_x
        wide_y = size_y >= limit_y or yc * yc >= limit_y
        if not wide_x and not wide_y and (tries > 1 or low < 0 or peak > low):
            break
        if 2 * tries > binmax:
            break
        coarse_x = bin_x * 2 if wide_x else bin_x
        coarse_y = bin_y * 2 if wide_y else bin_y
        tries *= 2
    x_error, y_error = _errors(variance, left, bottom, smooth, kernel, sigma, bin_x, bin_y)
    return 0, x + xc, y + yc, x_error * bin_x, y_error * bin_y


@njit
def _smoothed_3x3(image: Any, x: int, y: int, kernel: Any, bin_x: int, bin_y: int) -> tuple[int, int, int, Any]:
    """Return failure, the first column and row used, and the 3 x 3 (binned) pixels about x, y smoothed by `kernel`."""
    size = kernel.shape[0]
    half = size // 2
    smooth = np.zeros((3, 3))
    # The box of the original has one binned pixel more on each side than the arithmetic needs.
    left, bottom = x - bin_x * (half + 2), y - bin_y * (half + 2)
    right, top = left + bin_x * (size + 4) - 1, bottom + bin_y * (size + 4) - 1
    if left < 0 or bottom < 0 or right >= image.shape[1] or top >= image.shape[0]:
        return _EDGE, 0, 0, smooth
    left, bottom = left + bin_x, bottom + bin_y
    cells = _cells(image, left, bottom, bin_x, bin_y, size + 2, 1.0 / (bin_x * bin_y))
    total = kernel.sum()
    for j in range(size):
        for i in range(size):
            weight = kernel[j, i] / total
            for dy in range(3):
                for dx in range(3):
                    smooth[dy, dx] += weight * cells[j + dy, i + dx]
    return 0, left, bottom, smooth


@njit
def _errors(
    variance: Any, left: int, bottom: int, smooth: Any, kernel: Any, sigma: float, bin_x: int, bin_y: int
) -> tuple[float, float]:
    """Return the errors of the offsets, in (binned) pixels.

    The offsets depend on the nine smoothed values, these on the pixels: the noise of every pixel counts with the
    product of both derivatives.
    """
    size = kernel.shape[0]
    slope_x, slope_y = np.zeros((3, 3)), np.zeros((3, 3))
    step = 1e-4 * abs(smooth[1, 1])
    for j in range(3):
        for i in range(3):
            ends = np.empty((2, 2))
            for k in range(2):
                moved = smooth.copy()
                moved[j, i] += step if k == 1 else -step
                _, ends[k, 0], ends[k, 1], _, _, _ = peak_of_3x3(moved, sigma)
            slope_x[j, i] = (ends[1, 0] - ends[0, 0]) / (2.0 * step)
            slope_y[j, i] = (ends[1, 1] - ends[0, 1]) / (2.0 * step)
    noise = _cells(variance, left, bottom, bin_x, bin_y, size + 2, 1.0 / (bin_x * bin_y) ** 2)
    weight_x, weight_y = np.zeros((size + 2, size + 2)), np.zeros((size + 2, size + 2))
    total = kernel.sum()
    for dy in range(3):
        for dx in range(3):
            factor_x, factor_y = slope_x[dy, dx] / total, slope_y[dy, dx] / total
            for j in range(size):
                for i in range(size):
                    weight_x[j + dy, i + dx] += factor_x * kernel[j, i]
                    weight_y[j + dy, i + dx] += factor_y * kernel[j, i]
    square_x, square_y = 0.0, 0.0
    for j in range(size + 2):
        for i in range(size + 2):
            square_x += weight_x[j, i] ** 2 * noise[j, i]
            square_y += weight_y[j, i] ** 2 * noise[j, i]
    return math.sqrt(square_x), math.sqrt(square_y)


@njit
def _cells(plane: Any, left: int, bottom: int, bin_x: int, bin_y: int, size: int, factor: float) -> Any:
    """Return the sums over cells of bin_x x bin_y pixels, times `factor`: (size, size)."""
    cells = np.zeros((size, size))
    for j in range(size * bin_y):
        for i in range(size):
            for k in range(bin_x):
                cells[j // bin_y, i] += plane[bottom + j, left + i * bin_x + k]
    cells *= factor
    return cells
