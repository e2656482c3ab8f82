"""PSFs stored as native-pixel images, with weights that may vary over the frame: read from files, never fitted here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ..numerics.arrays import FloatArray
from .psf_base import Psf

__all__ = ["KernelPsf"]

_HALF_WIDTH = 5


class KernelPsf(Psf):
    """sum_k P_k(x, y) images[k], shifted to the sub-pixel position with Lanczos-5, sum 1.

    Parameters
    ----------
    images
        (n, size, size), centre in the middle pixel.
    polynomials
        For each image the coefficients of 1, x, y, x^2, xy, y^2, ... in pixels.
    average_position
        Where to look if no place is named [px].
    """

    def __init__(
        self,
        images: FloatArray,
        polynomials: Sequence[Sequence[float]],
        average_position: tuple[float, float],
        origin: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        images = np.array(images, dtype=np.float64)
        if images.ndim != 3 or images.shape[1] != images.shape[2] or len(polynomials) != len(images):
            raise ValueError(f"{len(polynomials)} weights for kernel images of shape {images.shape}")
        super().__init__(images.shape[1], average_position)
        images.setflags(write=False)
        self.kernels: Final = images
        self.polynomials: Final = tuple(tuple(float(c) for c in terms) for terms in polynomials)
        self._origin = origin

    def __repr__(self) -> str:
        return f"KernelPsf({len(self.kernels)} images of {self.size} x {self.size} px)"

    def shifted(self, dx: float, dy: float) -> KernelPsf:
        """Return the same PSF in an image whose pixel (0, 0) is this one's pixel (-dx, -dy)."""
        x, y = self.average_position
        origin = self._origin[0] + dx, self._origin[1] + dy
        return KernelPsf(self.kernels, self.polynomials, (x + dx, y + dy), origin)

    def _stamps(self, xs: FloatArray, ys: FloatArray, dx: FloatArray, dy: FloatArray) -> FloatArray:
        x, y = xs - self._origin[0], ys - self._origin[1]
        weights = np.stack([_polynomial(terms, x, y) for terms in self.polynomials], axis=1)
        stamps = np.tensordot(weights, self.kernels, axes=1)
        moved: FloatArray = _shift_matrices(self.size, dy) @ stamps @ _shift_matrices(self.size, dx).transpose(0, 2, 1)
        return np.asarray(moved / moved.sum(axis=(1, 2), keepdims=True))


def _polynomial(terms: Sequence[float], x: FloatArray, y: FloatArray) -> FloatArray:
    result = np.zeros_like(x)
    powers = ((degree - k, k) for degree in range(len(terms)) for k in range(degree + 1))
    for factor, (i, j) in zip(terms, powers, strict=False):
        result += factor * x**i * y**j
    return result


def _shift_matrices(size: int, shift: FloatArray) -> FloatArray:
    """Return for each shift the matrix that moves a row of pixels by it: (n, size, size)."""
    pixel = np.arange(size)
    distance = pixel[:, None] - pixel[None, :] - shift[:, None, None]
    kernel = np.where(np.abs(distance) < _HALF_WIDTH, np.sinc(distance) * np.sinc(distance / _HALF_WIDTH), 0.0)
    # Without this a constant would not stay constant.
    return np.asarray(kernel / np.sum(kernel, axis=2, keepdims=True))
