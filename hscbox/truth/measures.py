"""Quality numbers of one CCD, each from arrays, each with its uncertainty.

Uncertainties of numbers of sources are bootstrapped: the standard deviation of the number over `RESAMPLES` sets drawn
with replacement (Efron 1979, Ann. Statist. 7, 1). Equal data give equal sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from ..numerics.arrays import BoolArray, FloatArray, IntArray
from ..numerics.constants import SIGMA_PER_IQR

__all__ = [
    "NOT_MEASURED",
    "Measured",
    "bootstrapped",
    "clipped_spread",
    "fraction",
    "match_within",
    "mean_of",
    "median_of",
    "pixel_recall",
    "rms_of",
    "robust_scatter",
    "touching_precision",
]

Statistic = Callable[[FloatArray], FloatArray]

RESAMPLES = 200
# Values beyond this many robust standard deviations do not count for a standard deviation.
_CLIP = 5.0


@dataclass(frozen=True)
class Measured:
    """A number, its standard error and how many data it rests on; nan if there were none."""

    value: float
    error: float
    n: int


NOT_MEASURED = Measured(float("nan"), float("nan"), 0)


def bootstrapped(statistic: Statistic, rows: FloatArray, least: int = 2) -> list[Measured]:
    """Return what `statistic` makes of data, with errors.

    Parameters
    ----------
    statistic
        Maps sets of data (sets, n, columns) to numbers (sets, k).
    rows
        The data (n, columns); rows with a value that is not finite do not count.
    least
        With fewer rows nothing is measured.
    """
    rows = np.asarray(rows, dtype=np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    n = len(rows)
    if n < least:
        count = statistic(np.zeros((1, max(least, 1), rows.shape[1]))).shape[1]
        return [Measured(float("nan"), float("nan"), n)] * count
    values = statistic(rows[None])[0]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([n])))
    drawn = np.concatenate([statistic(rows[rng.integers(0, n, (1, n))]) for _ in range(RESAMPLES)])
    # One value says nothing about its scatter.
    errors = np.std(drawn, axis=0, ddof=1) if n > 1 else np.full(len(values), np.nan)
    return [Measured(float(value), float(error), n) for value, error in zip(values, errors, strict=True)]


def _one(statistic: Callable[[FloatArray], np.floating], values: FloatArray, least: int = 2) -> Measured:
    """Bootstrap a number of one list of values (n,)."""

    def of_sets(sets: FloatArray) -> FloatArray:
        return np.array([[statistic(members[:, 0])] for members in sets], dtype=np.float64)

    return bootstrapped(of_sets, np.asarray(values, dtype=np.float64)[:, None], least)[0]


def median_of(values: FloatArray) -> Measured:
    """Return the median."""
    return _one(np.median, values, least=1)


def mean_of(values: FloatArray) -> Measured:
    """Return the mean."""
    return _one(np.mean, values)


def robust_scatter(values: FloatArray) -> Measured:
    """Return sigma from the interquartile range."""
    return _one(_interquartile_sigma, values)


def _interquartile_sigma(values: FloatArray) -> np.floating:
    lower, upper = np.quantile(values, [0.25, 0.75])
    return np.float64(SIGMA_PER_IQR * (upper - lower))


def clipped_spread(values: FloatArray) -> Measured:
    """Return the standard deviation of what lies within five robust standard deviations of the median."""
    return _one(_clipped_spread, values)


def _clipped_spread(values: FloatArray) -> np.floating:
    near = np.abs(values - np.median(values)) <= _CLIP * _interquartile_sigma(values)
    return np.float64(np.std(values[near]))


def rms_of(values: FloatArray) -> Measured:
    """Return the root mean square about zero."""
    return _one(lambda members: np.float64(np.sqrt(np.mean(members**2))), values, least=1)


def fraction(hits: BoolArray) -> Measured:
    """Return the fraction of True with its binomial error (Wilson's half width at one sigma)."""
    n = len(hits)
    if not n:
        return Measured(float("nan"), float("nan"), 0)
    value = float(np.mean(hits))
    error = np.sqrt(value * (1 - value) / n + 1 / (4 * n**2)) / (1 + 1 / n)
    return Measured(value, float(error), n)


def match_within(xy: FloatArray, targets: FloatArray, radius: float) -> tuple[BoolArray, IntArray]:
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
