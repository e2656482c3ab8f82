"""Quality numbers of one CCD, each from arrays, each with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from ..image.statistics import SIGMA_PER_IQR

__all__ = [
    "Measured",
    "fraction",
    "match_within",
    "median_of",
    "pixel_recall",
    "rms_of",
    "robust_scatter",
    "touching_precision",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Standard error of a median and of an interquartile-range sigma of Gaussian data, in units of sigma / sqrt(n).
_MEDIAN_ERROR = 1.2533
_IQR_ERROR = 1.166


@dataclass(frozen=True)
class Measured:
    """A number, its standard error and how many data it rests on; nan if there were none."""

    value: float
    error: float
    n: int


def _finite(values: FloatArray) -> FloatArray:
    values = np.asarray(values, dtype=np.float64)
    return values[np.isfinite(values)]


def median_of(values: FloatArray) -> Measured:
    """Return the median with its error for Gaussian scatter."""
    values = _finite(values)
    if not len(values):
        return Measured(float("nan"), float("nan"), 0)
    error = _MEDIAN_ERROR * robust_scatter(values).value / np.sqrt(len(values))
    return Measured(float(np.median(values)), float(error), len(values))


def robust_scatter(values: FloatArray) -> Measured:
    """Return sigma from the interquartile range."""
    values = _finite(values)
    if len(values) < 2:
        return Measured(float("nan"), float("nan"), len(values))
    lower, upper = np.quantile(values, [0.25, 0.75])
    sigma = SIGMA_PER_IQR * float(upper - lower)
    return Measured(sigma, _IQR_ERROR * sigma / np.sqrt(len(values)), len(values))


def rms_of(values: FloatArray) -> Measured:
    """Return the root mean square about zero."""
    values = _finite(values)
    if not len(values):
        return Measured(float("nan"), float("nan"), 0)
    rms = float(np.sqrt(np.mean(values**2)))
    return Measured(rms, rms / np.sqrt(2 * len(values)), len(values))


def fraction(hits: BoolArray) -> Measured:
    """Return the fraction of True with its binomial error (Wilson's half width at one sigma)."""
    n = len(hits)
    if not n:
        return Measured(float("nan"), float("nan"), 0)
    value = float(np.mean(hits))
    error = np.sqrt(value * (1 - value) / n + 1 / (4 * n**2)) / (1 + 1 / n)
    return Measured(value, float(error), n)


def match_within(xy: FloatArray, targets: FloatArray, radius: float) -> tuple[BoolArray, npt.NDArray[np.int64]]:
    """Return, for each position (n, 2), whether a target lies within `radius`, and the nearest target's index."""
    if not len(targets):
        return np.zeros(len(xy), dtype=bool), np.zeros(len(xy), dtype=np.int64)
    distance, index = cKDTree(targets).query(xy)
    return distance <= radius, index.astype(np.int64)


def pixel_recall(true: BoolArray, found: BoolArray) -> Measured:
    """Return the fraction of `true` pixels that are also `found`."""
    return fraction(found[true])


def touching_precision(found: BoolArray, true: BoolArray) -> Measured:
    """Return the fraction of `found` pixels that are `true` or have a `true` neighbour among the eight."""
    return fraction(binary_dilation(true, np.ones((3, 3), dtype=bool))[found])
