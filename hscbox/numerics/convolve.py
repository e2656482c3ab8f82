"""Smooth an image by a circular Gaussian: the stand-in for the PSF-matched filter of the detection."""

from __future__ import annotations

import numpy as np

from .arrays import Float32Array, FloatArray
from .compiler import njit

__all__ = ["gaussian_kernel", "kernel_width", "smooth"]


def kernel_width(sigma: float) -> int:
    """Return the odd width [px] that holds 7 sigma in all: 2 * (int(7 sigma + 0.5) // 2) + 1."""
    return 2 * (int(7.0 * sigma + 0.5) // 2) + 1


def gaussian_kernel(sigma: float, width: int) -> FloatArray:
    """Return a 1-D Gaussian of `sigma` [px] sampled at `width` (odd) pixels, sum 1."""
    offsets = np.arange(width) - width // 2
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    normalised: FloatArray = kernel / kernel.sum()
    return normalised


def smooth(image: Float32Array, sigma: float) -> tuple[Float32Array, int]:
    """Convolve with a circular Gaussian along rows, then columns.

    Parameters
    ----------
    image
        Shape (height, width); not modified.
    sigma
        Of the Gaussian [px].

    Returns
    -------
    smoothed, border
        An image of the same shape, valid at least `border` pixels from every side and NaN outside. Where the
        image is smaller than the kernel all of it is NaN.
    """
    width = kernel_width(sigma)
    border = width // 2
    half = gaussian_kernel(sigma, width)[border:].astype(np.float32)
    return _smooth(np.ascontiguousarray(image, dtype=np.float32), half), border


@njit
def _smooth(image: Float32Array, half: Float32Array) -> Float32Array:
    """Convolve with the symmetric kernel whose centre and right side are `half`.

    A ring of rows smoothed in x is enough for the sum in y; every sum runs in a fixed order over whole rows, so
    that the compiler can use vector instructions without changing results.
    """
    height, width = image.shape
    border = len(half) - 1
    n = 2 * border + 1
    smoothed = np.full((height, width), np.float32(np.nan), dtype=np.float32)
    if height < n or width < n:
        return smoothed
    inner = width - 2 * border
    ring = np.empty((n, inner), dtype=np.float32)
    total = np.empty(inner, dtype=np.float32)
    for y in range(height):
        line = image[y]
        row = ring[y % n]
        middle = line[border : border + inner]
        for x in range(inner):
            row[x] = half[0] * middle[x]
        for k in range(1, border + 1):
            weight = half[k]
            # Slices with plain indices: an index that might be negative would keep the loop scalar.
            left = line[border - k : border - k + inner]
            right = line[border + k : border + k + inner]
            for x in range(inner):
                row[x] += weight * (left[x] + right[x])
        if y < n - 1:
            continue
        centre = y - border
        middle = ring[centre % n]
        for x in range(inner):
            total[x] = half[0] * middle[x]
        for k in range(1, border + 1):
            weight = half[k]
            above = ring[(centre + k) % n]
            below = ring[(centre - k) % n]
            for x in range(inner):
                total[x] += weight * (above[x] + below[x])
        smoothed[centre, border : width - border] = total
    return smoothed
