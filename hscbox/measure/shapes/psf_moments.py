"""Adaptive moments of many PSF stamps at once."""

from __future__ import annotations

import numpy as np

from ...numerics.adaptive_moments import adaptive_moments
from ...numerics.arrays import FloatArray
from ...numerics.compiler import njit

__all__ = ["stamp_moments"]


@njit
def stamp_moments(stamps: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the moments xx, yy, xy (n, 3) [px^2] of `stamps` (n, size, size) with centres x, y (n,) in the stamps.

    Rows of stamps whose moments cannot be measured are nan.
    """
    moments = np.full((x.size, 3), np.nan)
    for i in range(x.size):
        found = adaptive_moments(stamps[i], x[i], y[i])
        if found.flags == 0:
            moments[i, 0], moments[i, 1], moments[i, 2] = found.xx, found.yy, found.xy
    return moments
