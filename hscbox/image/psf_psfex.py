"""The PSFEx model: sampled images, polynomial in position, resampled to pixels with Lanczos's kernel.

Source: Bertin 2011, ASP Conf. 442, 435.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final

import numpy as np

from ..numerics.arrays import Float32Array, FloatArray, IntArray
from ..numerics.compiler import njit
from .psf_base import Psf

__all__ = ["PsfexPsf", "polynomial_basis"]

_TAPS = 6


def polynomial_basis(u: FloatArray, v: FloatArray, degree: int) -> FloatArray:
    """Return the polynomial terms 1, u, u^2, ..., v, uv, ..., v^degree of total degree <= `degree`: (n, n_terms)."""
    terms = [u**i * v**j for j in range(degree + 1) for i in range(degree + 1 - j)]
    return np.stack(terms, axis=-1)


class PsfexPsf(Psf):
    """PSF(x, y) = sum_k basis_k(u, v) components[k], u = (x - x0)/sx, v = (y - y0)/sy.

    Parameters
    ----------
    components
        (n_terms, ny, nx) float32 images with a sample every `pixstep` pixels, the centre in the middle one; nx,
        ny odd.
    pixstep
        Sampling step [px].
    degree
        Total degree of the polynomial; n_terms = (degree + 1)(degree + 2)/2.
    context_first, context_second
        (x0, y0) and (sx, sy) [px].
    average_position
        Mean position of the stars used [px].
    """

    def __init__(
        self,
        components: Float32Array,
        pixstep: float,
        degree: int,
        context_first: tuple[float, float],
        context_second: tuple[float, float],
        average_position: tuple[float, float],
    ) -> None:
        self.components: Final = np.array(components, dtype=np.float32, order="C")
        if self.components.ndim != 3 or self.components.shape[0] != (degree + 1) * (degree + 2) // 2:
            raise ValueError(f"a PSF of degree {degree} cannot have components of shape {self.components.shape}")
        self.components.setflags(write=False)
        if not (pixstep > 0 and context_second[0] != 0 and context_second[1] != 0):
            raise ValueError(f"PSF with step {pixstep}, scale {context_second}: none may be zero")
        # Stored files hold the step in single precision; the model must not change when it is read back.
        self.pixstep: Final = float(np.float32(pixstep))
        self.degree: Final = int(degree)
        self.context_first: Final = (float(context_first[0]), float(context_first[1]))
        self.context_second: Final = (float(context_second[0]), float(context_second[1]))
        samples = max(self.components.shape[1:])
        super().__init__(2 * int(samples // 2 * self.pixstep + 1e-6) + 1, average_position)
        self._samples: FloatArray = self.components.astype(np.float64)

    def __repr__(self) -> str:
        n, height, width = self.components.shape
        return f"PsfexPsf({n} components of {width} x {height} samples of {self.pixstep} px)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PsfexPsf):
            return NotImplemented
        return self._key() == other._key() and np.array_equal(self.components, other.components)

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.pixstep, self.degree, self.context_first, self.context_second, self.average_position

    def shifted(self, dx: float, dy: float) -> PsfexPsf:
        """Return the same PSF in an image whose pixel (0, 0) is this one's pixel (-dx, -dy)."""
        (x, y), (ax, ay) = self.context_first, self.average_position
        return PsfexPsf(
            self.components, self.pixstep, self.degree, (x + dx, y + dy), self.context_second, (ax + dx, ay + dy)
        )

    @cached_property
    def _centred(self) -> FloatArray:
        """(n_terms, size, size) components resampled to pixels about the centre of the middle one."""
        n = len(self._samples)
        return _draw(self._samples, np.eye(n), self.pixstep, self.size, np.zeros(n), np.zeros(n))

    def _stamps(self, xs: FloatArray, ys: FloatArray, dx: FloatArray, dy: FloatArray) -> FloatArray:
        u = (xs - self.context_first[0]) / self.context_second[0]
        v = (ys - self.context_first[1]) / self.context_second[1]
        basis = polynomial_basis(u, v, self.degree)
        if np.any(dx) or np.any(dy):
            stamps = _draw(self._samples, basis, self.pixstep, self.size, dx, dy)
        else:
            stamps = _combine(self._centred, basis)
        _normalize(stamps)
        return stamps


