"""Flux from a least-squares fit of the PSF model at the centroid."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...catalog.schema import Schema
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import Plugin, register

__all__ = ["PsfFlux"]


@register("base_PsfFlux")
class PsfFlux(Plugin):
    """base_PsfFlux: sum(P I)/sum(P^2), all pixels weighted alike so that the flux is linear in the image."""

    flux_names: ClassVar[tuple[str, ...]] = ("",)
    centroid_alias: ClassVar[str] = "_flag_badCentroid"

    def declare(self, schema: Schema) -> None:
        """Add flux, error and flags."""
        schema.add_field(f"{self.name}_flux", "D", "least-squares PSF flux", "count")
        schema.add_field(f"{self.name}_fluxSigma", "D", "1-sigma error of the above", "count")
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            flag_noGoodPixels="no usable pixels",
            flag_edge="PSF stamp truncated by the image edge",
        )

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources."""
        catalog, stamps = context.catalog, context.psf_at_centroid
        flux, error, used = psf_fluxes(context.pixels, context.exposure.variance, stamps.image, stamps.x0, stamps.y0)
        size = stamps.image.shape[-1]
        empty = used == 0
        edge = ~empty & (used < size * size)
        catalog[f"{self.name}_flux"], catalog[f"{self.name}_fluxSigma"] = flux, error
        catalog[f"{self.name}_flag_noGoodPixels"] = empty
        catalog[f"{self.name}_flag_edge"] = edge
        catalog[f"{self.name}_flag"] = empty | edge | ~np.isfinite(flux) | context.centroid_failed


@njit
def psf_fluxes(pixels: Any, variance: Any, stamps: Any, x0: Any, y0: Any) -> tuple[Any, Any, Any]:
    """Return fluxes, errors and numbers of pixels used for all sources; nan where the stamp is off the image."""
    n = x0.size
    flux, error, used = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64)
    height, width = pixels.work.shape
    for i in range(n):
        put_back(pixels, i)
        signal, norm, noise = 0.0, 0.0, 0.0
        for j in range(max(0, -y0[i]), min(stamps.shape[1], height - y0[i])):
            for k in range(max(0, -x0[i]), min(stamps.shape[2], width - x0[i])):
                p = stamps[i, j, k]
                signal += p * pixels.work[y0[i] + j, x0[i] + k]
                norm += p * p
                noise += p * p * variance[y0[i] + j, x0[i] + k]
                used[i] += 1
        take_out(pixels, i)
        if norm > 0.0:
            flux[i], error[i] = signal / norm, np.sqrt(noise) / norm
    return flux, error, used
