"""Position of the centroid in the focal plane."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...catalog.schema import Schema
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["FPPosition"]


@register("base_FPPosition")
class FPPosition(Plugin):
    """base_FPPosition; the values are in pixels of 15 um, as the camera geometry is, in spite of the unit."""

    order: ClassVar[float] = 1.0

    def declare(self, schema: Schema) -> None:
        """Add positions and flags."""
        schema.add_field(f"{self.name}_x", "D", "focal-plane x (HSC: in 15-um pixels in spite of the unit)", "mm")
        schema.add_field(f"{self.name}_y", "D", "focal-plane y", "mm")
        self.add_flags(schema, flag="failure", missingDetector_flag="exposure carries no detector")

    def measure(self, context: MeasurementContext) -> None:
        """Convert the centroids of all sources."""
        catalog, detector = context.catalog, context.exposure.detector
        if detector is None:
            catalog[f"{self.name}_flag"] = True
            catalog[f"{self.name}_missingDetector_flag"] = True
            return
        x, y = detector.pixel_to_focal_plane(*context.centroid)
        catalog[f"{self.name}_x"], catalog[f"{self.name}_y"] = x, y
        catalog[f"{self.name}_flag"] = context.centroid_failed | ~np.isfinite(x + y)
