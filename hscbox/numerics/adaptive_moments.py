"""Adaptive second moments: the covariance of the Gaussian that fits an object best, used as its own weight.

Method: Bernstein & Jarvis 2002, AJ 123, 583; Hirata & Seljak 2003, MNRAS 343, 459; with the fixed centre, limits and
tolerances of base_SdssShape of the HSC pipeline (Bosch et al. 2018, PASJ 70, S5, section 4.9).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiler import njit
from .weighted_sums import weighted_sums

__all__ = ["MAX_ITER", "SHIFT", "UNWEIGHTED", "UNWEIGHTED_BAD", "AdaptiveMoments", "adaptive_moments"]

UNWEIGHTED = 1
"""The weight could not be adapted: the moments are unweighted."""
UNWEIGHTED_BAD = 2
"""Even the unweighted moments make no sense: the moments are those of a single pixel."""
MAX_ITER = 4
"""No convergence within 100 rounds: the moments are those of the last weight."""
SHIFT = 8
"""The weighted centroid lies more than 2 px from the given centre."""

_START = 1.5
_MAX_ROUNDS = 100
_MAX_RADIUS = 1000.0
_TOLERANCE_ELLIPTICITY = 1e-5
# Pixels with a larger r^T W^-1 r do not count.
_MAX_EXPONENT = 14.0
_TOLERANCE_SIZE = 1e-4
_MAX_SHIFT = 2.0
_PIXEL_VARIANCE = 1.0 / 12.0


class AdaptiveMoments(NamedTuple):
    """Result of `adaptive_moments`; plain numbers, so that compiled code can use it."""

    xx: float
    """Covariance of the adapted Gaussian [px^2]."""
    yy: float
    xy: float
    x: float
    """Centroid under the last weight [px]."""
    y: float
    flux: float
    """Flux of the fitted Gaussian, NaN if the moments are unweighted."""
    peak: float
    """Its central value I0, NaN if the moments are unweighted."""
    flags: int
    """Sum of the flag constants of this module; 0 is good."""


@njit
def adaptive_moments(image: NDArray[np.floating], x: float, y: float) -> AdaptiveMoments:
    """Measure the adaptive moments of an object without background, centred at a given position.

    Parameters
    ----------
    image
        Pixels (height, width), float32 or float64. Parts of the weight beyond the border are left out.
    x, y
        Centre [px], column and row; it stays fixed.

    Returns
    -------
    AdaptiveMoments
        Compiled for use in other compiled loops.
    """
    # Callers may pass integers; compiled code needs one type throughout.
    x, y = float(x), float(y)
    height, width = image.shape
    w_xx, w_yy, w_xy = _START, _START, 0.0
    old_e1, old_e2, old_xx = 1e6, 1e6, 1e6
    centroid_x, centroid_y, total = x, y, 0.0
    flags = 0
    for _ in range(_MAX_ROUNDS):
        radius = min(4.0 * math.sqrt(max(w_xx, w_yy)), _MAX_RADIUS)
        x_first, x_last = max(int(x - radius - 0.5), 0), min(int(x + radius + 0.5), width - 1)
        y_first, y_last = max(int(y - radius - 0.5), 0), min(int(y + radius + 0.5), height - 1)
        det = w_xx * w_yy - w_xy * w_xy
        i_xx, i_yy, i_xy = w_yy / det, w_xx / det, -w_xy / det
        box = (x_first, x_last, y_first, y_last)
        # A weight narrower than a pixel is averaged over 4 x 4 points of every pixel.
        if w_xx < 0.25 or w_yy < 0.25 or det < 0.0625:
            sums = _sums_subsampled(image, x, y, box, i_xx, i_yy, i_xy)
        else:
            sums = weighted_sums(image, x, y, box, i_xx, i_yy, i_xy, _MAX_EXPONENT)
        total = sums[0]
        if not total > 0.0:
            return _unweighted(image, x, y, box)
        centroid_x, centroid_y = x + sums[1] / total, y + sums[2] / total
        m_xx, m_yy, m_xy = sums[3] / total, sums[4] / total, sums[5] / total
        det_m = m_xx * m_yy - m_xy * m_xy
        if not (m_xx > 0.0 and m_yy > 0.0 and det_m > 0.0):
            return _unweighted(image, x, y, box)
        e1, e2 = (m_xx - m_yy) / (m_xx + m_yy), 2.0 * m_xy / (m_xx + m_yy)
        if (
            abs(e1 - old_e1) < _TOLERANCE_ELLIPTICITY
            and abs(e2 - old_e2) < _TOLERANCE_ELLIPTICITY
            and abs(m_xx / old_xx - 1.0) < _TOLERANCE_SIZE
        ):
            break
        old_e1, old_e2, old_xx = e1, e2, m_xx
        # Weight times object is a Gaussian whose inverse covariance is the sum of both: solve for the object.
        n_xx, n_yy, n_xy = m_yy / det_m - i_xx, m_xx / det_m - i_yy, -m_xy / det_m - i_xy
        det_n = n_xx * n_yy - n_xy * n_xy
        if not (det_n > 0.0 and n_xx > 0.0 and n_yy > 0.0):
            return _unweighted(image, x, y, box)
        w_xx, w_yy, w_xy = n_yy / det_n, n_xx / det_n, -n_xy / det_n
    else:
        flags |= MAX_ITER
    if abs(centroid_x - x) > _MAX_SHIFT or abs(centroid_y - y) > _MAX_SHIFT:
        flags |= SHIFT
    root = math.sqrt(w_xx * w_yy - w_xy * w_xy)
    peak = total / (math.pi * root)
    return AdaptiveMoments(w_xx, w_yy, w_xy, centroid_x, centroid_y, peak * 2.0 * math.pi * root, peak, flags)


@njit
def _sums_subsampled(
    image: NDArray[np.floating],
    x: float,
    y: float,
    box: tuple[int, int, int, int],
    i_xx: float,
    i_yy: float,
    i_xy: float,
) -> tuple[float, float, float, float, float, float]:
    x_first, x_last, y_first, y_last = box
    s, sx, sy, sxx, syy, sxy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(y_first, y_last + 1):
        for i in range(x_first, x_last + 1):
            for b in range(4):
                dy = j - y - 0.375 + 0.25 * b
                for a in range(4):
                    dx = i - x - 0.375 + 0.25 * a
                    exponent = dx * (dx * i_xx + 2.0 * dy * i_xy) + dy * dy * i_yy
                    if exponent <= 9.0:
                        value = image[j, i] * math.exp(-0.5 * exponent) / 16.0
                        s += value
                        sx += value * dx
                        sy += value * dy
                        sxx += value * dx * dx
                        syy += value * dy * dy
                        sxy += value * dx * dy
    return s, sx, sy, sxx, syy, sxy


@njit
def _unweighted(image: NDArray[np.floating], x: float, y: float, box: tuple[int, int, int, int]) -> AdaptiveMoments:
    x_first, x_last, y_first, y_last = box
    s, sx, sy, sxx, syy, sxy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(y_first, y_last + 1):
        for i in range(x_first, x_last + 1):
            dx, dy = i - x, j - y
            value = float(image[j, i])
            s += value
            sx += value * dx
            sy += value * dy
            sxx += value * dx * dx
            syy += value * dy * dy
            sxy += value * dx * dy
    if not (s > 0.0 and sxx > 0.0 and syy > 0.0 and sxx * syy > sxy * sxy):
        return AdaptiveMoments(
            _PIXEL_VARIANCE, _PIXEL_VARIANCE, 0.0, x, y, math.nan, math.nan, UNWEIGHTED | UNWEIGHTED_BAD
        )
    flags = UNWEIGHTED
    if abs(sx / s) > _MAX_SHIFT or abs(sy / s) > _MAX_SHIFT:
        flags |= SHIFT
    return AdaptiveMoments(sxx / s, syy / s, sxy / s, x + sx / s, y + sy / s, math.nan, math.nan, flags)
