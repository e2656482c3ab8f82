"""The check that a centroid lies in its footprint."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics.arrays import BoolArray, FloatArray
from ..numerics.compiler import njit
from .context import MeasurementContext

__all__ = ["reset_outside_footprint"]


def reset_outside_footprint(
    context: MeasurementContext,
    x: FloatArray,
    y: FloatArray,
    check_footprint: bool,
    max_distance: float,
) -> BoolArray:
    """Replace centroids (n,) outside of their footprints by the first peaks, in place.

    Parameters
    ----------
    max_distance
        Replace also those farther than this from the first peak [px]; negative: off.

    Returns
    -------
    (n,) which were replaced.
    """
    reset = np.zeros(len(x), dtype=np.bool_)
    if check_footprint:
        reset |= _outside(context.pixels.start, context.pixels.where, x, y, *context.exposure.image.shape)
    if max_distance > 0:
        reset |= np.hypot(x - context.peak_x, y - context.peak_y) > max_distance
    x[reset], y[reset] = context.peak_x[reset], context.peak_y[reset]
    return reset


@njit
def _outside(start: Any, index: Any, x: Any, y: Any, height: int, width: int) -> Any:
    outside = np.ones(x.size, np.bool_)
    for i in range(x.size):
        if not (-0.5 <= x[i] < width - 0.5 and -0.5 <= y[i] < height - 0.5):
            continue
        pixel = int(np.floor(y[i] + 0.5)) * width + int(np.floor(x[i] + 0.5))
        # Pixels of a footprint are in raster order.
        k = start[i] + np.searchsorted(index[start[i] : start[i + 1]], pixel)
        outside[i] = not (k < start[i + 1] and index[k] == pixel)
    return outside
