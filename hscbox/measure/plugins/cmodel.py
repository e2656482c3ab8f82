"""Columns of the composite galaxy model (exponential plus de Vaucouleurs), which is not fitted."""

from __future__ import annotations

from typing import ClassVar

from ...catalog.schema import Schema
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["CModel"]

_STAGES = ("initial", "exp", "dev")


@register("modelfit_CModel")
class CModel(Plugin):
    """modelfit_CModel (Bosch et al. 2018, PASJ 70, S5, section 4.9.9): all sources carry the failure flags and nan."""

    order: ClassVar[float] = 3.0
    flux_names: ClassVar[tuple[str, ...]] = ("", *(f"_{stage}" for stage in _STAGES))

    def declare(self, schema: Schema) -> None:
        """Add the columns of three fits and of their combination."""
        for stage in _STAGES:
            self._declare_stage(schema, stage)
        name = self.name
        schema.add_field(f"{name}_flux", "D", "final composite-model flux")
        schema.add_field(f"{name}_fluxSigma", "D", "its error")
        self.add_flags(schema, flag="any stage failed")
        schema.add_field(f"{name}_flux_inner", "D", "flux inside the fit region")
        schema.add_field(f"{name}_fracDev", "D", "de Vaucouleurs fraction")
        schema.add_field(f"{name}_objective", "D", "chi^2/2 of the composite fit")
        self.add_flags(
            schema,
            flag_region_maxArea="region over the area limit",
            flag_region_maxBadPixelFraction="too many bad pixels",
            flags_region_usedFootprintArea="region from footprint area",
            flags_region_usedPsfArea="region from PSF area",
            flags_region_usedInitialEllipseMin="region at its lower limit",
            flags_region_usedInitialEllipseMax="region at its upper limit",
            flag_noShape="no shape to start from",
            flags_smallShape="start radius replaced by the minimum",
        )
        self.add_ellipse(schema, "fracDev-weighted mean ellipse", "_ellipse")
        self.add_ellipse(schema, "initial fit region", "_region_initial_ellipse")
        self.add_ellipse(schema, "final fit region", "_region_final_ellipse")
        self.add_flags(
            schema, flag_noShapeletPsf="PSF shapelet fit failed", flag_badCentroid="centroid outside the fit region"
        )

    def _declare_stage(self, schema: Schema, stage: str) -> None:
        name = f"{self.name}_{stage}"
        schema.add_field(f"{name}_flux", "D", f"{stage} model flux", "count")
        schema.add_field(f"{name}_fluxSigma", "D", "its error", "count")
        schema.add_field(f"{name}_flag", "Flag", "stage failed")
        schema.add_field(f"{name}_flux_inner", "D", "flux inside the fit region only")
        self.add_ellipse(schema, "half-light ellipse", f"_{stage}_ellipse")
        schema.add_field(f"{name}_objective", "D", "-ln(likelihood x prior) at the optimum")
        for k in range(3):
            schema.add_field(f"{name}_nonlinear_{k}", "D", f"ellipse parameter (eta1, eta2, ln r)[{k}]")
        for k in range(2):
            schema.add_field(f"{name}_fixed_{k}", "D", f"fixed centre parameter {k}")
        schema.add_field(f"{name}_flag_trSmall", "Flag", "stopped because the trust radius became small")
        schema.add_field(f"{name}_flag_maxIter", "Flag", "iteration limit")
        schema.add_field(f"{name}_nIter", "I", "number of optimizer iterations")
        schema.add_field(f"{name}_time", "D", "run time", "second")
        schema.add_field(f"{name}_flag_numericError", "Flag", "numerical error in the fit")

    def measure(self, context: MeasurementContext) -> None:
        """Flag all sources; no time was spent."""
        for ending in self.flux_names:
            context.catalog[f"{self.name}{ending}_flag"] = True
        for stage in _STAGES:
            context.catalog[f"{self.name}_{stage}_time"] = 0.0
