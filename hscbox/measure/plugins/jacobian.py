"""Area of a pixel on the sky."""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...camera.distortion import PIXEL_SCALE
from ...catalog.schema import Schema
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["Jacobian", "JacobianConfig"]


class JacobianConfig(pex_config.Config):
    """Parameters of base_Jacobian."""

    pixelScale = pex_config.RangeField("Nominal pixel size (arcsec).", float, PIXEL_SCALE, min=0, inclusiveMin=False)


@register("base_Jacobian")
class Jacobian(Plugin):
    """base_Jacobian."""

    ConfigClass: ClassVar[type[Any]] = JacobianConfig
    order: ClassVar[float] = 1.0

    def declare(self, schema: Schema) -> None:
        """Add the value and its flag."""
        schema.add_field(f"{self.name}_value", "D", f"local pixel area / ({PIXEL_SCALE} arcsec)^2")
        self.add_flags(schema, flag="failure")

    def measure(self, context: MeasurementContext) -> None:
        """Evaluate the WCS at all centroids."""
        catalog, wcs = context.catalog, context.exposure.wcs
        if wcs is None:
            catalog[f"{self.name}_flag"] = True
            return
        area = np.abs(wcs.pixel_area(*context.centroid))
        catalog[f"{self.name}_value"] = area / self.config.pixelScale**2
        catalog[f"{self.name}_flag"] = ~np.isfinite(area)
