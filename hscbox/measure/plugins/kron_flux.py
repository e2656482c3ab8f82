"""Flux in an ellipse scaled by the first radial moment.

Kron 1980, ApJS 43, 305; Bertin & Arnouts 1996, A&AS 117, 393; ellipse and limits of
lsst/meas_extensions_photometryKron 30344f09.
"""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...fits.metadata import CardValue
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..elliptical_flux import aperture_weights, scaled_ellipse, weighted_sum
from ..pixels import put_back, take_out
from ..plugin import Plugin, register
from ..shapes.kron_radius import growth, kron_radius, noise_of_radius
from ..sinc_aperture import sine_integral_table

__all__ = ["KronFlux", "KronFluxConfig"]

_EDGE, _BAD_RADIUS, _SMALL_RADIUS, _USED_PSF, _USED_MINIMUM, _NO_MINIMUM, _NO_FALLBACK = 1, 2, 4, 8, 16, 32, 64


class KronFluxConfig(pex_config.Config):
    """Parameters of ext_photometryKron_KronFlux."""

    nSigmaForRadius = pex_config.RangeField(
        "Size of the ellipse for the radius in units of the shape's.", float, default=6.0, min=0
    )
    nRadiusForFlux = pex_config.RangeField("Size of the aperture in Kron radii.", float, default=2.5, min=0)
    maxSincRadius = pex_config.Field("Largest semi-minor axis (px) with sinc weights.", float, default=10.0)
    minimumRadius = pex_config.RangeField("Smallest Kron radius (px); 0: that of the PSF.", float, default=0.0, min=0)
    enforceMinimumRadius = pex_config.Field("Replace smaller radii by the smallest?", bool, default=True)


@register("ext_photometryKron_KronFlux")
class KronFlux(Plugin):
    """ext_photometryKron_KronFlux."""

    ConfigClass: ClassVar[type[Any]] = KronFluxConfig
    flux_names: ClassVar[tuple[str, ...]] = ("",)
    centroid_alias: ClassVar[str] = "_flag_badInitialCentroid"

    def declare(self, schema: Schema) -> None:
        """Add flux, radii and flags."""
        name = self.name
        schema.add_field(f"{name}_flux", "D", "Kron flux", "count")
        schema.add_field(f"{name}_fluxSigma", "D", "1-sigma error of the above", "count")
        schema.add_field(f"{name}_radius", "F", "Kron radius sqrt(ab), pixels")
        schema.add_field(f"{name}_radius_for_radius", "F", "size of the aperture used to measure the Kron radius")
        schema.add_field(f"{name}_psf_radius", "F", "Kron radius of the PSF")
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            flag_edge="aperture leaves the image",
            flag_bad_shape_no_psf="bad shape and no PSF",
            flag_no_minimum_radius="a minimum radius could not be enforced",
            flag_no_fallback_radius="no fallback radius available",
            flag_bad_radius="Kron radius unusable",
            flag_used_minimum_radius="configured minimum radius used",
            flag_used_psf_radius="PSF Kron radius used",
            flag_small_radius="measured radius below the PSF radius",
            flag_bad_shape="shape bad, PSF shape used",
        )

    def metadata(self) -> dict[str, CardValue]:
        """Return the size of the aperture."""
        return {f"{self.name}_nRadiusForFlux": float(self.config.nRadiusForFlux)}

    def measure(self, context: MeasurementContext) -> None:
        """Measure radius and flux of all sources; those with a bad shape use the PSF's."""
        config, catalog, name = self.config, context.catalog, self.name
        x, y = context.centroid
        bad_shape = context.shape_failed
        shape = np.where(bad_shape[:, None], context.psf_shape, context.shape)
        psf_radius = np.sqrt(np.pi / 2) * context.psf_sigma
        no_psf = bad_shape & ~np.isfinite(context.psf_sigma)
        table, flags = _measure(
            context.pixels,
            context.exposure.variance,
            x,
            y,
            shape,
            psf_radius,
            config.nSigmaForRadius,
            config.nRadiusForFlux,
            config.maxSincRadius,
            config.minimumRadius,
            config.enforceMinimumRadius,
            sine_integral_table(),
        )
        for column, ending in enumerate(("flux", "fluxSigma", "radius", "radius_for_radius")):
            catalog[f"{name}_{ending}"] = table[:, column]
        catalog[f"{name}_psf_radius"] = psf_radius
        catalog[f"{name}_flag_bad_shape"] = bad_shape
        catalog[f"{name}_flag_bad_shape_no_psf"] = no_psf
        for bit, ending in (
            (_EDGE, "edge"),
            (_BAD_RADIUS, "bad_radius"),
            (_SMALL_RADIUS, "small_radius"),
            (_USED_PSF, "used_psf_radius"),
            (_USED_MINIMUM, "used_minimum_radius"),
            (_NO_MINIMUM, "no_minimum_radius"),
            (_NO_FALLBACK, "no_fallback_radius"),
        ):
            catalog[f"{name}_flag_{ending}"] = (flags & bit) != 0
        fatal = (flags & (_EDGE | _BAD_RADIUS | _NO_FALLBACK)) != 0
        catalog[f"{name}_flag"] = fatal | bad_shape | context.centroid_failed | ~np.isfinite(table[:, 0])


