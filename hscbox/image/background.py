"""The binned sky background and the Chebyshev surface through its cells.

The cell grid and the weighting follow lsst/afw e0459d59 (src/math/Background.cc, src/math/Approximate.cc); see also
Bosch et al. 2018, PASJ 70, S5, section 4.7.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev

from ..errors import BackgroundError
from ..numerics.arrays import Float32Array, FloatArray, Int32Array, IntArray
from .bounded_field import ChebyshevField

__all__ = ["BackgroundModel", "cell_starts"]


def cell_starts(length: int, n_cells: int) -> IntArray:
    """Return the first pixel of each of `n_cells` cells along an axis, and `length` at the end: (n_cells + 1,)."""
    starts = (np.arange(n_cells, dtype=np.int64) * length + n_cells // 2) // n_cells
    return np.append(starts, length)


@dataclass(frozen=True, eq=False)
class BackgroundModel:
    """Statistics of the cells of a grid over an image, and how to interpolate them."""

    stats: Float32Array
    """Level of each cell [ADU], (ny, nx)."""
    mask: Int32Array
    """Mask bits of each cell, (ny, nx)."""
    error: Float32Array
    """Standard error of each level [ADU], (ny, nx)."""
    width: int
    """Columns of the full image."""
    height: int
    """Rows of the full image."""
    approx_order: int = 6
    """Highest total degree of the Chebyshev surface."""
    weighting: bool = True
    """Whether cells weigh by 1/error."""
    _surface: list[ChebyshevField] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.stats.shape == self.mask.shape == self.error.shape or self.stats.ndim != 2:
            raise ValueError(
                f"planes of a background must be alike: {self.stats.shape}, {self.mask.shape}, {self.error.shape}"
            )

    def cell_centres(self) -> tuple[FloatArray, FloatArray]:
        """Return pixel x (nx,) and y (ny,) of the cell centres."""
        ny, nx = self.stats.shape
        return _centres(self.width, nx), _centres(self.height, ny)

    def surface(self) -> ChebyshevField:
        """Return the Chebyshev surface fitted to the cells; computed once.

        Raises
        ------
        BackgroundError
            Fewer usable cells than terms.
        """
        if not self._surface:
            self._surface.append(self._fit())
        return self._surface[0]

    def _fit(self) -> ChebyshevField:
        x, y = self.cell_centres()
        values = self.stats.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = 1.0 / self.error.astype(np.float64) if self.weighting else np.ones(values.shape)
        good = np.isfinite(values) & np.isfinite(weights)
        n_terms = (self.approx_order + 1) * (self.approx_order + 2) // 2
        if good.sum() < n_terms:
            raise BackgroundError(
                f"{int(good.sum())} of {good.size} background cells are usable; "
                f"a surface of order {self.approx_order} needs {n_terms}",
                remedy="Lower approxOrderX or binSize, or look at the mask plane",
                usable=int(good.sum()),
                needed=n_terms,
            )
        grid_x, grid_y = np.meshgrid(x, y)
        # The original solves normal equations whose points weigh 1/error, so residuals weigh by its square root.
        return ChebyshevField.fit(
            grid_x[good],
            grid_y[good],
            values[good],
            self.approx_order,
            (0, 0, self.width - 1, self.height - 1),
            triangular=True,
            weight=np.sqrt(weights[good]),
        )

    def evaluate(self) -> Float32Array:
        """Return the surface at every pixel of the full image [ADU], float32 (height, width)."""
        surface = self.surface()
        order = self.approx_order
        basis_x = chebyshev.chebvander(_unit_interval(self.width), order)
        basis_y = chebyshev.chebvander(_unit_interval(self.height), order)
        along_x = surface.coefficients @ basis_x.T
        result = np.empty((self.height, self.width), dtype=np.float32)
        # In strips, so that the float64 product stays in the cache instead of taking 68 MB.
        for start in range(0, self.height, _STRIP):
            result[start : start + _STRIP] = basis_y[start : start + _STRIP] @ along_x
        return result


_STRIP = 64


def _centres(length: int, n_cells: int) -> FloatArray:
    starts = cell_starts(length, n_cells)
    return starts[:-1] + np.diff(starts) / 2 - 0.5


def _unit_interval(length: int) -> FloatArray:
    return (2.0 * np.arange(length) - (length - 1)) / length
