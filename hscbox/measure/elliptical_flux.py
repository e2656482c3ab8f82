"""Flux in an elliptical aperture: sinc weights if it is small, whole pixels if it is large."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..numerics.compiler import njit
from .sinc_aperture import ellipse_weights, sinc_half_width

__all__ = ["aperture_weights", "scaled_ellipse", "semi_minor", "weighted_sum"]


@njit
def semi_minor(xx: float, yy: float, xy: float) -> float:
    """Return the semi-minor axis of an ellipse r^T Q^-1 r = 1."""
    return math.sqrt(max(0.5 * (xx + yy) - math.sqrt(0.25 * (xx - yy) ** 2 + xy * xy), 0.0))


@njit
def scaled_ellipse(xx: float, yy: float, xy: float, radius: float) -> tuple[float, float, float]:
    """Scale an ellipse to the determinant radius `radius`, keeping its form."""
    factor = radius * radius / np.sqrt(xx * yy - xy * xy)
    return xx * factor, yy * factor, xy * factor


@njit
def aperture_weights(
    shape: tuple[int, int],
    x: float,
    y: float,
    xx: float,
    yy: float,
    xy: float,
    max_sinc: float,
    table: Any,
) -> tuple[bool, int, int, Any]:
    """Return whether the aperture r^T Q^-1 r <= 1 about (x, y) fits in an image, its first column and row, its weights.

    Parameters
    ----------
    shape
        Of the image (height, width).
    max_sinc
        Largest semi-minor axis [px] measured with sinc weights.
    table
        `sinc_aperture.sine_integral_table`.
    """
    height, width = shape
    reach_x, reach_y = np.sqrt(xx), np.sqrt(yy)
    inside = x - reach_x >= -0.5 and y - reach_y >= -0.5 and x + reach_x <= width - 0.5 and y + reach_y <= height - 0.5
    if not inside:
        return False, 0, 0, np.zeros((0, 0))
    if semi_minor(xx, yy, xy) <= max_sinc:
        ix, iy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        half_x, half_y = sinc_half_width(reach_x), sinc_half_width(reach_y)
        weights = ellipse_weights(xx, yy, xy, x - ix, y - iy, half_x, half_y, table)
        return True, ix - half_x, iy - half_y, weights
    left, bottom = int(np.ceil(x - reach_x)), int(np.ceil(y - reach_y))
    weights = np.zeros((int(np.floor(y + reach_y)) - bottom + 1, int(np.floor(x + reach_x)) - left + 1))
    det = xx * yy - xy * xy
    for j in range(weights.shape[0]):
        dy = bottom + j - y
        rest = det * (yy - dy * dy)
        if rest < 0:
            continue
        middle, reach = x + dy * xy / yy, np.sqrt(rest) / yy
        for u in range(int(np.ceil(middle - reach)), int(np.floor(middle + reach)) + 1):
            if 0 <= u - left < weights.shape[1]:
                weights[j, u - left] = 1.0
    return True, left, bottom, weights


@njit
def weighted_sum(image: Any, variance: Any, weights: Any, left: int, bottom: int) -> tuple[float, float]:
    """Return sum(w I) and sum(w^2 V) for weights whose first pixel is (left, bottom), clipped to the image."""
    height, width = image.shape
    flux, noise = 0.0, 0.0
    for j in range(max(0, -bottom), min(weights.shape[0], height - bottom)):
        for k in range(max(0, -left), min(weights.shape[1], width - left)):
            w = weights[j, k]
            flux += w * image[bottom + j, left + k]
            noise += w * w * variance[bottom + j, left + k]
    return flux, noise