@njit
def _measure(
    pixels: Any,
    variance: Any,
    x: Any,
    y: Any,
    shape: Any,
    psf_radius: Any,
    n_sigma: float,
    n_radius: float,
    max_sinc: float,
    minimum: float,
    enforce: bool,
    sine_table: Any,
) -> tuple[Any, Any]:
    """Return a table (n, 4) of flux, error, Kron radius, radius for the radius, and flags (n,)."""
    table, flags = np.full((x.size, 4), np.nan), np.zeros(x.size, np.int64)
    for i in range(x.size):
        xx, yy, xy = shape[i]
        if not (xx > 0 and yy > 0 and xx * yy - xy * xy > 0):
            continue
        table[i, 3] = n_sigma * np.sqrt(np.sqrt(xx * yy - xy * xy))
        put_back(pixels, i)
        fits, own, total, mean = kron_radius(pixels.work, x[i], y[i], xx, yy, xy, n_sigma)
        if not fits:
            flags[i] |= _EDGE
            take_out(pixels, i)
            continue
        radius, flags[i] = _limited_radius(own, psf_radius[i], minimum, enforce)
        table[i, 2] = radius
        if radius > 0:
            a, b, c = scaled_ellipse(xx, yy, xy, n_radius * radius)
            inside, left, bottom, weights = aperture_weights(
                pixels.work.shape, x[i], y[i], a, b, c, max_sinc, sine_table
            )
            if inside:
                flux, noise = weighted_sum(pixels.work, variance, weights, left, bottom)
                table[i, 0], table[i, 1] = flux, np.sqrt(noise)
                if radius == own:
                    slope = growth(pixels.work, x[i], y[i], a, b, c) / (total * mean)
                    shape_of = (xx, yy, xy, n_sigma)
                    extra = noise_of_radius(variance, x[i], y[i], shape_of, mean, slope, weights, left, bottom)
                    table[i, 1] = np.sqrt(max(noise + extra, 0.0))
            else:
                flags[i] |= _EDGE
        take_out(pixels, i)
    return table, flags


@njit
def _limited_radius(radius: float, psf_radius: float, minimum: float, enforce: bool) -> tuple[float, int]:
    """Return the Kron radius to use and flags."""
    has_psf = np.isfinite(psf_radius)
    if not radius > 0:
        if minimum > 0:
            return minimum, _BAD_RADIUS | _USED_MINIMUM
        if has_psf:
            return psf_radius, _BAD_RADIUS | _USED_PSF
        return np.nan, _BAD_RADIUS | _NO_FALLBACK
    if not enforce:
        return radius, 0
    if minimum > 0:
        return (minimum, _USED_MINIMUM | _SMALL_RADIUS) if radius < minimum else (radius, 0)
    if not has_psf:
        return radius, _NO_MINIMUM
    return (psf_radius, _USED_PSF | _SMALL_RADIUS) if radius < psf_radius else (radius, 0)
