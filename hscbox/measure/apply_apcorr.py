"""Multiplication of fluxes by the aperture corrections of an exposure."""

from __future__ import annotations

from collections.abc import Sequence

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..image.bounded_field import ApCorrMap
from ..task_metadata import Task

__all__ = ["ApplyApCorrConfig", "ApplyApCorrTask"]


class ApplyApCorrConfig(pex_config.Config):
    """How aperture corrections are applied."""

    ignoreList = pex_config.ListField("Fluxes that are left as they are.", str, default=[])
    doFlagApCorrFailures = pex_config.Field("Flag the flux if its correction is missing?", bool, default=True)


class ApplyApCorrTask(Task[ApplyApCorrConfig]):
    """Apply aperture corrections.

    Parameters
    ----------
    config
        Parameters.
    name
        Dotted name of the task.
    schema
        Gets the columns of the corrections.
    flux_names
        Fluxes to correct, without the ending ``_flux``.
    """

    def __init__(self, config: ApplyApCorrConfig, name: str, schema: Schema, flux_names: Sequence[str]) -> None:
        super().__init__(config, name)
        self.flux_names = sorted(set(flux_names) - set(config.ignoreList))
        for flux in self.flux_names:
            schema.add_field(f"{flux}_apCorr", "D", "aperture correction factor applied")
            schema.add_field(f"{flux}_apCorrSigma", "D", "its error (0)")
            schema.add_field(f"{flux}_flag_apCorr", "Flag", "correction not applied")

    def run(self, *, catalog: SourceCatalog, ap_corr: ApCorrMap) -> None:
        """Correct the fluxes of `catalog` in place, at the positions of the centroid slot.

        The error of the correction is not propagated, as in the original: fluxSigma is multiplied like the flux.
        """
        self.log.info("Applying aperture corrections to %d flux fields", len(self.flux_names))
        x, y = catalog["slot_Centroid_x"], catalog["slot_Centroid_y"]
        for name in self.flux_names:
            field = ap_corr.get(f"{name}_flux")
            if field is None:
                factor = np.full(len(catalog), np.nan)
            else:
                x0, y0, x1, y1 = field.bbox
                inside = (x >= x0 - 0.5) & (x <= x1 + 0.5) & (y >= y0 - 0.5) & (y <= y1 + 0.5)
                factor = np.where(inside, field.evaluate(x, y), np.nan)
            with np.errstate(invalid="ignore"):
                good = factor > 0
            catalog[f"{name}_apCorr"] = np.where(good, factor, np.nan)
            catalog[f"{name}_apCorrSigma"] = np.where(good, 0.0, np.nan)
            catalog[f"{name}_flux"][good] *= factor[good]
            catalog[f"{name}_fluxSigma"][good] *= factor[good]
            catalog[f"{name}_flag_apCorr"] = ~good
            if self.config.doFlagApCorrFailures:
                catalog[f"{name}_flag"][~good] = True
