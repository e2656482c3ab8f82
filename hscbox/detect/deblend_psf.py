"""Decide whether the peaks of a blend are point sources, by fitting PSFs.

The test of lsst/meas_deblender 8b7e8552 (python/lsst/meas/deblender/plugins.py), as told in Bosch et al. 2018,
PASJ 70, S5, section 4.8: a PSF, a sloping background and the PSFs of neighbours, with and without freedom to move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..image.psf import Psf
from ..numerics.arrays import BoolArray, ByteArray, Float32Array, FloatArray, IntArray
from .deblend_psf_fit import fit_peaks

__all__ = ["PointSourceLimits", "PointSources", "fit_point_sources"]

_LARGEST_SHIFT = 1.0

_Drawn = tuple[FloatArray, IntArray, IntArray]


@dataclass(frozen=True)
class PointSourceLimits:
    """Largest chi^2 per degree of freedom of a point source."""

    fixed: float = 1.5
    """PSF at the peak."""
    derivative: float = 1.5
    """PSF with its derivatives."""
    shifted: float = 1.5
    """PSF moved by what the derivatives say."""


@dataclass(frozen=True, eq=False)
class PointSources:
    """Outcome of the test for each of the n peaks of a blend."""

    accepted: BoolArray
    """(n,) whether the peak is a point source."""
    flux: FloatArray
    """(n,) flux of the fitted PSF [ADU]."""
    x: FloatArray
    """(n,) centre of the fitted PSF [px]."""
    y: FloatArray
    """(n,) centre of the fitted PSF [px]."""
    stamps: FloatArray
    """(n, size, size) the PSF there, sum 1."""
    x0: IntArray
    """(n,) first column of each stamp in the exposure."""
    y0: IntArray
    """(n,) first row of each stamp in the exposure."""


def fit_point_sources(
    image: Float32Array,
    variance: Float32Array,
    inside: ByteArray,
    peak_x: IntArray,
    peak_y: IntArray,
    origin: tuple[int, int],
    psf: Psf,
    fwhm: float,
    limits: PointSourceLimits,
    tiny_size: int = 2,
) -> PointSources:
    """Test the peaks of one blend.

    Parameters
    ----------
    image, variance
        Cut-out of the exposure around the blend [ADU, ADU^2].
    inside
        Not 0 on the pixels of the blend's footprint, shape of `image`.
    peak_x, peak_y
        Pixels of the peaks in the cut-out, (n,).
    origin
        (x, y) of the first pixel of the cut-out in the exposure.
    psf
        Drawn at the peaks and, where the fit says so, at shifted places.
    fwhm
        Of the PSF [px]; sets the radius of the fit.
    limits
        Largest chi^2 per degree of freedom.
    tiny_size
        Where the region of the fit is not wider and higher than this, there is no point source.
    """
    x, y = (peak_x + origin[0]).astype(np.float64), (peak_y + origin[1]).astype(np.float64)
    at_peak = psf.images(x, y)
    region = (image, variance, inside, math.ceil(fwhm), math.ceil(1.5 * fwhm), tiny_size)

    def fit(which: IntArray, drawn: _Drawn, neighbours: _Drawn, derivatives: bool) -> FloatArray:
        near = (neighbours[0], neighbours[1] - origin[0], neighbours[2] - origin[1])
        stamps, x0, y0 = drawn[0][which], drawn[1][which], drawn[2][which]
        return fit_peaks(region, (peak_x, peak_y, *near), which, stamps, x0 - origin[0], y0 - origin[1], derivatives)

    every = np.arange(len(x))
    fixed = fit(every, at_peak, at_peak, False)
    accepted = (fixed[:, 1] < limits.fixed) & (fixed[:, 0] > 0)
    flux = fixed[:, 0].copy()
    free = fit(every, at_peak, at_peak, True)
    moved = _drawn_at(psf, at_peak, np.flatnonzero(_movable(free)), x + free[:, 2], y + free[:, 3])
    # About the peak pixel the first order is too coarse for bright stars: once more about the moved place.
    again = np.flatnonzero(_movable(free) & (free[:, 1] >= limits.derivative))
    if len(again):
        shift = free[again, 2:4]
        free[again] = fit(again, moved, moved, True)
        free[again, 2:4] += shift
        moved = _drawn_at(psf, moved, again, x + free[:, 2], y + free[:, 3])
    tried = np.flatnonzero(_movable(free) & (free[:, 1] < limits.derivative))
    shifted = fit(tried, moved, moved, False)
    better = (shifted[:, 1] < limits.shifted) & (shifted[:, 0] > 0)
    better &= ~accepted[tried] | (shifted[:, 1] < fixed[tried, 1])
    chosen = tried[better]
    accepted[chosen] = True
    flux[chosen] = shifted[better, 0]
    x[chosen] += free[chosen, 2]
    y[chosen] += free[chosen, 3]
    final = _replaced(at_peak, chosen, (moved[0][chosen], moved[1][chosen], moved[2][chosen]))
    return PointSources(accepted, flux, x, y, *final)


def _drawn_at(psf: Psf, drawn: _Drawn, which: IntArray, x: FloatArray, y: FloatArray) -> _Drawn:
    """Return stamps of which those numbered `which` are drawn anew at their places (x, y)."""
    return _replaced(drawn, which, psf.images(x[which], y[which])) if len(which) else drawn


def _replaced(drawn: _Drawn, which: IntArray, others: _Drawn) -> _Drawn:
    stamps, x0, y0 = drawn[0].copy(), drawn[1].copy(), drawn[2].copy()
    stamps[which], x0[which], y0[which] = others
    return stamps, x0, y0


def _movable(fits: FloatArray) -> BoolArray:
    """Return which fits have positive flux and a shift small enough to be believed."""
    movable: BoolArray = (fits[:, 0] > 0) & (np.abs(fits[:, 2:4]) < _LARGEST_SHIFT).all(axis=1)
    return movable
