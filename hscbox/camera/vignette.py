"""Where the light ends on the focal plane."""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import FloatArray
from .tables import read_table

__all__ = ["VIGNETTE_CENTER", "VIGNETTE_RADIUS", "vignette_polygon"]

VIGNETTE_CENTER = (-100.0, 100.0)
"""Centre of the lit circle, focal-plane pixels."""
VIGNETTE_RADIUS = 17500.0
"""Its radius, focal-plane pixels."""


def vignette_polygon() -> FloatArray:
    """Return the lit circle as a polygon: (100, 2) focal-plane pixels (x, y), clockwise.

    Source: lsst/obs_subaru @ b7c7029d (2017-09-22): config/hsc/vignette.py.
    """
    return np.array([(row["x"], row["y"]) for row in read_table("vignette")])
