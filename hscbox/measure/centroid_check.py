"""What plugins of centroids share: a centroid that leaves its footprint goes back to the peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..catalog.schema import Schema
from ..numerics.arrays import FloatArray, IntArray
from ..numerics.compiler import njit
from .context import MeasurementContext
from .plugin import Plugin

__all__ = ["CentroidPlugin"]


class CentroidPlugin(Plugin):
    """A measurement of positions; its configuration has doFootprintCheck and maxDistToPeak."""

    order: ClassVar[float] = 0.0

    def declare_flags(self, schema: Schema, **docs: str) -> None:
        """Add the flags of failures, between those that all plugins of centroids have."""
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            **docs,
            flag_resetToPeak="result lay outside the footprint and was replaced by the first peak",
        )

    def fill(
        self,
        context: MeasurementContext,
        x: FloatArray,
        y: FloatArray,
        failure: IntArray,
        start: tuple[FloatArray, FloatArray],
        flags: Mapping[int, str],
    ) -> None:
        """Put positions (n,) into the catalogue, and flag them.

        Those that failed become those of `start`; those outside of their footprints, or farther from the first peak
        than maxDistToPeak [px], become that peak.

        Parameters
        ----------
        failure
            (n,) number of the failure; 0 is good.
        flags
            Ending of the flag for each number.
        """
        catalog, name = context.catalog, self.name
        failed = failure > 0
        x[failed], y[failed] = start[0][failed], start[1][failed]
        reset = np.zeros(len(x), dtype=np.bool_)
        if self.config.doFootprintCheck:
            reset |= _outside(context.pixels.start, context.pixels.where, x, y, *context.exposure.image.shape)
        if self.config.maxDistToPeak > 0:
            reset |= np.hypot(x - context.peak_x, y - context.peak_y) > self.config.maxDistToPeak
        x[reset], y[reset] = context.peak_x[reset], context.peak_y[reset]
        for number, ending in flags.items():
            catalog[f"{name}_flag_{ending}"] = failure == number
        catalog[f"{name}_flag_resetToPeak"] = reset
        catalog[f"{name}_flag"] = failed | reset
        catalog[f"{name}_x"], catalog[f"{name}_y"] = x, y


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
