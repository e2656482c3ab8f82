"""Pedestal of each row of an amplifier from its serial overscan."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.interpolate import Akima1DInterpolator, CubicSpline

from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Float32Array, FloatArray
from ..numerics.constants import SIGMA_PER_IQR
from ..numerics.statistics import clipped_mean, median
from .frame import Frame

__all__ = [
    "OverscanLevel",
    "bin_rows",
    "collapse_rows",
    "fit_overscan",
    "overscan_level",
    "record_overscan",
    "subtract_overscan",
]


_SPLINES = {"AKIMA_SPLINE", "CUBIC_SPLINE", "NATURAL_SPLINE"}
_CONSTANTS = {"MEAN", "MEDIAN", "MEANCLIP"}
_FEWEST_POINTS = 5
"""Points an Akima spline needs; with fewer a parabola takes its place."""


class OverscanLevel(NamedTuple):
    """Result of `overscan_level`."""

    level: FloatArray
    """Pedestal of each row, ADU."""
    doubtful: BoolArray
    """Rows at the start or end whose overscan is unusable, so that the level is extrapolated."""


def overscan_level(
    overscan: Float32Array,
    *,
    fit_type: str = "AKIMA_SPLINE",
    order: int = 30,
    max_deviation: float = 1000.0,
    reject: float = 3.0,
) -> OverscanLevel:
    """Return the smooth pedestal of each row of an amplifier.

    Parameters
    ----------
    overscan
        Overscan columns of the imaging rows, [y, x], ADU.
    fit_type, order
        Smoothing along y, see `fit_overscan`; MEAN, MEDIAN and MEANCLIP give one value for all rows.
    max_deviation
        Pixels farther than this from the median of all are ignored [ADU].
    reject
        Pixels of a row farther than this many standard deviations from its median are ignored.
    """
    far = np.abs(overscan - median(overscan)) > max_deviation
    if fit_type in _CONSTANTS:
        value = _constant(overscan[~far], fit_type)
        return OverscanLevel(np.full(overscan.shape[0], value), np.zeros(overscan.shape[0], np.bool_))
    values, masked = collapse_rows(overscan, far, reject)
    level = fit_overscan(values, masked, fit_type, order)
    # A row is doubtful if it and all rows between it and the nearer end have no usable overscan.
    from_start = np.logical_and.accumulate(masked)
    from_end = np.logical_and.accumulate(masked[::-1])[::-1]
    return OverscanLevel(level, from_start | from_end)


def collapse_rows(overscan: Float32Array, ignored: BoolArray, reject: float = 3.0) -> tuple[FloatArray, BoolArray]:
    """Return the clipped mean of every row and the rows without any accepted pixel.

    The width for clipping is 0.7413 times the interquartile range of the row, ignored pixels included, about the
    median. Rows without accepted pixels get the plain mean.
    """
    data = overscan.astype(np.float64)
    ordered = np.sort(data, axis=1)
    lower, middle, upper = (_row_quantile(ordered, q) for q in (0.25, 0.5, 0.75))
    width = reject * SIGMA_PER_IQR * (upper - lower)
    accepted = ~ignored & (np.abs(data - middle[:, None]) <= width[:, None])
    number = accepted.sum(axis=1)
    total = np.where(accepted, data, 0.0).sum(axis=1)
    masked = number == 0
    return np.where(masked, data.mean(axis=1), total / np.maximum(number, 1)), masked


def fit_overscan(values: FloatArray, masked: BoolArray, fit_type: str = "AKIMA_SPLINE", order: int = 30) -> FloatArray:
    """Return the smooth level at every row.

    Splines go through the means of `order` equal bins of rows (Akima 1970, J. ACM 17, 589) and are continued beyond
    the first and last bin by the parabola with the same value and derivatives; polynomials have degree `order` and are
    fitted to all unmasked rows.
    """
    n = values.size
    x = 2.0 * np.arange(n) / n - 1.0
    if masked.all():
        return np.full(n, float(np.median(values)))
    if fit_type not in _SPLINES:
        return _polynomial(x[~masked], values[~masked], x, order)
    centres, means = bin_rows(x, values, masked, max(order, 1))
    if centres.size < _FEWEST_POINTS:
        return _polynomial(centres, means, x, 2)
    return _spline(centres, means, x, fit_type)


def bin_rows(x: FloatArray, values: FloatArray, masked: BoolArray, n_bins: int) -> tuple[FloatArray, FloatArray]:
    """Return mean abscissa and mean value of the unmasked rows in each of the equal bins that has any."""
    span = (float(x.min()), float(x.max())) if x.size > 1 else (-1.5, -0.5)
    good = (~masked).astype(np.float64)
    number = np.histogram(x, bins=n_bins, range=span, weights=good)[0]
    filled = number > 0
    sums = [np.histogram(x, bins=n_bins, range=span, weights=good * v)[0] for v in (x, values)]
    return sums[0][filled] / number[filled], sums[1][filled] / number[filled]


def _spline(centres: FloatArray, means: FloatArray, x: FloatArray, fit_type: str) -> FloatArray:
    if fit_type == "AKIMA_SPLINE":
        spline = Akima1DInterpolator(centres, means)
    else:
        spline = CubicSpline(centres, means, bc_type="natural" if fit_type == "NATURAL_SPLINE" else "not-a-knot")
    level: FloatArray = spline(np.clip(x, centres[0], centres[-1]))
    for end, outside in ((centres[0], x < centres[0]), (centres[-1], x > centres[-1])):
        step = x[outside] - end
        level[outside] += step * (float(spline(end, 1)) + step * 0.5 * float(spline(end, 2)))
    return level


def _polynomial(x: FloatArray, values: FloatArray, at: FloatArray, degree: int) -> FloatArray:
    fitted = np.polynomial.Chebyshev.fit(x, values, min(degree, x.size - 1), domain=[-1.0, 1.0])
    return np.asarray(fitted(at), np.float64)


def _constant(values: Float32Array, fit_type: str) -> float:
    if fit_type == "MEDIAN":
        return median(values)
    return clipped_mean(values).mean if fit_type == "MEANCLIP" else clipped_mean(values, n_iter=0).mean


def _row_quantile(ordered: FloatArray, q: float) -> FloatArray:
    position = q * (ordered.shape[1] - 1)
    low = int(position)
    high = min(low + 1, ordered.shape[1] - 1)
    return np.asarray(ordered[:, low] + (ordered[:, high] - ordered[:, low]) * (position - low))


def record_overscan(frame: Frame) -> None:
    """Record level and scatter of the overscan of every amplifier."""
    overscans = {amp.index: frame.inputs.raw.pixels[amp.serial_overscan.slices] for amp in frame.detector.amplifiers}
    for index, pixels in overscans.items():
        frame.exposure.metadata.set(f"OSLEVEL{index}", median(pixels), "[ADU] median of the overscan")
    for index, pixels in overscans.items():
        sigma = clipped_mean(pixels).std
        frame.exposure.metadata.set(f"OSSIGMA{index}", sigma, "[ADU] clipped standard deviation of the overscan")


def subtract_overscan(frame: Frame) -> None:
    """Subtract the pedestal of every usable amplifier in place; rows where it is extrapolated get SUSPECT."""
    config = frame.config
    for amp in frame.usable:
        fit = overscan_level(
            frame.inputs.raw.pixels[amp.serial_overscan.slices],
            fit_type=config.overscanFitType,
            order=config.overscanOrder,
            max_deviation=config.overscanMaxDev,
            reject=config.overscanRej,
        )
        frame.exposure.image[amp.trimmed.slices] -= fit.level.astype(np.float32)[:, None]
        frame.exposure.mask[amp.trimmed.slices][fit.doubtful] |= mask_bits("SUSPECT")
