"""Predict the light of detected sources outside their footprints.

The outer profile of stars in turbulent air falls as r^(-11/3) (Racine 1996, PASP 108, 699), and the sum of the wings
of galaxies beyond their detected parts turns out to fall about as steeply. The detected light, convolved with this
one profile, shows where wings reach and how much they add to the mean level of the sky between the sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

from ..numerics.arrays import Float32Array, FloatArray, Int32Array, IntArray
from ..numerics.compiler import njit
from ..numerics.statistics import clipped_mean

__all__ = ["BLOCK", "SourceWings", "predict_wings"]

BLOCK = 8
"""Side of a pixel of the map of wings [px]."""
_SLOPE = 11.0 / 3.0
_REACH = 60
"""Half size of the profile [blocks]."""
_STEP = 7
"""Not a divisor of the width of an amplifier."""
_STEPS_PER_SIGMA = 8192.0


@dataclass(frozen=True, eq=False)
class SourceWings:
    """The wings of detected sources and how far they are trusted."""

    level: FloatArray
    """Mean of blocks of 8 x 8 pixels [ADU], (ceil(height / 8), ceil(width / 8))."""
    masked_above: float
    """Pixels where the wings exceed this are left out of the background [ADU]."""
    subtracted_up_to: float
    """What is subtracted from a pixel is at most this [ADU]."""


def predict_wings(
    image: Float32Array,
    mask: Int32Array,
    detected_bits: int,
    spoilt_bits: int,
    ignored_bits: int,
    strength: float,
    limit: float,
) -> SourceWings | None:
    """Predict the wings of the detected sources.

    Parameters
    ----------
    image, mask
        Pixels [ADU] and their mask bits, shape (height, width).
    detected_bits, spoilt_bits
        Pixels with any of the first and none of the second bits hold the light of the sources.
    ignored_bits
        Pixels with any of these bits are not sky.
    strength
        A source of flux 1 has the surface brightness strength * r^(-11/3) at r [px^-2].
    limit
        Wings above this are masked [standard deviations of the pixels of the sky]. If that took more than half of the
        pixels of the sky, those with the faintest wings are kept.

    Returns
    -------
    None if there are no sources, no sky, or no noise.
    """
    # Some of the pixels are enough for level and scatter, to a hundredth of the latter.
    level, sigma, _ = clipped_mean(image[::_STEP, ::_STEP], mask[::_STEP, ::_STEP], ignored_bits)
    if not sigma > 0:
        return None
    light, n_sky = _blocks(image, mask, detected_bits, spoilt_bits, ignored_bits, level)
    if not light.any() or not n_sky.any():
        return None
    offsets = np.arange(-_REACH, _REACH + 1)
    squared = (offsets[:, None] ** 2 + offsets[None, :] ** 2) * float(BLOCK**2)
    # What falls into the block of its source does not matter: that block is masked.
    profile = strength * np.maximum(squared, (BLOCK / 2.0) ** 2) ** (-0.5 * _SLOPE)
    # Fourier transforms differ in the last bits between processors; rounded, the wings do not.
    quantum = sigma / _STEPS_PER_SIGMA
    wings = np.round(np.maximum(_convolve(light, profile), 0.0) / quantum) * quantum
    return SourceWings(wings, max(limit * sigma, _median(wings, n_sky)), limit * sigma)


def _convolve(light: FloatArray, profile: FloatArray) -> FloatArray:
    """Return the convolution with a centred profile, of the shape of `light`, nothing beyond its sides."""
    height, width = light.shape
    shape = [next_fast_len(n + 2 * _REACH, real=True) for n in (height, width)]
    # scipy.signal has this ready, but to import it takes longer than to find all sources of a frame.
    convolved: FloatArray = irfft2(rfft2(light, shape) * rfft2(profile, shape), shape)
    return convolved[_REACH : _REACH + height, _REACH : _REACH + width]


def _median(values: FloatArray, counts: IntArray) -> float:
    order = np.argsort(values, axis=None, kind="stable")
    cumulative = np.cumsum(counts.ravel()[order])
    return float(values.ravel()[order[np.searchsorted(cumulative, 0.5 * cumulative[-1])]])


@njit
def _blocks(
    image: Float32Array,
    mask: Int32Array,
    detected_bits: int,
    spoilt_bits: int,
    ignored_bits: int,
    level: float,
) -> tuple[FloatArray, IntArray]:
    """Return the light of sources and the number of pixels of the sky in blocks of 8 x 8 pixels, in 1 of 4 rows."""
    height, width = image.shape
    shape = ((height + BLOCK - 1) // BLOCK, (width + BLOCK - 1) // BLOCK)
    light = np.zeros(shape)
    n_sky = np.zeros(shape, dtype=np.int64)
    for y in range(height):
        bits, values = mask[y], image[y]
        light_row, sky_row = light[y // BLOCK], n_sky[y // BLOCK]
        for x in range(width):
            if bits[x] & detected_bits != 0 and bits[x] & spoilt_bits == 0 and np.isfinite(values[x]):
                light_row[x // BLOCK] += values[x] - level
        if y % 4 == 0:
            for x in range(width):
                sky_row[x // BLOCK] += bits[x] & ignored_bits == 0
    return light, n_sky
