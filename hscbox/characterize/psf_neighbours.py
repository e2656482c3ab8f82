"""Pixels of PSF stars that hold other light than the star's."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from ..numerics.arrays import BoolArray, FloatArray

__all__ = ["foreign_pixels"]


# A neighbour is where the smoothed residual exceeds _DETECTED sigma; it reaches as far as _TOUCHED sigma, and then
# _GROWTH pixels.
_DETECTED, _TOUCHED, _GROWTH = 5.0, 2.0, 2
# Within this many sigma of the PSF the star itself decides: a neighbour there cannot be told from the model's error.
_CORE = 2.0
_IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
_IN_PLANE[1] = True


def foreign_pixels(residual: FloatArray, good: BoolArray, variance: FloatArray, width: float) -> BoolArray:
    """Return the pixels that neighbours light up above a model of the stars.

    Detection for the selection of stars goes no deeper than bright sources, so that the mask plane knows nothing of
    neighbours of a few per cent of the star's flux; they would bend a model of few stars.

    Parameters
    ----------
    residual
        (n, size, size) stamps minus model [ADU].
    good
        (n, size, size) pixels that count.
    variance
        (n, size, size) of the residuals, the accuracy of the model included [ADU^2].
    width
        Sigma of the PSF [px].
    """
    size = residual.shape[-1]
    pull = np.where(good, residual, 0.0) / np.sqrt(variance)
    # White noise of unit variance keeps unit variance.
    smooth = 2.0 * np.sqrt(np.pi) * width * scipy.ndimage.gaussian_filter(pull, (0, width, width), truncate=3.0)
    grid = np.arange(size) - size // 2
    outside = grid[:, None] ** 2 + grid[None, :] ** 2 > (_CORE * width) ** 2
    labels, count = scipy.ndimage.label((smooth > _TOUCHED) & outside, structure=_IN_PLANE)
    if not count:
        return np.zeros(good.shape, dtype=bool)
    detected = np.zeros(count + 1, dtype=bool)
    detected[labels[(smooth > _DETECTED) & outside]] = True
    detected[0] = False
    grown = scipy.ndimage.binary_dilation(detected[labels], structure=_IN_PLANE, iterations=_GROWTH)
    foreign: BoolArray = grown & outside
    return foreign
