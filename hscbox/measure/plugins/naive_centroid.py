"""Centroid from the first moments of 3 x 3 pixels."""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...numerics.compiler import njit
from ..centroid_check import CentroidPlugin
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import register

__all__ = ["NaiveCentroid", "NaiveCentroidConfig"]

_EDGE, _NO_COUNTS = 1, 2


class NaiveCentroidConfig(pex_config.Config):
    """Parameters of base_NaiveCentroid."""

    background = pex_config.Field("Subtracted from the pixels first [ADU].", float, default=0.0)
    doFootprintCheck = pex_config.Field("Go back to the peak if the centroid leaves the footprint?", bool, default=True)
    maxDistToPeak = pex_config.Field(
        "Go back if farther from the peak than this (px); negative: off.", float, default=-1.0
    )


@register("base_NaiveCentroid")
class NaiveCentroid(CentroidPlugin):
    """base_NaiveCentroid."""

    ConfigClass: ClassVar[type[Any]] = NaiveCentroidConfig
    centroid_alias: ClassVar[str] = "_flag_badInitialCentroid"

    def declare(self, schema: Schema) -> None:
        """Add positions and flags."""
        self.add_point(schema, "3x3 first-moment centroid")
        self.declare_flags(schema, flag_noCounts="3x3 sum is zero", flag_edge="too near the edge")

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources, starting from the centroid slot."""
        x, y, failure = _moments(context.pixels, *context.centroid, self.config.background)
        self.fill(context, x, y, failure, context.centroid, {_EDGE: "edge", _NO_COUNTS: "noCounts"})


@njit
def _moments(pixels: Any, x: Any, y: Any, background: float) -> tuple[Any, Any, Any]:
    mx, my, failure = np.full(x.size, np.nan), np.full(x.size, np.nan), np.zeros(x.size, np.int64)
    height, width = pixels.work.shape
    for i in range(x.size):
        ix, iy = int(np.floor(x[i] + 0.5)), int(np.floor(y[i] + 0.5))
        if ix < 1 or iy < 1 or ix > width - 2 or iy > height - 2:
            failure[i] = _EDGE
            continue
        put_back(pixels, i)
        total, sum_x, sum_y = 0.0, 0.0, 0.0
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                value = pixels.work[iy + dy, ix + dx] - background
                total += value
                sum_x += value * dx
                sum_y += value * dy
        take_out(pixels, i)
        if total == 0.0 or not np.isfinite(total):
            failure[i] = _NO_COUNTS
            continue
        mx[i], my[i] = ix + sum_x / total, iy + sum_y / total
    return mx, my, failure
