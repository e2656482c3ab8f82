"""Statistics of the sky in the cells of a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.arrays import Float32Array, FloatArray, Int32Array, IntArray
from ..numerics.compiler import njit
from ..numerics.statistics import clipped_mean, good_values, median
from .source_wings import BLOCK, SourceWings

__all__ = ["cell_statistics"]


def cell_statistics(
    image: Float32Array,
    mask: Int32Array,
    ignored_bits: int,
    x_edges: IntArray,
    y_edges: IntArray,
    statistic: str = "MEANCLIP",
    wings: SourceWings | None = None,
) -> tuple[Float32Array, Float32Array]:
    """Return statistic and its standard error for each cell of a grid.

    Parameters
    ----------
    image, mask
        Pixels and mask bits, shape (height, width).
    ignored_bits
        Pixels with any of these bits are left out, as are pixels that are not finite.
    x_edges, y_edges
        First pixel of each cell and the end of the last one.
    statistic
        "MEANCLIP" (`hscbox.numerics.statistics.clipped_mean`), "MEAN" or "MEDIAN".
    wings
        Pixels with strong wings of sources are left out too; the mean of those of the others is subtracted.

    Returns
    -------
    Two arrays of shape (len(y_edges) - 1, len(x_edges) - 1); NaN where a cell has too few pixels.
    """
    shape = (len(y_edges) - 1, len(x_edges) - 1)
    values = np.full(shape, np.nan, dtype=np.float32)
    errors = np.full(shape, np.nan, dtype=np.float32)
    for j in range(shape[0]):
        rows = slice(int(y_edges[j]), int(y_edges[j + 1]))
        for i in range(shape[1]):
            columns = slice(int(x_edges[i]), int(x_edges[i + 1]))
            if wings is None:
                good, excess = good_values(image[rows, columns], mask[rows, columns], ignored_bits), 0.0
            else:
                good, excess = _pixels_off_wings(
                    image[rows, columns],
                    mask[rows, columns],
                    ignored_bits,
                    rows.start,
                    columns.start,
                    wings.level,
                    wings.masked_above,
                    wings.subtracted_up_to,
                )
            if good.size:
                value, errors[j, i] = _statistic(good, statistic)
                values[j, i] = value - excess
    return values, errors


def _statistic(good: NDArray[Any], statistic: str) -> tuple[float, float]:
    result = clipped_mean(good, n_iter=3 if statistic == "MEANCLIP" else 0)
    if statistic == "MEDIAN":
        return median(good), float(np.sqrt(np.pi / 2.0)) * result.error
    return result.mean, result.error


@njit
def _pixels_off_wings(
    image: Float32Array,
    mask: Int32Array,
    ignored_bits: int,
    y0: int,
    x0: int,
    wings: FloatArray,
    masked_above: float,
    most: float,
) -> tuple[Float32Array, float]:
    """Return the good pixels of a cell that begins at (x0, y0), and the mean of the wings in them up to `most`."""
    good = np.empty(image.size, dtype=np.float32)
    n = 0
    total = 0.0
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if mask[y, x] & ignored_bits == 0 and np.isfinite(image[y, x]):
                wing = wings[(y0 + y) // BLOCK, (x0 + x) // BLOCK]
                if wing <= masked_above:
                    good[n] = image[y, x]
                    n += 1
                    total += min(wing, most)
    return good[:n], total / max(n, 1)
