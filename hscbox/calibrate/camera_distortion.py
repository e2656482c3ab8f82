"""What the camera's distortion contributes to the fit of a WCS: the order that it asks for, and a prior."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..image.sky_wcs import gnomonic
from ..image.wcs import SkyWcs

__all__ = ["RAD_TO_ARCSEC", "describing_order", "design_matrix", "distortion_prior"]

FloatArray = npt.NDArray[np.float64]

RAD_TO_ARCSEC = 180 / np.pi * 3600

# How far a distortion term of degree two may differ from the camera's, at half the length of a CCD. What flexure,
# filters and refraction change varies over the field of view, eight times as long as a CCD: half an arcsecond there is
# this much here, and each degree more makes a term eight times smaller. A factor of four leaves room for chips that
# bend. Three hundred references of 15 mas find a term to 3 mas: the limit takes a tenth of it.
_PRIOR_ARCSEC = 0.01
_PRIOR_RATIO = 0.25
_PRIOR_GRID = 11
# To this the camera's distortion must be described at the worst place of the CCD: a fifth of the scatter of good stars.
_TRUNCATION_ARCSEC = 0.001


def design_matrix(u: FloatArray, v: FloatArray, powers: list[tuple[int, int]]) -> FloatArray:
    """Return the monomials (n, terms) at positions (n,)."""
    return np.stack([u**i * v**j for i, j in powers], axis=1)


def distortion_prior(
    start: SkyWcs,
    powers: list[tuple[int, int]],
    centre: FloatArray,
    scale: float,
    wide: float,
    ra0: float,
    dec0: float,
) -> tuple[FloatArray, FloatArray]:
    """Return rows that draw the terms of degree two and more to those of `start`, for the least squares.

    `wide` is half the width in units of `scale`: beyond the sides of the CCD the polynomials of `start` mean nothing.
    """
    u, v, plane = _camera_plane(start, centre, scale, wide, ra0, dec0)
    terms = np.linalg.lstsq(design_matrix(u, v, powers), plane, rcond=None)[0]
    weights = np.array([_prior_weight(sum(power)) for power in powers])
    return np.diag(weights), terms * weights[:, None]


def _prior_weight(degree: int) -> float:
    return float(_PRIOR_RATIO ** (2 - degree) / _PRIOR_ARCSEC) if degree >= 2 else 0.0


def _camera_plane(
    start: SkyWcs, centre: FloatArray, scale: float, wide: float, ra0: float, dec0: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a grid of scaled pixel positions and where `start` sees them on the tangent plane (n, 2), arcsec."""
    grid = np.linspace(-1, 1, _PRIOR_GRID)
    u, v = (part.ravel() for part in np.meshgrid(wide * grid, grid))
    plane = RAD_TO_ARCSEC * np.stack(
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
