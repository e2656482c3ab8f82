"""Median variance around a source."""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...image.mask import mask_bits
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["Variance", "VarianceConfig"]


class VarianceConfig(pex_config.Config):
    """Parameters of base_Variance."""

    scale = pex_config.RangeField("Size of the ellipse in units of the shape's.", float, default=5.0, min=0)
    mask = pex_config.ListField(
        "Planes whose pixels are left out.", str, default=["DETECTED", "DETECTED_NEGATIVE", "BAD", "SAT"]
    )


@register("base_Variance")
class Variance(Plugin):
    """base_Variance."""

    ConfigClass: ClassVar[type[Any]] = VarianceConfig
    centroid_alias: ClassVar[str] = "_flag_badCentroid"

    def declare(self, schema: Schema) -> None:
        """Add the value and flags."""
        schema.add_field(f"{self.name}_value", "D", "median variance near the source")
        self.add_flags(schema, flag="failure", flag_emptyFootprint="no usable pixel")

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources; those without a shape fail."""
        catalog = context.catalog
        x, y = context.centroid
        value, used = _medians(
            context.exposure.variance,
            context.exposure.mask,
            np.int32(mask_bits(*self.config.mask)),
            x,
            y,
            context.shape,
            ~context.shape_failed,
            self.config.scale,
        )
        catalog[f"{self.name}_value"] = value
        catalog[f"{self.name}_flag_emptyFootprint"] = ~context.shape_failed & (used == 0)
        catalog[f"{self.name}_flag"] = (used == 0) | context.centroid_failed


@njit
def _medians(
    variance: Any, mask: Any, bad: Any, x: Any, y: Any, shape: Any, usable: Any, scale: float
) -> tuple[Any, Any]:
    value, used = np.full(x.size, np.nan), np.zeros(x.size, np.int64)
    height, width = variance.shape
    for i in range(x.size):
        if not usable[i]:
            continue
        xx, yy, xy = shape[i]
        det = xx * yy - xy * xy
        reach_x, reach_y = scale * np.sqrt(xx), scale * np.sqrt(yy)
        left, right = max(int(np.ceil(x[i] - reach_x)), 0), min(int(np.floor(x[i] + reach_x)), width - 1)
        bottom, top = max(int(np.ceil(y[i] - reach_y)), 0), min(int(np.floor(y[i] + reach_y)), height - 1)
        if left > right or bottom > top:
            continue
        found = np.empty((right - left + 1) * (top - bottom + 1), np.float32)
        n = 0
        for v in range(bottom, top + 1):
            dy = v - y[i]
            for u in range(left, right + 1):
                dx = u - x[i]
                if (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) > scale * scale * det:
                    continue
                if (mask[v, u] & bad) == 0 and np.isfinite(variance[v, u]):
                    found[n] = variance[v, u]
                    n += 1
        used[i] = n
        if n > 0:
            value[i] = np.median(found[:n])
    return value, used
