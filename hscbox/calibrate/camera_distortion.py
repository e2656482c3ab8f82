"""What the camera's distortion contributes to the fit of a WCS: the order that it asks for, and a prior.

Terms of degree two and more are drawn to the camera's. How strongly is decided by the matches themselves: the most
probable deviation is taken, all values of the terms considered (MacKay 1992, Neural Computation 4, 415).
"""

from __future__ import annotations

import numpy as np

from ..image.sky_wcs import SkyWcs, gnomonic
from ..numerics.arrays import FloatArray
from ..numerics.constants import ARCSEC_PER_RADIAN

__all__ = ["describing_order", "design_matrix", "distortion_prior", "likely_deviation"]


# How far distortion terms of degree two may differ from the camera's (sigma), at half the length of a CCD. What
# flexure, filters and refraction change varies over the field of view, eight times as long as a CCD: a third of an
# arcsecond there is five milliarcseconds here. That is the guess, good to a factor of three (sigma of the logarithm).
_DEVIATIONS_ARCSEC = np.geomspace(0.0005, 0.1, 47)
_GUESS_ARCSEC, _GUESS_FACTOR = 0.005, 3.0
# Each degree more makes a term eight times smaller; a factor of four leaves room for chips that bend.
_RATIO = 0.25
_PRIOR_GRID = 11
# To this the camera's distortion must be described at the worst place of the CCD: a fifth of the scatter of good stars.
_TRUNCATION_ARCSEC = 0.001


def design_matrix(u: FloatArray, v: FloatArray, powers: list[tuple[int, int]]) -> FloatArray:
    """Return the monomials (n, terms) at positions (n,)."""
    return np.stack([u**i * v**j for i, j in powers], axis=1)


def distortion_prior(
    design: FloatArray,
    values: FloatArray,
    start: SkyWcs,
    powers: list[tuple[int, int]],
    centre: FloatArray,
    scale: float,
    wide: float,
    ra0: float,
    dec0: float,
) -> tuple[FloatArray, FloatArray]:
    """Return rows that draw the terms of degree two and more to those of `start`, for the least squares.

    Parameters
    ----------
    design, values
        Rows of the matches, weighted (n, terms) and (n, 2).
    start, powers, centre, scale, ra0, dec0
        The camera's WCS, and what the terms mean: monomials of pixels less `centre` in units of `scale`, arcsec on the
        tangent plane at ra0, dec0 (degrees).
    wide
        Half the width in units of `scale`: beyond the sides of the CCD the polynomials of `start` mean nothing.
    """
    u, v, plane = _camera_plane(start, centre, scale, wide, ra0, dec0)
    terms: FloatArray = np.linalg.lstsq(design_matrix(u, v, powers), plane, rcond=None)[0].astype(np.float64)
    degrees = np.array([sum(power) for power in powers])
    spread = np.where(degrees >= 2, _RATIO ** (degrees - 2.0), 0.0)
    spread *= likely_deviation(design, values - design @ terms, spread)
    weights = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    return np.diag(weights), terms * weights[:, None]


def likely_deviation(design: FloatArray, residual: FloatArray, spread: FloatArray) -> float:
    """Return by how much (arcsec) terms most probably deviate from the camera's.

    What is free is projected out; along the principal axes of the rest, residuals have the variance
    1 + (deviation times singular value)^2. The guess of the logarithm counts as one measurement.

    Parameters
    ----------
    design
        Weighted rows of the matches (n, terms).
    residual
        Their weighted residuals from the camera's terms (n, 2), errors 1.
    spread
        How far each term deviates in units of the deviation (terms,); 0 for terms that are free.
    """
    free = np.linalg.qr(design[:, spread == 0])[0]
    drawn = design[:, spread > 0] * spread[spread > 0]
    axes, singular, _ = np.linalg.svd(drawn - free @ (free.T @ drawn), full_matrices=False)
    along = axes.T @ residual
    variance = 1 + (_DEVIATIONS_ARCSEC[:, None] * singular) ** 2
    improbable = np.sum(2 * np.log(variance) + np.sum(along**2, axis=1) / variance, axis=1)
    improbable += (np.log(_DEVIATIONS_ARCSEC / _GUESS_ARCSEC) / np.log(_GUESS_FACTOR)) ** 2
    return float(_DEVIATIONS_ARCSEC[np.argmin(improbable)])


def _camera_plane(
    start: SkyWcs, centre: FloatArray, scale: float, wide: float, ra0: float, dec0: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a grid of scaled pixel positions and where `start` sees them on the tangent plane (n, 2), arcsec."""
    grid = np.linspace(-1, 1, _PRIOR_GRID)
    u, v = (part.ravel() for part in np.meshgrid(wide * grid, grid))
    plane = ARCSEC_PER_RADIAN * np.stack(
        gnomonic(*start.pixel_to_sky(u * scale + centre[0], v * scale + centre[1]), ra0, dec0), axis=1
    )
    return u, v, plane


def describing_order(x: FloatArray, y: FloatArray, start: SkyWcs, least: int, most: int) -> int:
    """Return the least order, from `least` to `most`, that describes the distortion of `start` over positions (n,)."""
    order = least
    centre = np.array([(np.min(x) + np.max(x)) / 2, (np.min(y) + np.max(y)) / 2])
    scale = max(float(np.ptp(x)), float(np.ptp(y)), 1.0) / 2
    sky = (float(v) for v in start.pixel_to_sky(*centre))
    u, v, plane = _camera_plane(start, centre, scale, float(np.ptp(x)) / 2 / scale, *sky)
    inside = np.abs(v) * scale <= np.ptp(y) / 2
    while order < most:
        design = design_matrix(u[inside], v[inside], [(i, j) for i in range(order + 1) for j in range(order + 1 - i)])
        left = plane[inside] - design @ np.linalg.lstsq(design, plane[inside], rcond=None)[0]
        if np.hypot(left[:, 0], left[:, 1]).max() <= _TRUNCATION_ARCSEC:
            break
        order += 1
    return order
