"""What the numbers are made of: measured minus true values, source by source.

Numbers of several frames come from the residuals of all of them, put one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..numerics.arrays import FloatArray

__all__ = ["Residuals", "Table", "pooled", "scaled"]


Table = dict[str, FloatArray]
"""Columns by name, equally long."""
Residuals = dict[str, Table]
"""Tables by name."""


def pooled(parts: Sequence[Residuals]) -> Residuals:
    """Return the tables of all parts, which have the same columns, one after the other."""
    return {
        name: {column: np.concatenate([part[name][column] for part in parts]) for column in table}
        for name, table in parts[0].items()
    }


def scaled(values: FloatArray, extent: int) -> FloatArray:
    """Return pixel positions (n,) along an axis of `extent` pixels as -0.5 at its begin ... 0.5 at its end."""
    result: FloatArray = (np.asarray(values, dtype=np.float64) + 0.5) / extent - 0.5
    return result
