"""Kron radii and their noise.

Kron 1980, ApJS 43, 305; Bertin & Arnouts 1996, A&AS 117, 393.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...numerics.compiler import njit
from ..elliptical_flux import semi_minor

__all__ = ["growth", "kron_radius", "noise_of_radius"]

# Mean radius of a uniform unit square about its centre.
_SQUARE_RADIUS = 0.38259771140356325
# The growth of the flux with the aperture is taken from a rim of this half width, in units of the aperture's size.
_RIM = 0.2


@njit
def kron_radius(
    image: Any, x: float, y: float, xx: float, yy: float, xy: float, n_sigma: float
) -> tuple[bool, float, float, float]:
    """Return whether the ellipse of n_sigma shapes fits in the image, and the Kron radius (nan if meaningless).

    The sum of the pixels and their mean radius along the major axis follow.
    """
    height, width = image.shape
    left, right, bottom, top = _box(x, y, n_sigma * np.sqrt(xx), n_sigma * np.sqrt(yy))
    if left < 0 or bottom < 0 or right >= width or top >= height:
        return False, np.nan, np.nan, np.nan
    det = xx * yy - xy * xy
    minor = semi_minor(xx, yy, xy)
    if not minor > 0:
        return True, np.nan, np.nan, np.nan
    total, moment = 0.0, 0.0
    for v in range(bottom, top + 1):
        for u in range(left, right + 1):
            r = _radius(u - x, v - y, xx, yy, xy, n_sigma, det / minor**2)
            if r >= 0.0:
                total += image[v, u]
                moment += r * image[v, u]
    if not (total > 0 and moment > 0):
        return True, np.nan, np.nan, np.nan
    # The axis ratio is a / b = sqrt(det) / b^2.
    return True, moment / total / np.sqrt(np.sqrt(det) / minor**2), total, moment / total


@njit
def _box(x: float, y: float, reach_x: float, reach_y: float) -> tuple[int, int, int, int]:
    """Return the first and last column and the first and last row with centres within reach."""
    left, right = int(np.ceil(x - reach_x)), int(np.floor(x + reach_x))
    bottom, top = int(np.ceil(y - reach_y)), int(np.floor(y + reach_y))
    return left, right, bottom, top


@njit
def _radius(dx: float, dy: float, xx: float, yy: float, xy: float, n_sigma: float, major_squared: float) -> float:
    """Return the elliptical radius of a pixel along the major axis, -1 beyond n_sigma shapes."""
    # r^T Q^-1 r is the square of the elliptical radius in units of the major axis.
    scaled = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / (xx * yy - xy * xy)
    if scaled > n_sigma * n_sigma:
        return -1.0
    r = np.sqrt(scaled * major_squared)
    distance = np.hypot(dx, dy)
    if distance < 0.5:
        r = np.hypot(r, _SQUARE_RADIUS * (1.0 + distance / np.sqrt(2.0)))
    return float(r)


@njit
def growth(image: Any, x: float, y: float, xx: float, yy: float, xy: float) -> float:
    """Return the derivative of the flux in an ellipse by the logarithm of its size, at least 0 [ADU]."""
    height, width = image.shape
    det = xx * yy - xy * xy
    left, right, bottom, top = _box(x, y, (1.0 + _RIM) * np.sqrt(xx), (1.0 + _RIM) * np.sqrt(yy))
    total = 0.0
    for v in range(max(bottom, 0), min(top, height - 1) + 1):
        dy = v - y
        for u in range(max(left, 0), min(right, width - 1) + 1):
            dx = u - x
            scaled = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / det
            if (1.0 - _RIM) ** 2 < scaled <= (1.0 + _RIM) ** 2:
                total += image[v, u]
    return max(total / (2.0 * _RIM), 0.0)


@njit
def noise_of_radius(
    variance: Any,
    x: float,
    y: float,
    shape: tuple[float, float, float, float],
    mean: float,
    slope: float,
    weights: Any,
    left: int,
    bottom: int,
) -> float:
    """Return what the noise of the Kron radius adds to the variance of the flux.

    A pixel of radius r that is brighter by d moves the logarithm of the Kron radius by (r - mean) d / (total mean),
    and with it the flux by `slope` (r - mean) d, beside its own weight in the aperture.
    """
    xx, yy, xy, n_sigma = shape
    major_squared = (xx * yy - xy * xy) / semi_minor(xx, yy, xy) ** 2
    first_u, last_u, first_v, last_v = _box(x, y, n_sigma * np.sqrt(xx), n_sigma * np.sqrt(yy))
    extra = 0.0
    for v in range(first_v, last_v + 1):
        for u in range(first_u, last_u + 1):
            r = _radius(u - x, v - y, xx, yy, xy, n_sigma, major_squared)
            if r < 0.0:
                continue
            weight, j, i = 0.0, v - bottom, u - left
            if 0 <= j < weights.shape[0] and 0 <= i < weights.shape[1]:
                weight = weights[j, i]
            by_radius = slope * (r - mean)
            extra += variance[v, u] * by_radius * (by_radius + 2.0 * weight)
    return extra
