"""Crosstalk between the amplifiers of one CCD."""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import FloatArray
from .tables import read_table

__all__ = ["crosstalk_matrix"]


def crosstalk_matrix() -> FloatArray:
    """Return the (4, 4) crosstalk coefficients [source, victim], equal on all CCDs.

    A pixel of the victim receives coefficient times the source pixel read at the same time. Coefficients are
    negative: ghosts are dark. Source: lsst/obs_subaru @ b7c7029d (2017-09-22): config/hsc/isr.py.
    """
    matrix = np.zeros((4, 4))
    for row in read_table("crosstalk"):
        matrix[row["source"], row["victim"]] = row["coefficient"]
    return matrix
