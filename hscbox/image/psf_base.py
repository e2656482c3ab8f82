"""What every PSF model can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from ..numerics.adaptive_moments import adaptive_moments
from ..numerics.arrays import FloatArray, IntArray

__all__ = ["Psf", "nearest_pixel"]


def nearest_pixel(position: ArrayLike) -> IntArray:
    """Return the pixel whose centre is nearest; halves go up."""
    return np.floor(np.asarray(position, dtype=np.float64) + 0.5).astype(np.int64)


class Psf(ABC):
    """A model of the point spread function over a CCD, drawn on square stamps of an odd number of pixels.

    Instances are immutable: arrays that they show are copies or read-only.
    """

    def __init__(self, size: int, average_position: tuple[float, float]) -> None:
        if size < 1 or size % 2 == 0:
            raise ValueError(f"PSF stamps have an odd size, not {size}")
        self._size = int(size)
        self._average_position = (float(average_position[0]), float(average_position[1]))

    @property
    def size(self) -> int:
        """Width and height of the stamps [px], odd."""
        return self._size

    @property
    def average_position(self) -> tuple[float, float]:
        """Mean (x, y) of the stars the model was made of [px]: where to look if no place is named."""
        return self._average_position

    @abstractmethod
    def _stamps(self, xs: FloatArray, ys: FloatArray, dx: FloatArray, dy: FloatArray) -> FloatArray:
        """Draw the PSF of the places (xs, ys), centred (dx, dy) off the middle of the stamp, sum 1: (n, size, size)."""

    def shifted(self, dx: float, dy: float) -> Psf:
        """Return the same PSF in an image whose pixel (0, 0) is this one's pixel (-dx, -dy)."""
        del dx, dy
        return self

    def images(self, xs: ArrayLike, ys: ArrayLike) -> tuple[FloatArray, IntArray, IntArray]:
        """Draw the PSF at many positions, each (n,), with the right sub-pixel offset.

        Returns
        -------
        stamps
            (n, size, size) float64, each with sum 1.
        x0s, y0s
            Pixel of the lower left corner of each stamp, (n,).
        """
        x, y = _positions(xs, ys)
        ix, iy = nearest_pixel(x), nearest_pixel(y)
        half = self._size // 2
        return self._stamps(x, y, x - ix, y - iy), ix - half, iy - half

    def image(self, x: float, y: float) -> tuple[FloatArray, int, int]:
        """Draw the PSF at one position: stamp (size, size), sum 1, and the pixel of its lower left corner."""
        stamps, x0s, y0s = self.images([x], [y])
        return stamps[0], int(x0s[0]), int(y0s[0])

    def kernel_images(self, xs: ArrayLike, ys: ArrayLike) -> FloatArray:
        """Draw the PSF of many places (n,), centred on the middle pixel: (n, size, size) float64, each with sum 1."""
        x, y = _positions(xs, ys)
        zero = np.zeros(len(x))
        return self._stamps(x, y, zero, zero)

    def kernel_image(self, x: float | None = None, y: float | None = None) -> FloatArray:
        """Draw the PSF of one place, by default the average position, centred on the middle pixel."""
        x, y = self._place(x, y)
        return np.asarray(self.kernel_images([x], [y])[0])

    def shapes(self, xs: ArrayLike, ys: ArrayLike) -> FloatArray:
        """Return the adaptive moments (Ixx, Iyy, Ixy) [px^2] of the PSF at many places: (n, 3)."""
        x, y = _positions(xs, ys)
        result = np.empty((len(x), 3))
        half = self._size // 2
        # In portions, so that thousands of stamps need not exist at once.
        for start in range(0, len(x), _PORTION):
            stop = start + _PORTION
            for k, stamp in enumerate(self.kernel_images(x[start:stop], y[start:stop])):
                moments = adaptive_moments(stamp, half, half)
                result[start + k] = moments.xx, moments.yy, moments.xy
        return result

    def shape(self, x: float | None = None, y: float | None = None) -> tuple[float, float, float]:
        """Return the adaptive moments (Ixx, Iyy, Ixy) [px^2] of the PSF of one place (default: average position)."""
        x, y = self._place(x, y)
        xx, yy, xy = self.shapes([x], [y])[0]
        return float(xx), float(yy), float(xy)

    def determinant_radius(self, x: float | None = None, y: float | None = None) -> float:
        """Return (Ixx Iyy - Ixy^2)^(1/4) [px]: sigma of the round Gaussian of the same area."""
        xx, yy, xy = self.shape(x, y)
        return math.sqrt(math.sqrt(max(xx * yy - xy * xy, 0.0)))

    def _place(self, x: float | None, y: float | None) -> tuple[float, float]:
        return self._average_position[0] if x is None else x, self._average_position[1] if y is None else y


_PORTION = 256


def _positions(xs: ArrayLike, ys: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = np.atleast_1d(np.asarray(xs, dtype=np.float64)), np.atleast_1d(np.asarray(ys, dtype=np.float64))
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"positions must be two arrays (n,), not {x.shape} and {y.shape}")
    return x, y
