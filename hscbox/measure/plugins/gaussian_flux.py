"""Flux under a Gaussian weight of the source's own shape."""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import Plugin, register

__all__ = ["GaussianFlux", "GaussianFluxConfig"]

# The weight is cut where it falls below exp(-7), as in the adaptive moments.
_LARGEST_EXPONENT = 14.0
_LARGEST_RADIUS = 1000.0


class GaussianFluxConfig(pex_config.Config):
    """Parameters of base_GaussianFlux."""

    background = pex_config.Field("Subtracted from the pixels first [ADU].", float, default=0.0)


@register("base_GaussianFlux")
class GaussianFlux(Plugin):
    """base_GaussianFlux: 2 sum(w I) with w = exp(-r^T Q^-1 r/2), Q the shape slot; exact for a Gaussian of shape Q.

    The error is that of a Gaussian source whose Q are adaptive moments of the same pixels: noise n adds 2 sum(w n)
    directly, and by Q, which makes 2 sum(w I) grow by half as much as sqrt(det Q), 2 sum(w n (r^T Q^-1 r - 1)).
    Together these are 2 sum(w n r^T Q^-1 r). In white noise it is sqrt(2) times that of a known Q (Condon 1997, PASP
    109, 166).
    """

    ConfigClass: ClassVar[type[Any]] = GaussianFluxConfig
    flux_names: ClassVar[tuple[str, ...]] = ("",)
    centroid_alias: ClassVar[str] = "_flag_badCentroid"

    def declare(self, schema: Schema) -> None:
        """Add flux, error and flag."""
        schema.add_field(f"{self.name}_flux", "D", "flux with a Gaussian weight of the slot shape", "count")
        schema.add_field(f"{self.name}_fluxSigma", "D", "1-sigma error of the above", "count")
        self.add_flags(schema, flag="any failure of this algorithm")

    def aliases(self, slots: dict[str, str]) -> dict[str, str]:
        """Add the alias of the shape slot's flag."""
        return {**super().aliases(slots), f"{self.name}_flag_badShape": f"{slots['slot_Shape']}_flag"}

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources that have a shape."""
        x, y = context.centroid
        usable = np.isfinite(context.shape).all(axis=1)
        flux, error = _fluxes(
            context.pixels, context.exposure.variance, x, y, context.shape, usable, self.config.background
        )
        context.catalog[f"{self.name}_flux"], context.catalog[f"{self.name}_fluxSigma"] = flux, error
        failed = context.centroid_failed | context.shape_failed | ~np.isfinite(flux)
        context.catalog[f"{self.name}_flag"] = failed


@njit
def _fluxes(pixels: Any, variance: Any, x: Any, y: Any, shape: Any, usable: Any, background: float) -> tuple[Any, Any]:
    flux, error = np.full(x.size, np.nan), np.full(x.size, np.nan)
    height, width = pixels.work.shape
    for i in range(x.size):
        xx, yy, xy = shape[i]
        det = xx * yy - xy * xy
        ix, iy = int(np.floor(x[i] + 0.5)), int(np.floor(y[i] + 0.5))
        if not (usable[i] and xx > 0 and yy > 0 and det > 0) or ix < 0 or iy < 0 or ix >= width or iy >= height:
            continue
        reach = min(4.0 * np.sqrt(max(xx, yy)), _LARGEST_RADIUS)
        # A weight narrower than a pixel is averaged over 4 x 4 points of every pixel.
        parts = 4 if xx < 0.25 or yy < 0.25 or det < 0.0625 else 1
        put_back(pixels, i)
        total, noise = 0.0, 0.0
        for v in range(max(int(y[i] - reach - 0.5), 0), min(int(y[i] + reach + 0.5), height - 1) + 1):
            for u in range(max(int(x[i] - reach - 0.5), 0), min(int(x[i] + reach + 0.5), width - 1) + 1):
                weight, influence = 0.0, 0.0
                for b in range(parts):
                    dy = v - y[i] + (b + 0.5) / parts - 0.5
                    for a in range(parts):
                        dx = u - x[i] + (a + 0.5) / parts - 0.5
                        exponent = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / det
                        if exponent <= _LARGEST_EXPONENT:
                            w = np.exp(-0.5 * exponent)
                            weight += w
                            influence += w * exponent
                if weight > 0.0:
                    total += weight / (parts * parts) * (pixels.work[v, u] - background)
                    noise += (influence / (parts * parts)) ** 2 * variance[v, u]
        take_out(pixels, i)
        flux[i] = 2.0 * total
        error[i] = 2.0 * np.sqrt(noise)
    return flux, error