@njit
def _draw(
    components: FloatArray, basis: FloatArray, step: float, size: int, dx: FloatArray, dy: FloatArray
) -> FloatArray:
    n_terms, ny, nx = components.shape
    stamps = np.empty((len(dx), size, size))
    model = np.empty((ny, nx))
    narrow = np.empty((size, nx))
    first = np.empty(size, dtype=np.int64)
    weights = np.empty((size, _TAPS))
    for n in range(len(dx)):
        model[:, :] = components[0] * basis[n, 0]
        for k in range(1, n_terms):
            factor = basis[n, k]
            for j in range(ny):
                for i in range(nx):
                    model[j, i] += components[k, j, i] * factor
        # Rows first: whole rows are added at machine speed, and fewer are left for the columns.
        _lanczos(dy[n], step, ny, first, weights)
        for j in range(size):
            for i in range(nx):
                narrow[j, i] = 0.0
            for t in range(_TAPS):
                weight = weights[j, t]
                row = first[j] + t
                for i in range(nx):
                    narrow[j, i] += weight * model[row, i]
        _lanczos(dx[n], step, nx, first, weights)
        for j in range(size):
            for i in range(size):
                value = 0.0
                for t in range(_TAPS):
                    value += weights[i, t] * narrow[j, first[i] + t]
                stamps[n, j, i] = value
    return stamps


@njit
def _combine(images: FloatArray, basis: FloatArray) -> FloatArray:
    """Return the sums (n, size, size) of images (n_terms, size, size) with factors (n, n_terms)."""
    n_terms, height, width = images.shape
    stamps = np.zeros((len(basis), height, width))
    for n in range(len(basis)):
        for k in range(n_terms):
            factor = basis[n, k]
            for j in range(height):
                for i in range(width):
                    stamps[n, j, i] += images[k, j, i] * factor
    return stamps


@njit
def _normalize(stamps: FloatArray) -> None:
    """Bring every stamp (n, size, size) to unit sum."""
    for n in range(len(stamps)):
        total = 0.0
        for j in range(stamps.shape[1]):
            for i in range(stamps.shape[2]):
                total += stamps[n, j, i]
        for j in range(stamps.shape[1]):
            for i in range(stamps.shape[2]):
                stamps[n, j, i] /= total


@njit
def _lanczos(shift: float, step: float, n_samples: int, first: IntArray, weights: FloatArray) -> None:
    """Fill the first sample and the 6 weights for every pixel; samples beyond the model count as zero."""
    size = len(first)
    # Where a pixel is a whole number of samples, all pixels have the same weights.
    per_pixel = round(1.0 / step)
    alike = abs(per_pixel * step - 1.0) < 1e-12
    row, base = np.empty(_TAPS), 0
    for i in range(size):
        if alike and i > 0:
            base += per_pixel
        else:
            position = (i - size // 2 - shift) / step + n_samples // 2
            base = math.floor(position) - 2
            _lanczos_row(position - base, row)
        weights[i, :] = row
        # Taps over the border get no weight; the window is moved so that every tap has a sample.
        move = min(max(base, 0), n_samples - _TAPS) - base
        if move > 0:
            for t in range(_TAPS):
                weights[i, t] = weights[i, t + move] if t + move < _TAPS else 0.0
        elif move < 0:
            for t in range(_TAPS - 1, -1, -1):
                weights[i, t] = weights[i, t + move] if t + move >= 0 else 0.0
        first[i] = base + move


@njit
def _lanczos_row(position: float, row: FloatArray) -> None:
    """Fill the weights of the samples 0 to 5, of sum 1, for a position between samples 2 and 3."""
    total = 0.0
    for t in range(_TAPS):
        d = position - t
        if abs(d) < 1e-9:
            row[t] = 1.0
        elif abs(d) >= 3.0:
            row[t] = 0.0
        else:
            angle = math.pi * d
            row[t] = 3.0 * math.sin(angle) * math.sin(angle / 3.0) / (angle * angle)
        total += row[t]
    for t in range(_TAPS):
        row[t] /= total
