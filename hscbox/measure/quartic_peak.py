"""The maximum of nine smoothed pixels, by parabolas with a correction for a Gaussian's fourth derivative.

Pier et al. 2003, AJ 125, 1559 (SDSS photo).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics.compiler import njit

__all__ = ["ALMOST_NO_SECOND", "NOT_MAXIMUM", "NO_SECOND", "peak_of_3x3"]

NO_SECOND = 1
"""The curvature is zero."""
ALMOST_NO_SECOND = 2
"""It is so small that there is no maximum near."""
NOT_MAXIMUM = 3
"""The middle is no maximum."""

# Correction of a parabola's maximum for the fourth derivative of a Gaussian.
_QUARTIC = 1.33
# A step that is longer than this, in units of the curvature, says that there is no maximum near.
_LONGEST_STEP = 10.0


@njit
def peak_of_3x3(v: Any, sigma: float) -> tuple[int, float, float, float, float, float]:
    """Return failure, offset x, y, squared widths in x, y beyond the PSF's, and peak height."""
    bad = (np.nan, np.nan, np.nan, np.nan, np.nan)
    d2x, d2y = 2.0 * v[1, 1] - v[1, 0] - v[1, 2], 2.0 * v[1, 1] - v[0, 1] - v[2, 1]
    sx, sy = 0.5 * (v[1, 2] - v[1, 0]), 0.5 * (v[2, 1] - v[0, 1])
    if not (np.isfinite(d2x) and np.isfinite(d2y)) or d2x == 0.0 or d2y == 0.0:
        return (NO_SECOND, *bad)
    if d2x < 0.0 or d2y < 0.0:
        return (NOT_MAXIMUM, *bad)
    dx0, dy0 = sx / d2x, sy / d2y
    if abs(dx0) > _LONGEST_STEP or abs(dy0) > _LONGEST_STEP:
        return (ALMOST_NO_SECOND, *bad)
    peak = v[1, 1] + 0.5 * (sx * dx0 + sy * dy0)
    if peak < 0.0:
        return (NOT_MAXIMUM, *bad)
    across, along = np.empty(3), np.empty(3)
    valid = True
    for k in range(3):
        ok_x, across[k] = _row_maximum(v[k, 0], v[k, 1], v[k, 2])
        ok_y, along[k] = _row_maximum(v[0, k], v[1, k], v[2, k])
        valid = valid and ok_x and ok_y
    if valid:
        slope_x, bend_x = 0.5 * (across[2] - across[0]), across[1] - 0.5 * (across[2] + across[0])
        slope_y, bend_y = 0.5 * (along[2] - along[0]), along[1] - 0.5 * (along[2] + along[0])
        dx = across[1] + dy0 * (slope_x - dy0 * bend_x)
        dy = along[1] + dx0 * (slope_y - dx0 * bend_y)
        xc = across[1] + dy * (slope_x - dy * bend_x)
        yc = along[1] + dx * (slope_y - dx * bend_y)
        size_x = peak / d2x - 0.25 * (1.0 + 6.0 * dx0 * dx0)
        size_y = peak / d2y - 0.25 * (1.0 + 6.0 * dy0 * dy0)
    else:
        xc, yc = dx0, dy0
        size_x, size_y = peak / d2x, peak / d2y
    s2 = sigma * sigma
    return 0, xc, yc, max(size_x - s2, s2), max(size_y - s2, s2), peak


@njit
def _row_maximum(a: float, b: float, c: float) -> tuple[bool, float]:
    """Return whether the quartic through three equidistant values has a maximum near, and where."""
    rise, fall = b - a, b - c
    d2 = rise + fall
    if not (d2 > 0.0 and b > 0.0):
        return False, 0.0
    position = 0.5 * (c - a) / d2 * (1.0 + _QUARTIC * rise * fall / (d2 * b))
    return abs(position) < 1.0, position
