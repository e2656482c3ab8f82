"""Columns of the PSF approximation by two shapelet series, which is not computed."""

from __future__ import annotations

from typing import ClassVar

from ...catalog.schema import Schema
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["DoubleShapeletPsfApprox"]

# Number of coefficients of the inner (order 2) and the outer (order 1) series.
_COEFFICIENTS = (6, 3)


@register("modelfit_DoubleShapeletPsfApprox")
class DoubleShapeletPsfApprox(Plugin):
    """modelfit_DoubleShapeletPsfApprox: only the model fits need it; all sources carry the failure flag and nan."""

    order: ClassVar[float] = 1.0
    centroid_alias: ClassVar[str] = "_flag_badCentroid"

    def declare(self, schema: Schema) -> None:
        """Add ellipses, centres and coefficients of both components, and flags."""
        for k, n in enumerate(_COEFFICIENTS):
            self.add_ellipse(schema, f"PSF shapelet component {k} ellipse", f"_{k}")
            self.add_point(schema, f"PSF shapelet component {k} centre", f"_{k}")
            for m in range(n):
                schema.add_field(f"{self.name}_{k}_{m}", "D", f"shapelet coefficient {m} of component {k}")
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            flag_invalidPointForPsf="PSF cannot be evaluated here",
            flag_invalidMoments="PSF moments not an ellipse within limits",
            flag_maxIterations="optimizer iteration limit",
        )

    def measure(self, context: MeasurementContext) -> None:
        """Flag all sources."""
        context.catalog[f"{self.name}_flag"] = True
