"""Moments that galaxies of the truth have when nothing disturbs them: profile and PSF drawn without noise."""

from __future__ import annotations

import galsim
import numpy as np

from ..numerics.arrays import FloatArray, IntArray
from .true_frame import Truth
from .truth_maps import PsfMap

__all__ = ["size_and_ellipticity", "true_distortion", "true_moments"]


_LEAST_SIZE, _GREATEST_SIZE = 48, 192


def true_distortion(g1: FloatArray, g2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the distortion e of a round profile under the shear g: |e| = 2 |g| / (1 + |g|^2)."""
    factor = 2 / (1 + g1**2 + g2**2)
    return factor * g1, factor * g2


def size_and_ellipticity(xx: FloatArray, yy: FloatArray, xy: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return determinant radius (pixel) and distortion e1, e2 of second moments (n,); nan where they make no sense."""
    with np.errstate(invalid="ignore", divide="ignore"):
        radius = np.sqrt(np.sqrt(xx * yy - xy**2))
        return radius, (xx - yy) / (xx + yy), 2 * xy / (xx + yy)


def true_moments(truth: Truth, galaxies: IntArray) -> FloatArray:
    """Return the adaptive moments (n, 3) xx, yy, xy (pixel^2) of galaxies by GalSim, nan where it finds none."""
    psf = PsfMap.fit(truth)
    moments = np.full((len(galaxies), 3), np.nan)
    if psf is None:
        return moments
    for number, index in enumerate(galaxies):
        x, y = float(truth.x[index]), float(truth.y[index])
        radius = float(truth.half_light_radius_px[index])
        kind = galsim.DeVaucouleurs if truth.sersic[index] == 4.0 else galsim.Exponential
        profile = kind(half_light_radius=radius).shear(g1=float(truth.g1[index]), g2=float(truth.g2[index]))
        # The stamp has seen the pixels already.
        stamp = galsim.InterpolatedImage(galsim.ImageD(psf.stamp(x, y)), scale=1.0, x_interpolant="lanczos5")
        size = 2 * round(min(max(_LEAST_SIZE, 16 * radius), _GREATEST_SIZE) / 2) + 1
        image = galsim.ImageD(size, size)
        offset = (x - round(x), y - round(y))
        galsim.Convolve([profile, stamp]).drawImage(image, scale=1.0, method="no_pixel", offset=offset)
        found = galsim.hsm.FindAdaptiveMom(image, strict=False)
        if found.moments_status == 0:
            moments[number] = _covariance(found)
    return moments


def _covariance(found: galsim.hsm.ShapeData) -> tuple[float, float, float]:
    """Return xx, yy, xy of HSM's size and distortion."""
    shape = found.observed_shape
    half_trace = found.moments_sigma**2 / np.sqrt(1 - shape.esq)
    return half_trace * (1 + shape.e1), half_trace * (1 - shape.e1), half_trace * shape.e2
