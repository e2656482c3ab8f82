"""What plugins of centroids share: a centroid that leaves its footprint goes back to the peak."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..catalog.schema import Schema
from ..numerics.arrays import BoolArray, FloatArray
from ..numerics.compiler import njit
from .context import MeasurementContext
from .plugin import Plugin

__all__ = ["CentroidPlugin", "reset_outside_footprint"]


class CentroidPlugin(Plugin):
    """A measurement of positions; its configuration has doFootprintCheck and maxDistToPeak."""

    order: ClassVar[float] = 0.0

    def declare_positions(self, schema: Schema, doc: str) -> None:
        """Add the columns of the positions."""
        for axis in "xy":
            schema.add_field(f"{self.name}_{axis}", "D", f"{doc}, {axis}", "pixel")

    def fill(self, context: MeasurementContext, x: FloatArray, y: FloatArray, failed: BoolArray) -> None:
        """Check the positions (n,), put them into the catalogue, and flag those that failed or were replaced."""
        reset = reset_outside_footprint(context, x, y, self.config.doFootprintCheck, self.config.maxDistToPeak)
        context.catalog[f"{self.name}_flag_resetToPeak"] = reset
        context.catalog[f"{self.name}_flag"] = failed | reset
        context.catalog[f"{self.name}_x"], context.catalog[f"{self.name}_y"] = x, y


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
