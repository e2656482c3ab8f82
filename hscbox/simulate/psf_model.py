"""The true point-spread function and how it changes over the CCD.

Kolmogorov turbulence with a faint broad wing, sheared by optics and guiding, seen through square pixels (GalSim).
Size and ellipticity are polynomials of second order in position; there is no finer structure, so a model of second
order can describe the PSF fully.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import galsim
import numpy as np
from numpy.typing import ArrayLike

from ..camera.geometry import CCD_CENTRE, scaled_position
from ..numerics.arrays import FloatArray
from .scene import Scene

__all__ = ["PSF_STAMP_SIZE", "WING_BETA", "WING_FRACTION", "WING_FWHM", "TruePsf", "shape_sigma"]


PSF_STAMP_SIZE = 41
# Size by adaptive moments at the seeing of the reference frame, and the Kolmogorov FWHM, before the pixels smear it,
# that gives it; pixels.
_SEEING, _SHAPE_SIGMA, _FWHM = 0.52, 1.305, 2.824
WING_FRACTION = 0.012
WING_FWHM = 10.0
WING_BETA = 2.5
# Standard deviations of the polynomial coefficients.
_SIZE_LINEAR, _SIZE_QUADRATIC = 0.012, 0.007
_SHEAR_CONSTANT, _SHEAR_LINEAR, _SHEAR_QUADRATIC = 0.012, 0.007, 0.004
# The CCD is drawn in a large Fourier image so that light folded back from outside stays below 1e-3.
_DRAW_SIZE = 121


def shape_sigma(scene: Scene) -> float:
    """Return the size of the PSF at the centre of the CCD by adaptive moments, pixels."""
    return _SHAPE_SIGMA * scene.seeing / _SEEING


@dataclass(frozen=True)
class TruePsf:
    """The PSF of one scene as a function of detector position."""

    scene: Scene

    @cached_property
    def coefficients(self) -> FloatArray:
        """(3, 6): relative size, g1 and g2 as polynomials 1, u, v, u^2, uv, v^2 of scaled position."""
        table = np.zeros((3, 6))
        table[0, 0] = 1.0
        if self.scene.effects.psf_variation:
            draws = self.scene.rng("psf").standard_normal((3, 6))
            widths = np.repeat([_SHEAR_CONSTANT, _SHEAR_LINEAR, _SHEAR_QUADRATIC], [1, 2, 3])
            table[1:] = draws[1:] * widths
            # At the centre of the CCD the size is the seeing of the scene.
            table[0, 1:] = draws[0, 1:] * np.repeat([_SIZE_LINEAR, _SIZE_QUADRATIC], [2, 3])
        e1, e2 = self.scene.psf_ellipticity
        table[1:, 0] += np.array([e1, e2]) / (1.0 + np.sqrt(1.0 - e1**2 - e2**2))
        return table

    def parameters(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return Kolmogorov FWHM (pixels), g1 and g2 at detector positions."""
        u, v = scaled_position(np.asarray(x, np.float64), np.asarray(y, np.float64))
        terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])
        size, g1, g2 = np.einsum("ij,j...->i...", self.coefficients, terms)
        fwhm: FloatArray = _FWHM * (self.scene.seeing / _SEEING) * size
        return fwhm, g1, g2

    def profile(self, x: float, y: float) -> galsim.GSObject:
        """Return the PSF at a position: flux 1, before the pixels, in pixel units."""
        fwhm, g1, g2 = self.parameters(x, y)
        core = galsim.Kolmogorov(fwhm=float(fwhm), flux=1.0 - WING_FRACTION)
        wing = galsim.Moffat(beta=WING_BETA, fwhm=WING_FWHM, flux=WING_FRACTION)
        return (core + wing).shear(g1=float(g1), g2=float(g2))

    def kernel_image(self, x: float, y: float, size: int = PSF_STAMP_SIZE) -> FloatArray:
        """Return the PSF at (x, y) on native pixels, (size, size), centred on the middle pixel, sum 1."""
        image = galsim.ImageD(_DRAW_SIZE, _DRAW_SIZE)
        self.profile(x, y).drawImage(image, scale=1.0)
        margin = (_DRAW_SIZE - size) // 2
        stamp: FloatArray = image.array[margin : margin + size, margin : margin + size].copy()
        stamp /= stamp.sum()
        return stamp

    def enclosed(self, radius: float) -> float:
        """Return the share of a star's light within a circle (pixels) at the centre of the full CCD."""
        fwhm, _, _ = self.parameters(*CCD_CENTRE)
        core = galsim.Kolmogorov(fwhm=float(fwhm))
        wing = galsim.Moffat(beta=WING_BETA, fwhm=WING_FWHM)
        return float((1.0 - WING_FRACTION) * _flux_within(core, radius) + WING_FRACTION * _flux_within(wing, radius))


def _flux_within(profile: galsim.GSObject, radius: float) -> float:
    """Integrate a round profile of flux 1 out to `radius`."""
    edges = np.linspace(0.0, radius, 401)
    middles = 0.5 * (edges[1:] + edges[:-1])
    values = np.array([profile.xValue(galsim.PositionD(r, 0.0)) for r in middles])
    return float(np.sum(values * np.pi * (edges[1:] ** 2 - edges[:-1] ** 2)))
