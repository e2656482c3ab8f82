"""Columns that follow from other columns: extendedness and footprint area."""

from __future__ import annotations

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..task_metadata import Task, timed_method

__all__ = ["CatalogCalculationConfig", "CatalogCalculationTask", "ClassificationExtendednessConfig"]

_EXTENDEDNESS = "base_ClassificationExtendedness"
_AREA = "base_FootprintArea"


class ClassificationExtendednessConfig(pex_config.Config):
    """How point sources are told from extended ones."""

    fluxRatio = pex_config.RangeField(
        "A source is point-like if its PSF flux exceeds this times its model flux; larger makes fewer.",
        float,
        default=0.95,
        min=0,
    )
    modelErrFactor = pex_config.Field("Added to the model flux, in units of its error.", float, default=0.0)
    psfErrFactor = pex_config.Field("Added to the PSF flux, in units of its error.", float, default=0.0)


class CatalogCalculationConfig(pex_config.Config):
    """Parameters of the derived columns."""

    extendedness = pex_config.ConfigField("Extendedness.", ClassificationExtendednessConfig)


class CatalogCalculationTask(Task[CatalogCalculationConfig]):
    """Fill the derived columns.

    Parameters
    ----------
    config
        Parameters.
    name
        Dotted name of the task.
    schema
        Gets the columns.
    """

    def __init__(self, config: CatalogCalculationConfig, name: str, schema: Schema) -> None:
        super().__init__(config, name)
        schema.add_field(f"{_EXTENDEDNESS}_value", "D", "1 extended, 0 point-like")
        schema.add_field(f"{_EXTENDEDNESS}_flag", "Flag", "failure")
        schema.add_field(f"{_AREA}_value", "I", "pixels in the footprint", "pixel")

    @timed_method
    def run(self, *, catalog: SourceCatalog) -> None:
        """Fill the columns of `catalog` in place; fluxes should be corrected before."""
        config = self.config.extendedness
        model = catalog["slot_ModelFlux_flux"] * config.fluxRatio
        psf = catalog["slot_PsfFlux_flux"].copy()
        # Errors are added only if asked for, since nan times 0 is nan.
        if config.modelErrFactor:
            model += config.modelErrFactor * catalog["slot_ModelFlux_fluxSigma"]
        if config.psfErrFactor:
            psf += config.psfErrFactor * catalog["slot_PsfFlux_fluxSigma"]
        failed = catalog["slot_ModelFlux_flag"] | catalog["slot_PsfFlux_flag"] | ~np.isfinite(model + psf)
        with np.errstate(invalid="ignore"):
            extended = np.where(model < psf, 0.0, 1.0)
        catalog[f"{_EXTENDEDNESS}_value"] = np.where(failed, np.nan, extended)
        catalog[f"{_EXTENDEDNESS}_flag"] = failed
        catalog[f"{_AREA}_value"] = [0 if f is None else f.area for f in catalog.footprints]
