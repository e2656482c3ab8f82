"""Sky position of the centroid."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...catalog.schema import Schema
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["SkyCoord"]


@register("base_SkyCoord")
class SkyCoord(Plugin):
    """base_SkyCoord: fills coord_ra and coord_dec [rad]; has no columns of its own."""

    order: ClassVar[float] = 1.0

    def declare(self, schema: Schema) -> None:
        """Add nothing."""

    def measure(self, context: MeasurementContext) -> None:
        """Convert the centroids of all sources."""
        wcs = context.exposure.wcs
        if wcs is None:
            return
        ra, dec = wcs.pixel_to_sky(*context.centroid)
        context.catalog["coord_ra"], context.catalog["coord_dec"] = np.radians(ra), np.radians(dec)
