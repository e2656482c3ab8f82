"""Robust image statistics: exact quantiles and the three-pass clipped mean.

The clipped mean is the one of the LSST stack of 2017 (lsst/afw e0459d59, MEANCLIP): the first pass clips about the
median with a width from the interquartile range, the later ones about the previous mean with the previous standard
deviation, and every pass starts again from all pixels. `astropy.stats.sigma_clip` is another procedure (cumulative).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import Float32Array, FloatArray
from .compiler import njit
from .constants import SIGMA_PER_IQR

__all__ = [
    "ClippedMean",
    "clipped_mean",
    "good_values",
    "median",
    "median_and_clipped_mean",
    "quantiles",
]


class ClippedMean(NamedTuple):
    """Result of `clipped_mean`: unpacks as mean, std, n; all from the values kept by the last pass."""

    mean: float
    std: float
    n: int

    @property
    def error(self) -> float:
        """Standard error of the mean; nan without values."""
        return self.std / float(np.sqrt(self.n)) if self.n > 0 else float("nan")


def good_values(
    values: npt.NDArray[Any], mask: npt.NDArray[Any] | None = None, bad_bits: int = 0
) -> Float32Array | FloatArray:
    """Copy the finite values whose `mask` has none of `bad_bits` into one dimension, in raster order.

    `mask` has the shape of `values`; float32 input stays float32, everything else becomes float64.
    """
    data = np.asarray(values)
    if data.dtype != np.float32:
        data = data.astype(np.float64, copy=False)
    if data.ndim != 2:
        data = data.reshape(1, -1)
    data = np.ascontiguousarray(data)
    bits = np.zeros((0, 0), np.int32) if mask is None else np.ascontiguousarray(mask, np.int32).reshape(data.shape)
    out = np.empty(data.size, data.dtype)
    return out[: _collect(data, bits, np.int32(bad_bits), out)]


def quantiles(
    values: npt.NDArray[Any],
    probabilities: Sequence[float],
    mask: npt.NDArray[Any] | None = None,
    bad_bits: int = 0,
) -> list[float]:
    """Return exact quantiles of the good values, interpolated linearly at position q (n - 1); nan without values."""
    return _quantiles(good_values(values, mask, bad_bits), probabilities)


def median(values: npt.NDArray[Any], mask: npt.NDArray[Any] | None = None, bad_bits: int = 0) -> float:
    """Return the exact median of the good values; nan without values."""
    return quantiles(values, (0.5,), mask, bad_bits)[0]


def clipped_mean(
    values: npt.NDArray[Any],
    mask: npt.NDArray[Any] | None = None,
    bad_bits: int = 0,
    *,
    n_sigma: float = 3.0,
    n_iter: int = 3,
) -> ClippedMean:
    """Return the clipped mean, standard deviation (n - 1) and number of the values kept.

    Parameters
    ----------
    values
        Any shape; values that are not finite are ignored.
    mask, bad_bits
        Integer mask of the same shape: pixels with any bit of `bad_bits` are ignored.
    n_sigma
        Half width of the accepted range in standard deviations, ends included.
    n_iter
        Number of passes; 0 means the plain mean.

    Notes
    -----
    Mean and standard deviation are nan without values, and the latter with a single one.
    """
    return median_and_clipped_mean(values, mask, bad_bits, n_sigma=n_sigma, n_iter=n_iter)[1]


def median_and_clipped_mean(
    values: npt.NDArray[Any],
    mask: npt.NDArray[Any] | None = None,
    bad_bits: int = 0,
    *,
    n_sigma: float = 3.0,
    n_iter: int = 3,
) -> tuple[float, ClippedMean]:
    """Return the median of all good values with `clipped_mean`, at the price of the latter."""
    good = good_values(values, mask, bad_bits)
    if good.size == 0:
        return float("nan"), ClippedMean(float("nan"), float("nan"), 0)
    lower, centre, upper = _quantiles(good, (0.25, 0.5, 0.75))
    if n_iter <= 0:
        return centre, _moments(good, centre, -np.inf, np.inf)
    half_width = n_sigma * SIGMA_PER_IQR * (upper - lower)
    result = _moments(good, centre, centre - half_width, centre + half_width)
    for _ in range(n_iter - 1):
        if result.n < 2:
            break
        half_width = n_sigma * result.std
        result = _moments(good, result.mean, result.mean - half_width, result.mean + half_width)
    return centre, result


def _moments(good: npt.NDArray[Any], shift: float, low: float, high: float) -> ClippedMean:
    n, first, second = _sums(good, shift, low, high)
    if n == 0:
        return ClippedMean(float("nan"), float("nan"), 0)
    offset = first / n
    variance = max(second - n * offset * offset, 0.0) / (n - 1) if n > 1 else float("nan")
    return ClippedMean(shift + offset, float(np.sqrt(variance)), n)


def _quantiles(good: npt.NDArray[Any], probabilities: Sequence[float]) -> list[float]:
    if good.size == 0:
        return [float("nan")] * len(probabilities)
    positions = [q * (good.size - 1) for q in probabilities]
    floors = [int(np.floor(p)) for p in positions]
    ranks = sorted({rank for f in floors for rank in (f, min(f + 1, good.size - 1))})
    # The table of the radix selection pays off only for images.
    if good.dtype == np.float32 and good.size > 200_000:
        selected = _select_float32(good.view(np.uint32), np.array(ranks, np.int64)).view(np.float32)
    else:
        # numpy sorts with vector instructions, but selects several ranks without them.
        selected = np.sort(good)[ranks]
    at = dict(zip(ranks, selected.astype(np.float64), strict=True))
    result = []
    for position, floor in zip(positions, floors, strict=True):
        low, high = at[floor], at[min(floor + 1, good.size - 1)]
        result.append(float(low + (high - low) * (position - floor)))
    return result


@njit
def _collect(data: Any, bits: Any, bad_bits: Any, out: Any) -> int:
    n = 0
    use_mask = bits.size > 0 and bad_bits != 0
    for y in range(data.shape[0]):
        for x in range(data.shape[1]):
            value = data[y, x]
            if use_mask and (bits[y, x] & bad_bits) != 0:
                continue
            if not np.isfinite(value):
                continue
            out[n] = value
            n += 1
    return n


@njit
def _sums(good: Any, shift: float, low: float, high: float) -> tuple[int, float, float]:
    """Return number, sum and sum of squares of (value - shift) within [low, high], in double precision."""
    n = 0
    first = 0.0
    second = 0.0
    for i in range(good.size):
        value = np.float64(good[i])
        if value >= low and value <= high:
            difference = value - shift
            n += 1
            first += difference
            second += difference * difference
    return n, first, second


@njit
def _ordered(bits: Any) -> Any:
    """Map the bit pattern of a float32 to an unsigned integer of the same order."""
    if bits & np.uint32(0x80000000):
        return np.uint32(~bits)
    return np.uint32(bits | np.uint32(0x80000000))


@njit
def _select_float32(bits: Any, ranks: Any) -> Any:
    """Return the order statistics `ranks` (ascending) as float32 bit patterns: two counting passes of 16 bits."""
    # Most pixels of an image fall into few buckets; one counter would have to wait for its own last increment.
    partial = np.zeros((4, 65536), np.int64)
    n_whole = bits.size // 4 * 4
    for i in range(0, n_whole, 4):
        partial[0, _ordered(bits[i]) >> np.uint32(16)] += 1
        partial[1, _ordered(bits[i + 1]) >> np.uint32(16)] += 1
        partial[2, _ordered(bits[i + 2]) >> np.uint32(16)] += 1
        partial[3, _ordered(bits[i + 3]) >> np.uint32(16)] += 1
    for i in range(n_whole, bits.size):
        partial[0, _ordered(bits[i]) >> np.uint32(16)] += 1
    high_count = partial[0] + partial[1] + partial[2] + partial[3]
    slot_of = np.full(65536, -1, np.int64)
    slots = np.empty(ranks.size, np.int64)
    inner = np.empty(ranks.size, np.int64)
    bucket, before, n_slots = 0, 0, 0
    for k in range(ranks.size):
        while before + high_count[bucket] <= ranks[k]:
            before += high_count[bucket]
            bucket += 1
        if slot_of[bucket] < 0:
            slot_of[bucket] = n_slots
            n_slots += 1
        slots[k] = bucket
        inner[k] = ranks[k] - before
    low_count = np.zeros((n_slots, 65536), np.int64)
    for i in range(bits.size):
        key = _ordered(bits[i])
        slot = slot_of[key >> np.uint32(16)]
        if slot >= 0:
            low_count[slot, key & np.uint32(0xFFFF)] += 1
    out = np.empty(ranks.size, np.uint32)
    for k in range(ranks.size):
        counts = low_count[slot_of[slots[k]]]
        low, seen = 0, 0
        while seen + counts[low] <= inner[k]:
            seen += counts[low]
            low += 1
        key = np.uint32((slots[k] << 16) | low)
        out[k] = np.uint32(key & np.uint32(0x7FFFFFFF)) if key & np.uint32(0x80000000) else np.uint32(~key)
    return out
