"""Correction of an ellipticity for the PSF by re-Gaussianization.

Hirata & Seljak 2003, MNRAS 343, 459, with the boxes of the HSM part of GalSim 2.8 (Rowe et al. 2015, A&C 10, 121). What
the PSF differs from a Gaussian is convolved with an estimate of the intrinsic galaxy and taken from the image; what
remains is corrected as if the PSF were Gaussian (Bernstein & Jarvis 2002, AJ 123, 583).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...numerics.arrays import FloatArray
from ...numerics.compiler import njit
from .hsm_moments import HsmMoments, hsm_moments

__all__ = ["Regauss", "regauss"]


# Reach of the galaxy's Gaussian, and how far from the centre the image must be right, in sigmas.
_GAUSSIAN_REACH = 3.0
_IMAGE_REACH = 3.6
# No axis of the intrinsic galaxy is taken to be shorter [px^2].
_SMALLEST_AXIS = 0.25


class Regauss(NamedTuple):
    """Result of `regauss`; plain numbers, so that compiled code can use it."""

    good: bool
    """False where the correction failed; all else is then meaningless."""
    e1: float
    """Corrected ellipticity (distortion) along the axes of the pixels."""
    e2: float
    """The same along the diagonals."""
    resolution: float
    """1 - T(PSF)/T(galaxy) with T the trace of the covariance."""
    flux: float
    """Flux of a Gaussian with a quartic term, fitted to the image [ADU]."""
    sigma: float
    """Determinant radius of the re-Gaussianized image [px]."""


@njit
def regauss(stamp: FloatArray, galaxy: HsmMoments, psf: FloatArray, psf_sigma: float) -> Regauss:
    """Return the ellipticity of a galaxy before the PSF.

    Parameters
    ----------
    stamp
        Pixels of the galaxy (height, width); masked ones are 0.
    galaxy
        Its moments, measured on `stamp`: first guesses.
    psf
        PSF image (ny, nx) with the galaxy's sub-pixel offset; its place relative to `stamp` does not matter.
    psf_sigma
        First guess of the PSF's sigma [px].
    """
    ny, nx = psf.shape
    guess = psf_sigma * psf_sigma
    p = hsm_moments(psf, 0.5 * (nx - 1), 0.5 * (ny - 1), guess, guess, 0.0)
    if not (galaxy.good and p.good):
        return _failed()
    # From a round start anew: sources that do not come back to the same moments fail.
    square = math.sqrt(galaxy.xx * galaxy.yy - galaxy.xy * galaxy.xy)
    galaxy = hsm_moments(stamp, galaxy.x, galaxy.y, square, square, 0.0)
    if not galaxy.good:
        return _failed()
    flux = galaxy.rho4 * galaxy.sum
    fxx, fyy, fxy = _intrinsic(galaxy.xx - p.xx, galaxy.yy - p.yy, galaxy.xy - p.xy)
    left, bottom, gaussian = _gaussian(galaxy, p, fxx, fyy, fxy, stamp.shape, psf.shape)
    gaussian *= flux / (gaussian.sum() * psf.sum())
    first_x, first_y, residual = _psf_residual(psf, p, galaxy, math.sqrt(max(fxx, 1.0)), math.sqrt(max(fyy, 1.0)))
    image = stamp.copy()
    _add_convolved(image, gaussian, residual, left + first_x, bottom + first_y)
    g = hsm_moments(image, galaxy.x, galaxy.y, galaxy.xx, galaxy.yy, galaxy.xy)
    if not g.good or not (g.xx > 0.0 and g.yy > 0.0 and g.xx * g.yy > g.xy * g.xy):
        return _failed()
    size, psf_size = g.xx + g.yy, p.xx + p.yy
    e1, e2 = _corrected(
        psf_size / size,
        (p.xx - p.yy) / psf_size,
        2.0 * p.xy / psf_size,
        (g.xx - g.yy) / size,
        2.0 * g.xy / size,
        0.5 * g.rho4 - 1.0,
    )
    resolution = 1.0 - psf_size / size
    if not resolution > 0.0:
        return _failed()
    return Regauss(True, e1, e2, resolution, flux, math.sqrt(math.sqrt(g.xx * g.yy - g.xy * g.xy)))


@njit
def _failed() -> Regauss:
    return Regauss(False, math.nan, math.nan, math.nan, math.nan, math.nan)


@njit
def _intrinsic(xx: float, yy: float, xy: float) -> tuple[float, float, float]:
    """Return a covariance with both axes at least `_SMALLEST_AXIS`."""
    angle = math.atan2(2.0 * xy, xx - yy)
    half = math.hypot(0.5 * (xx - yy), xy)
    major = max(0.5 * (xx + yy) + half, _SMALLEST_AXIS)
    minor = max(0.5 * (xx + yy) - half, _SMALLEST_AXIS)
    mean, half = 0.5 * (major + minor), 0.5 * (major - minor)
    return mean + half * math.cos(angle), mean - half * math.cos(angle), half * math.sin(angle)


@njit
def _gaussian(
    galaxy: HsmMoments,
    p: HsmMoments,
    xx: float,
    yy: float,
    xy: float,
    shape: tuple[int, int],
    psf_shape: tuple[int, int],
) -> tuple[int, int, FloatArray]:
    """Return the Gaussian of covariance xx, yy, xy at the galaxy's centre less the PSF's, and its first column, row."""
    x, y = galaxy.x - p.x, galaxy.y - p.y
    reach_x, reach_y = _GAUSSIAN_REACH * math.sqrt(max(xx, 1.0)), _GAUSSIAN_REACH * math.sqrt(max(yy, 1.0))
    left, right = max(1 - psf_shape[1], math.floor(x - reach_x)), min(shape[1] - 1, math.ceil(x + reach_x))
    bottom, top = max(1 - psf_shape[0], math.floor(y - reach_y)), min(shape[0] - 1, math.ceil(y + reach_y))
    return left, bottom, _drawn(left, right, bottom, top, x, y, xx, yy, xy)


@njit
def _drawn(
    left: int, right: int, bottom: int, top: int, x: float, y: float, xx: float, yy: float, xy: float
) -> FloatArray:
    """Return a box, both ends included, of the Gaussian of peak 1 and covariance xx, yy, xy about (x, y)."""
    det = xx * yy - xy * xy
    image = np.empty((top - bottom + 1, right - left + 1))
    for j in range(image.shape[0]):
        dy = bottom + j - y
        for i in range(image.shape[1]):
            dx = left + i - x
            image[j, i] = math.exp(-0.5 * (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / det)
    return image


@njit
def _psf_residual(
    psf: FloatArray, p: HsmMoments, galaxy: HsmMoments, sigma_x: float, sigma_y: float
) -> tuple[int, int, FloatArray]:
    """Return the adapted Gaussian less the PSF where it can reach the centre of the galaxy, first column and row."""
    reach_x = _IMAGE_REACH * math.sqrt(galaxy.xx) + _GAUSSIAN_REACH * sigma_x
    reach_y = _IMAGE_REACH * math.sqrt(galaxy.yy) + _GAUSSIAN_REACH * sigma_y
    left, right = max(0, math.floor(p.x - reach_x)), min(psf.shape[1] - 1, math.ceil(p.x + reach_x))
    bottom, top = max(0, math.floor(p.y - reach_y)), min(psf.shape[0] - 1, math.ceil(p.y + reach_y))
    peak = psf.sum() / (2.0 * math.pi * math.sqrt(p.xx * p.yy - p.xy * p.xy))
    gaussian = _drawn(left, right, bottom, top, p.x, p.y, p.xx, p.yy, p.xy)
    return left, bottom, peak * gaussian - psf[bottom : top + 1, left : right + 1]


@njit
def _add_convolved(image: FloatArray, first: FloatArray, second: FloatArray, left: int, bottom: int) -> None:
    """Add the convolution of two images, whose pixel (0, 0) lies at column `left`, row `bottom` of `image`."""
    height, width = image.shape
    for j in range(first.shape[0]):
        for k in range(max(0, -bottom - j), min(second.shape[0], height - bottom - j)):
            row = image[bottom + j + k]
            for i in range(first.shape[1]):
                start = left + i
                low, high = max(0, -start), min(second.shape[1], width - start)
                if low >= high:
                    continue
                factor = first[j, i]
                # Slices let the compiler use vector instructions.
                target, source = row[start + low : start + high], second[k, low:high]
                for t in range(target.size):
                    target[t] += factor * source[t]


@njit
def _corrected(
    ratio: float, e1_psf: float, e2_psf: float, e1: float, e2: float, kurtosis: float
) -> tuple[float, float]:
    """Return the ellipticity before a Gaussian PSF: in the frame where the PSF is round, dilution is undone."""
    cosh_psf = 1.0 / math.sqrt(1.0 - e1_psf * e1_psf - e2_psf * e2_psf)
    cosh_galaxy = 1.0 / math.sqrt(1.0 - e1 * e1 - e2 * e2)
    e1_round, e2_round = _sheared(e1, e2, -e1_psf, -e2_psf)
    cosh_round = 1.0 / math.sqrt(1.0 - e1_round * e1_round - e2_round * e2_round)
    response = 1.0 - ratio * cosh_galaxy / cosh_psf * (1.0 + kurtosis) / (1.0 - kurtosis) / cosh_round
    return _sheared(e1_round / response, e2_round / response, e1_psf, e2_psf)


@njit
def _sheared(e1: float, e2: float, by1: float, by2: float) -> tuple[float, float]:
    """Return the distortion (e1, e2) after a further one (Bernstein & Jarvis 2002, equation 2-13)."""
    square = by1 * by1 + by2 * by2
    # (1 - sqrt(1 - square)) / square without its limit 0/0.
    factor = 1.0 / (1.0 + math.sqrt(1.0 - square))
    norm = 1.0 + e1 * by1 + e2 * by2
    cross = e2 * by1 - e1 * by2
    return (e1 + by1 + by2 * factor * cross) / norm, (e2 + by2 - by1 * factor * cross) / norm
