"""Analytic PSFs: one or two circular Gaussians."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..numerics.arrays import FloatArray
from .psf_base import Psf

__all__ = ["DoubleGaussianPsf", "GaussianPsf"]


class DoubleGaussianPsf(Psf):
    """exp(-r^2 / 2 sigma1^2) + b exp(-r^2 / 2 sigma2^2) at the pixel centres, the same everywhere, sum 1."""

    def __init__(
        self,
        size: int,
        sigma1: float,
        sigma2: float,
        b: float,
        average_position: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__(size, average_position)
        if not (sigma1 > 0 and sigma2 > 0):
            raise ValueError(f"widths of a Gaussian PSF must be positive: {sigma1}, {sigma2}")
        self.sigma1: Final = float(sigma1)
        self.sigma2: Final = float(sigma2)
        self.b: Final = float(b)

    def __repr__(self) -> str:
        return f"DoubleGaussianPsf({self.size}, {self.sigma1}, {self.sigma2}, {self.b})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DoubleGaussianPsf):
            return NotImplemented
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, float, float, float]:
        return self.size, self.sigma1, self.sigma2, self.b

    def _stamps(self, xs: FloatArray, ys: FloatArray, dx: FloatArray, dy: FloatArray) -> FloatArray:
        offsets = np.arange(self.size) - self.size // 2
        x, y = (offsets - dx[:, None]) ** 2, (offsets - dy[:, None]) ** 2
        stamps = _outer(x, y, self.sigma1)
        if self.b:
            stamps += self.b * _outer(x, y, self.sigma2)
        return np.asarray(stamps / stamps.sum(axis=(1, 2), keepdims=True))


class GaussianPsf(DoubleGaussianPsf):
    """A circular Gaussian of `sigma` pixels sampled at the pixel centres, the same everywhere, sum 1."""

    def __init__(self, size: int, sigma: float, average_position: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__(size, sigma, sigma, 0.0, average_position)

    def __repr__(self) -> str:
        return f"GaussianPsf({self.size}, {self.sigma})"

    @property
    def sigma(self) -> float:
        """Width [px]."""
        return self.sigma1


def _outer(x2: FloatArray, y2: FloatArray, sigma: float) -> FloatArray:
    scale = -0.5 / sigma**2
    return np.asarray(np.exp(scale * y2)[:, :, None] * np.exp(scale * x2)[:, None, :])
