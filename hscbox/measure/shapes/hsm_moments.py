"""Adaptive moments with a floating centre, as the HSM code defines them.

Method: Bernstein & Jarvis 2002, AJ 123, 583; Hirata & Seljak 2003, MNRAS 343, 459. Steps, limits and tolerances are
those of the HSM part of GalSim 2.8 (Rowe et al. 2015, A&C 10, 121), so that the same stamps converge, and fail, alike.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...numerics.arrays import FloatArray
from ...numerics.compiler import njit
from ...numerics.weighted_sums import row_range, weighted_sums

__all__ = ["HsmMoments", "hsm_moments"]


_TOLERANCE = 1e-6
# The weight is cut where it falls below a tenth of the tolerance.
_MAX_EXPONENT = -2.0 * math.log(_TOLERANCE / 10.0)
_MAX_STEP = 0.25
_MAX_MOMENT = 8000.0
_MAX_SHIFT = 15.0
_MAX_ROUNDS = 400


class HsmMoments(NamedTuple):
    """Result of `hsm_moments`; plain numbers, so that compiled code can use it."""

    good: bool
    """False where the iteration failed; all else is then meaningless."""
    x: float
    """Centre of the adapted Gaussian in the stamp [px]."""
    y: float
    xx: float
    """Its covariance [px^2]."""
    yy: float
    xy: float
    sum: float
    """Sum of weight times image: half the flux of the Gaussian."""
    rho4: float
    """Mean of the fourth power of the radius in sigmas under weight times image; 2 for a Gaussian."""


@njit
def hsm_moments(stamp: FloatArray, x: float, y: float, xx: float, yy: float, xy: float) -> HsmMoments:
    """Measure the adaptive moments of an object without background.

    Parameters
    ----------
    stamp
        Pixels (height, width); masked ones are 0.
    x, y
        First guess of the centre [px].
    xx, yy, xy
        First guess of the covariance [px^2].
    """
    x_start, y_start = x, y
    scale_start = 0.0
    total, i_xx, i_yy, i_xy = 0.0, 0.0, 0.0, 0.0
    x_last, y_last = x, y
    change = 1.0
    rounds = 0
    while change > _TOLERANCE:
        det = xx * yy - xy * xy
        if not (det > 0.0 and xx > 0.0 and yy > 0.0):
            return _failed()
        i_xx, i_yy, i_xy = yy / det, xx / det, -xy / det
        x_last, y_last = x, y
        reach = math.sqrt(_MAX_EXPONENT * yy)
        bottom, top = max(0, math.ceil(y - reach)), min(stamp.shape[0] - 1, math.floor(y + reach))
        box = (0, stamp.shape[1] - 1, bottom, top)
        total, s_x, s_y, s_xx, s_yy, s_xy = weighted_sums(stamp, x, y, box, i_xx, i_yy, i_xy, _MAX_EXPONENT)
        minor = 0.5 * (xx + yy) - math.hypot(0.5 * (xx - yy), xy)
        if bottom > top or not minor > 0.0:
            return _failed()
        scale = math.sqrt(minor)
        if rounds == 0:
            scale_start = scale
        dx, dy = _limited(2.0 * s_x / (total * scale)), _limited(2.0 * s_y / (total * scale))
        dxx = _limited(4.0 * (s_xx / total - 0.5 * xx) / minor)
        dyy = _limited(4.0 * (s_yy / total - 0.5 * yy) / minor)
        dxy = _limited(4.0 * (s_xy / total - 0.5 * xy) / minor)
        change = max(abs(dx), abs(dy), abs(dxx), abs(dyy), abs(dxy))
        if scale < scale_start:
            change *= scale_start / scale
        x, y = x + dx * scale, y + dy * scale
        xx, yy, xy = xx + dxx * minor, yy + dyy * minor, xy + dxy * minor
        rounds += 1
        # Negated comparisons refuse nan too.
        if not (abs(xx) <= _MAX_MOMENT and abs(yy) <= _MAX_MOMENT and abs(xy) <= _MAX_MOMENT and change >= 0.0):
            return _failed()
        if not (abs(x - x_start) <= _MAX_SHIFT and abs(y - y_start) <= _MAX_SHIFT) or rounds > _MAX_ROUNDS:
            return _failed()
    rho4 = _fourth_moment(stamp, x_last, y_last, i_xx, i_yy, i_xy) / total
    return HsmMoments(True, x, y, xx, yy, xy, total, rho4)


@njit
def _failed() -> HsmMoments:
    return HsmMoments(False, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)


@njit
def _limited(step: float) -> float:
    """Return the step cut to the longest allowed; nan stays."""
    if step > _MAX_STEP:
        return _MAX_STEP
    if step < -_MAX_STEP:
        return -_MAX_STEP
    return step


@njit
def _fourth_moment(stamp: FloatArray, x: float, y: float, i_xx: float, i_yy: float, i_xy: float) -> Any:
    """Return the sum of weight times image times the fourth power of the radius in sigmas."""
    total = 0.0
    for j in range(stamp.shape[0]):
        dy = j - y
        first, last = row_range(dy, x, 0, stamp.shape[1] - 1, i_xx, i_yy, i_xy, _MAX_EXPONENT)
        for i in range(first, last + 1):
            dx = i - x
            square = dx * (dx * i_xx + 2.0 * dy * i_xy) + dy * dy * i_yy
            total += stamp[j, i] * math.exp(-0.5 * square) * square * square
    return total
