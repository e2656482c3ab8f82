"""The linear map from the samples of a PSF model to the pixels of a star, and its transpose.

Same interpolation as `hscbox.image.psf.PsfexPsf`: Lanczos's kernel of order 3 in units of the sampling step, its
weights normalised to sum 1, samples beyond the model zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics.arrays import FloatArray, IntArray
from ..numerics.compiler import njit

__all__ = ["gram_matrices", "normal_product", "project", "project_all", "resampling_taps", "spread", "spread_all"]

_TAPS = 6


def resampling_taps(shift: FloatArray, step: float, n_samples: int, size: int) -> tuple[IntArray, FloatArray]:
    """Return the first sample (n, size) and the weights (n, size, 6) for every pixel along one axis.

    Parameters
    ----------
    shift
        (n,) offsets of the stars from the middle pixel [px].
    step
        Sampling step of the model [px].
    n_samples
        Samples of the model along the axis; the middle one is the centre.
    size
        Pixels of a stamp along the axis.
    """
    pixel = np.arange(size) - size // 2
    position = (pixel[None, :] - np.asarray(shift)[:, None]) / step + n_samples // 2
    base = np.floor(position).astype(np.int64) - 2
    distance = position[..., None] - (base[..., None] + np.arange(_TAPS))
    weights = np.where(np.abs(distance) < 3.0, np.sinc(distance) * np.sinc(distance / 3.0), 0.0)
    weights /= weights.sum(axis=-1, keepdims=True)
    # Windows over the border are moved inside, with zero weight for taps that have no sample.
    first = np.clip(base, 0, n_samples - _TAPS)
    source = (first - base)[..., None] + np.arange(_TAPS)
    inside = (source >= 0) & (source < _TAPS)
    weights = np.where(inside, np.take_along_axis(weights, np.clip(source, 0, _TAPS - 1), axis=-1), 0.0)
    return first, weights


@njit
def project(model: Any, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any) -> Any:
    """Return the stamp (size, size) of a model (ny, nx) for one star."""
    nx, size = model.shape[1], first_x.size
    stamp, narrow = np.empty((size, size)), np.empty(nx)
    for j in range(size):
        # Rows first: whole rows are added at machine speed, and fewer are left for the columns.
        narrow[:] = 0.0
        for t in range(_TAPS):
            weight, row = taps_y[j, t], first_y[j] + t
            for i in range(nx):
                narrow[i] += weight * model[row, i]
        for i in range(size):
            value = 0.0
            for t in range(_TAPS):
                value += taps_x[i, t] * narrow[first_x[i] + t]
            stamp[j, i] = value
    return stamp


@njit
def spread(stamp: Any, n_samples: int, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any) -> Any:
    """Apply the transpose of `project` to a stamp: (n_samples, n_samples)."""
    size = first_x.size
    narrow, model = np.empty(n_samples), np.zeros((n_samples, n_samples))
    for j in range(size):
        narrow[:] = 0.0
        for i in range(size):
            value = stamp[j, i]
            for t in range(_TAPS):
                narrow[first_x[i] + t] += taps_x[i, t] * value
        for t in range(_TAPS):
            weight, row = taps_y[j, t], first_y[j] + t
            for i in range(n_samples):
                model[row, i] += weight * narrow[i]
    return model


@njit
def project_all(components: Any, basis: Any, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any) -> Any:
    """Return A_i sum_k b_ik components_k for every star i, (n, size, size).

    Parameters
    ----------
    components
        (n_terms, ny, nx).
    basis
        (n, n_terms) polynomial terms b_i of every star.
    """
    n, size = basis.shape[0], first_x.shape[1]
    stamps = np.empty((n, size, size))
    for i in range(n):
        model = components[0] * basis[i, 0]
        for k in range(1, len(components)):
            factor = basis[i, k]
            for j in range(model.shape[0]):
                for m in range(model.shape[1]):
                    model[j, m] += factor * components[k, j, m]
        stamps[i] = project(model, first_x[i], taps_x[i], first_y[i], taps_y[i])
    return stamps


@njit
def spread_all(stamps: Any, n_samples: int, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any) -> Any:
    """Return sum_i A_i^T stamps_i, (n_samples, n_samples)."""
    total = np.zeros((n_samples, n_samples))
    for i in range(len(stamps)):
        total += spread(stamps[i], n_samples, first_x[i], taps_x[i], first_y[i], taps_y[i])
    return total


@njit
def normal_product(image: Any, weight: Any, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any) -> Any:
    """Return sum_i A_i^T W_i A_i image for an image (ny, nx) and the diagonals (n, size, size) of W_i."""
    result = np.zeros(image.shape)
    for i in range(len(weight)):
        stamp = project(image, first_x[i], taps_x[i], first_y[i], taps_y[i])
        stamp *= weight[i]
        result += spread(stamp, image.shape[0], first_x[i], taps_x[i], first_y[i], taps_y[i])
    return result


@njit
def gram_matrices(
    modes: Any, stamps: Any, weight: Any, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any
) -> tuple[Any, Any]:
    """Return D W D^T (n, m, m) and D W d (n, m) for every star, D being the stamps of `modes` (m, ny, nx).

    Parameters
    ----------
    stamps, weight
        (n, size, size) pixels d and diagonal of W.
    """
    n, m, size = stamps.shape[0], modes.shape[0], stamps.shape[1]
    gram, data = np.zeros((n, m, m)), np.zeros((n, m))
    # The modes of a pixel lie side by side, and every sum runs on its own: no sum waits for its last addition.
    drawn = np.empty((size, size, m))
    for i in range(n):
        for a in range(m):
            drawn[:, :, a] = project(modes[a], first_x[i], taps_x[i], first_y[i], taps_y[i])
        for y in range(size):
            for x in range(size):
                if weight[i, y, x] == 0.0:
                    continue
                for a in range(m):
                    weighted = weight[i, y, x] * drawn[y, x, a]
                    data[i, a] += weighted * stamps[i, y, x]
                    for b in range(a + 1):
                        gram[i, a, b] += weighted * drawn[y, x, b]
        for a in range(m):
            for b in range(a):
                gram[i, b, a] = gram[i, a, b]
    return gram, data
