"""Two-dimensional Chebyshev series over a pixel box; the aperture corrections are made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from ..numerics.arrays import FloatArray

__all__ = ["ApCorrMap", "ChebyshevField"]


@dataclass(frozen=True)
class ChebyshevField:
    """f(x, y) = sum c[j, i] T_i(x') T_j(y'), with x' and y' running over [-1, 1] from edge to edge of the box.

    The edges lie half a pixel outside the centres of the outermost pixels.
    """

    coefficients: FloatArray
    """(ny + 1, nx + 1): the row is the degree in y."""
    bbox: tuple[int, int, int, int]
    """(x0, y0, x1, y1) of the outermost pixels, inclusive."""

    def __post_init__(self) -> None:
        coefficients = np.array(self.coefficients, dtype=np.float64, ndmin=2)
        coefficients.setflags(write=False)
        object.__setattr__(self, "coefficients", coefficients)
        object.__setattr__(self, "bbox", tuple(int(edge) for edge in self.bbox))

    def evaluate(self, x: float | FloatArray, y: float | FloatArray) -> FloatArray:
        """Return the field at pixel positions; `x` and `y` broadcast against each other."""
        u, v = _scale(x, y, self.bbox)
        u, v = np.broadcast_arrays(u, v)
        return np.asarray(chebyshev.chebval2d(v, u, self.coefficients), dtype=np.float64)

    @classmethod
    def constant(cls, value: float, bbox: tuple[int, int, int, int]) -> ChebyshevField:
        """Return the field that has one value everywhere."""
        return cls(np.array([[value]]), bbox)

    @classmethod
    def fit(
        cls,
        x: FloatArray,
        y: FloatArray,
        z: FloatArray,
        order: int,
        bbox: tuple[int, int, int, int],
        triangular: bool = True,
        weight: FloatArray | None = None,
        prior_sigma: float | None = None,
    ) -> ChebyshevField:
        """Fit a field to values `z` at (x, y), all of shape (n,), by linear least squares.

        Parameters
        ----------
        x, y
            Pixel positions.
        z
            Values.
        order
            Highest degree in x and y; with `triangular` also the highest sum of the degrees.
        bbox
            (x0, y0, x1, y1), inclusive.
        triangular
            Whether terms whose degrees add up to more than `order` stay zero.
        weight
            Multiplies the residuals, i.e. 1/standard error; None for equal weights.
        prior_sigma
            Standard deviation about zero that all terms but the constant are expected to have, in units of `z`; None
            if nothing is known. Needs weights that are 1/standard error.

        Raises
        ------
        ValueError
            There are fewer values than terms.
        """
        pairs = [(j, i) for j in range(order + 1) for i in range(order + 1) if not triangular or i + j <= order]
        if len(z) < len(pairs):
            raise ValueError(f"{len(z)} values cannot determine {len(pairs)} terms of a Chebyshev field")
        u, v = _scale(x, y, bbox)
        basis_x, basis_y = chebyshev.chebvander(u, order), chebyshev.chebvander(v, order)
        design = np.stack([basis_y[:, j] * basis_x[:, i] for j, i in pairs], axis=1)
        values = np.asarray(z, dtype=np.float64)
        if weight is not None:
            design, values = design * weight[:, None], values * weight
        if prior_sigma is not None:
            rows = np.diag([0.0 if pair == (0, 0) else 1.0 / prior_sigma for pair in pairs])
            design, values = np.concatenate([design, rows]), np.concatenate([values, np.zeros(len(pairs))])
        solution = np.linalg.lstsq(design, values, rcond=None)[0]
        coefficients = np.zeros((order + 1, order + 1))
        for (j, i), value in zip(pairs, solution, strict=True):
            coefficients[j, i] = value
        return cls(coefficients, bbox)

    def shifted(self, dx: int, dy: int) -> ChebyshevField:
        """Return the same field with its box moved by whole pixels."""
        x0, y0, x1, y1 = self.bbox
        return ChebyshevField(self.coefficients, (x0 + dx, y0 + dy, x1 + dx, y1 + dy))


ApCorrMap = dict[str, ChebyshevField]
"""Aperture corrections by name: "<measurement>_flux" and "<measurement>_fluxSigma"."""


def _scale(
    x: float | FloatArray, y: float | FloatArray, bbox: tuple[int, int, int, int]
) -> tuple[FloatArray, FloatArray]:
    x0, y0, x1, y1 = bbox
    # A box without pixels (x1 < x0) stands for a field without extent: only constants make sense there.
    width, height = max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1)
    u = (2.0 * np.asarray(x, dtype=np.float64) - (x0 + x1)) / width
    v = (2.0 * np.asarray(y, dtype=np.float64) - (y0 + y1)) / height
    return u, v
