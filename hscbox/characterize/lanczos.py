"""The linear map from the samples of a PSF model to the pixels of a star, and its transpose.

Same interpolation as `hscbox.image.psf.PsfexPsf`: Lanczos's kernel of order 3 in units of the sampling step, its
weights normalised to sum 1, samples beyond the model zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hscbox.jit import njit

__all__ = ["gram_matrices", "normal_product", "project", "resampling_taps", "spread"]

_TAPS = 6


def resampling_taps(
    shift: NDArray[np.float64], step: float, n_samples: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
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
    ny, size = model.shape[0], first_x.size
    narrow, stamp = np.zeros((size, ny)), np.zeros((size, size))
    # Transposed, so that the inner loops run over neighbours in memory.
    for j in range(ny):
        for i in range(size):
            value = 0.0
            for t in range(_TAPS):
                value += taps_x[i, t] * model[j, first_x[i] + t]
            narrow[i, j] = value
    for i in range(size):
        for j in range(size):
            value = 0.0
            for t in range(_TAPS):
                value += taps_y[j, t] * narrow[i, first_y[j] + t]
            stamp[j, i] = value
    return stamp


@njit
def spread(stamp: Any, n_samples: int, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any) -> Any:
    """Apply the transpose of `project` to a stamp: (n_samples, n_samples)."""
    size = first_x.size
    narrow, model = np.zeros((n_samples, size)), np.zeros((n_samples, n_samples))
    for j in range(size):
        for t in range(_TAPS):
            weight, row = taps_y[j, t], first_y[j] + t
            for i in range(size):
                narrow[row, i] += weight * stamp[j, i]
    for j in range(n_samples):
        for i in range(size):
            value = narrow[j, i]
            for t in range(_TAPS):
                model[j, first_x[i] + t] += taps_x[i, t] * value
    return model


@njit
def normal_product(
    components: Any, basis: Any, weight: Any, first_x: Any, taps_x: Any, first_y: Any, taps_y: Any
) -> Any:
    """Return sum_i b_i A_i^T W_i A_i (sum_k b_ik components_k), shape of `components` (n_terms, ny, nx).

    Parameters
    ----------
    basis
        (n, n_terms) polynomial terms b_i of every star.
    weight
        (n, size, size) diagonal of W_i.
    """
    n_terms, n_samples = components.shape[0], components.shape[1]
    result = np.zeros(components.shape)
    for i in range(basis.shape[0]):
        model = components[0] * basis[i, 0]
        for k in range(1, n_terms):
            model += components[k] * basis[i, k]
        stamp = project(model, first_x[i], taps_x[i], first_y[i], taps_y[i])
        stamp *= weight[i]
        back = spread(stamp, n_samples, first_x[i], taps_x[i], first_y[i], taps_y[i])
        for k in range(n_terms):
            result[k] += basis[i, k] * back
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
    drawn = np.empty((m, size, size))
    for i in range(n):
        for a in range(m):
            drawn[a] = project(modes[a], first_x[i], taps_x[i], first_y[i], taps_y[i])
        for a in range(m):
            weighted = drawn[a] * weight[i]
            data[i, a] = np.sum(weighted * stamps[i])
            for b in range(a + 1):
                gram[i, a, b] = gram[i, b, a] = np.sum(weighted * drawn[b])
    return gram, data
