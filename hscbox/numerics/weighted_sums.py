"""Sums of an image under an elliptical Gaussian weight, which adaptive moments are made of."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiler import njit

__all__ = ["row_range", "weighted_sums"]


@njit
def row_range(
    dy: float, x: float, first: int, last: int, i_xx: float, i_yy: float, i_xy: float, max_exponent: float
) -> tuple[int, int]:
    """Return the first and last column of a row with r^T W^-1 r <= max_exponent, from `first` to `last`.

    `dy` is the row's distance from the centre, `x` the centre's column; a row without any has first > last.
    """
    across = dy * i_xy
    discriminant = across * across - i_xx * (dy * dy * i_yy - max_exponent)
    if discriminant < 0.0:
        return 1, 0
    half = math.sqrt(discriminant)
    return (
        max(first, math.ceil(x + (-across - half) / i_xx)),
        min(last, math.floor(x + (-across + half) / i_xx)),
    )


@njit
def weighted_sums(
    image: NDArray[np.floating],
    x: float,
    y: float,
    box: tuple[int, int, int, int],
    i_xx: float,
    i_yy: float,
    i_xy: float,
    max_exponent: float,
) -> tuple[float, float, float, float, float, float]:
    """Return the sums of weight times image with 1, dx, dy, dx^2, dy^2 and dx dy.

    Parameters
    ----------
    image
        Pixels (height, width).
    x, y
        Centre [px].
    box
        First and last column, first and last row that count; all within the image.
    i_xx, i_yy, i_xy
        Inverse covariance W^-1 of the weight exp(-r^T W^-1 r / 2) [px^-2].
    max_exponent
        Pixels with a larger r^T W^-1 r do not count.
    """
    s, sx, sy, sxx, syy, sxy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    # Along a row the exponent is a quadratic in dx, so that the weight follows from its neighbour by two products:
    # three exponentials a row instead of one a pixel. Rounding grows to 1e-12 over a hundred pixels.
    step = math.exp(-i_xx)
    for j in range(box[2], box[3] + 1):
        dy = j - y
        first, last = row_range(dy, x, box[0], box[1], i_xx, i_yy, i_xy, max_exponent)
        if first > last:
            continue
        across = dy * i_xy
        dx = first - x
        weight = math.exp(-0.5 * (dx * (dx * i_xx + 2.0 * across) + dy * dy * i_yy))
        ratio = math.exp(-0.5 * (i_xx * (2.0 * dx + 1.0) + 2.0 * across))
        row, row_x, row_xx = 0.0, 0.0, 0.0
        for i in range(first, last + 1):
            dx = i - x
            value = image[j, i] * weight
            row += value
            row_x += value * dx
            row_xx += value * dx * dx
            weight *= ratio
            ratio *= step
        s += row
        sx += row_x
        sxx += row_xx
        sy += row * dy
        sxy += row_x * dy
        syy += row * dy * dy
    return s, sx, sy, sxx, syy, sxy
