"""The kernel of the brighter-fatter correction."""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import FloatArray
from .tables import read_table

__all__ = ["brighter_fatter_kernel"]


def brighter_fatter_kernel() -> FloatArray:
    """Return the (17, 17) kernel [y, x] in pix^2 per electron, centre at [8, 8], one for all CCDs.

    Source: lsst/obs_subaru @ b7c7029d (2017-09-22): hsc/brighter_fatter_kernel.pkl; Coulton et al. 2018, AJ
    155, 258.
    """
    return np.array([list(row.values()) for row in read_table("brighter_fatter_kernel")])
