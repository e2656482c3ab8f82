"""Adaptive moments of sources with a floating centre (HSM)."""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...image.mask import mask_bits
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["HsmPlugin", "HsmSourceMoments", "HsmSourceMomentsConfig"]


class HsmPlugin(Plugin):
    """What the HSM plugins have in common: their flags."""

    order: ClassVar[float] = 1.0
    centroid_alias: ClassVar[str] = "_flag_badCentroid"

    def add_hsm_flags(self, schema: Schema, parent_source: str) -> None:
        """Declare the flags; `parent_source` says what the last of them means."""
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            flag_no_pixels="footprint is empty",
            flag_not_contained="centre outside the footprint box",
            flag_parent_source=parent_source,
        )

    def add_moments(self, schema: Schema, doc: str) -> None:
        """Declare centroid, moments and flags."""
        self.add_point(schema, f"{doc}: centroid")
        self.add_ellipse(schema, f"{doc}: adaptive moments")
        self.add_hsm_flags(schema, "parent source, not measured (never set for moments)")

    def fill_moments(self, context: MeasurementContext, good: Any, table: Any) -> None:
        """Fill centroid and moments from a table (n, 5) and flag those that are not good."""
        for column, ending in enumerate(("x", "y", "xx", "yy", "xy")):
            context.catalog[f"{self.name}_{ending}"] = np.where(good, table[:, column], np.nan)
        context.catalog[f"{self.name}_flag"] = ~good | context.centroid_failed


class HsmSourceMomentsConfig(pex_config.Config):
    """Parameters of the plugins that measure sources with HSM."""

    badMaskPlanes = pex_config.ListField("Planes whose pixels count as 0.", str, default=["BAD", "SAT", "INTRP"])


@register("ext_shapeHSM_HsmSourceMoments")
class HsmSourceMoments(HsmPlugin):
    """ext_shapeHSM_HsmSourceMoments."""

    ConfigClass: ClassVar[type[Any]] = HsmSourceMomentsConfig

    def declare(self, schema: Schema) -> None:
        """Add centroid, moments and flags."""
        self.add_moments(schema, "HSM moments of the source")

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources in the boxes of their footprints."""
        sources = context.hsm_sources(mask_bits(*self.config.badMaskPlanes))
        self.fill_moments(context, sources.good, sources.table)
        context.catalog[f"{self.name}_flag_no_pixels"] = sources.empty
        context.catalog[f"{self.name}_flag_not_contained"] = sources.not_contained
