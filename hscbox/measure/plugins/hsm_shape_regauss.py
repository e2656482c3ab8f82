"""Ellipticities corrected for the PSF by re-Gaussianization (HSM)."""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...image.mask import mask_bits
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import register
from ..shapes.hsm_regauss import regauss
from ..shapes.hsm_stamps import box_of, masked_stamp, moments_of
from .hsm_source_moments import HsmPlugin, HsmSourceMomentsConfig

__all__ = ["HsmShapeRegauss", "HsmShapeRegaussConfig"]


class HsmShapeRegaussConfig(HsmSourceMomentsConfig):
    """Parameters of ext_shapeHSM_HsmShapeRegauss."""

    deblendNChild = pex_config.Field(
        "Number of children: sources that have some are not measured; without the column all are.",
        str,
        default="deblend_nChild",
    )


@register("ext_shapeHSM_HsmShapeRegauss")
class HsmShapeRegauss(HsmPlugin):
    """ext_shapeHSM_HsmShapeRegauss (Hirata & Seljak 2003, MNRAS 343, 459)."""

    ConfigClass: ClassVar[type[Any]] = HsmShapeRegaussConfig

    def declare(self, schema: Schema) -> None:
        """Add ellipticity, error, resolution and flags."""
        name = self.name
        schema.add_field(f"{name}_e1", "D", "re-Gaussianised ellipticity e1 (distortion)")
        schema.add_field(f"{name}_e2", "D", "same, e2")
        schema.add_field(f"{name}_sigma", "D", "error of e1 and e2")
        schema.add_field(f"{name}_resolution", "D", "resolution factor R2 (0 unresolved ... 1 well resolved)")
        self.add_hsm_flags(schema, "blend parent, not measured")
        schema.add_field(f"{name}_flag_galsim", "Flag", "GalSim raised an error")

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources that are no blends."""
        catalog, name, config = context.catalog, self.name, self.config
        bad = mask_bits(*config.badMaskPlanes)
        sources = context.hsm_sources(bad)
        blend = np.zeros(len(context), dtype=np.bool_)
        if config.deblendNChild in catalog:
            blend = catalog[config.deblendNChild] > 0
        exposure, psf = context.exposure, context.psf_at_centroid.image
        args = (exposure.variance, exposure.mask, np.int32(bad), psf, context.psf_trace_radius)
        good, table = _measure(context.pixels, *args, sources.good & ~blend, sources.table)
        for column, ending in enumerate(("e1", "e2", "sigma", "resolution")):
            catalog[f"{name}_{ending}"] = table[:, column]
        catalog[f"{name}_flag_no_pixels"] = sources.empty
        catalog[f"{name}_flag_not_contained"] = sources.not_contained
        catalog[f"{name}_flag_parent_source"] = blend
        catalog[f"{name}_flag_galsim"] = ~(good | blend | sources.empty | sources.not_contained)
        catalog[f"{name}_flag"] = ~good | context.centroid_failed


@njit
def _measure(
    pixels: Any, variance: Any, mask: Any, bad: Any, psf: Any, psf_sigma: Any, usable: Any, moments: Any
) -> tuple[Any, Any]:
    """Return which sources could be measured (n,), and a table (n, 4) of e1, e2, error, resolution."""
    n = usable.size
    good, table = np.zeros(n, np.bool_), np.full((n, 4), np.nan)
    for i in range(n):
        if not usable[i]:
            continue
        box = box_of(pixels, i)
        put_back(pixels, i)
        stamp = masked_stamp(pixels.work, mask, bad, box)
        take_out(pixels, i)
        shape = regauss(stamp, moments_of(True, moments[i], box[0], box[1]), psf[i], psf_sigma[i])
        if not (shape.good and np.isfinite(shape.e1) and np.isfinite(shape.e2)):
            continue
        good[i] = True
        noise = np.sqrt(4.0 * np.pi * _median_variance(variance, mask, bad, box))
        # Twice the error of a shear: the distortion responds doubly.
        table[i, 2] = 2.0 * noise * shape.sigma / (shape.resolution * shape.flux)
        table[i, 0], table[i, 1], table[i, 3] = shape.e1, shape.e2, shape.resolution
    return good, table


@njit
def _median_variance(variance: Any, mask: Any, bad: Any, box: tuple[int, int, int, int]) -> float:
    """Return the median variance of the good pixels of a box."""
    left, bottom, right, top = box
    values = np.empty((top - bottom + 1) * (right - left + 1))
    n = 0
    for v in range(bottom, top + 1):
        for u in range(left, right + 1):
            if mask[v, u] & bad == 0:
                values[n] = variance[v, u]
                n += 1
    return np.median(values[:n]) if n > 0 else np.nan
