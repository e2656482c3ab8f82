"""Fluxes in circular apertures: sinc weights for small radii, whole pixels for large ones.

Bickerton & Lupton 2013, MNRAS 431, 1275.
"""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...fits.metadata import CardValue
from ...numerics.arrays import BoolArray, FloatArray, IntArray
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..elliptical_flux import weighted_sum
from ..pixels import put_back, take_out
from ..plugin import Plugin, register
from ..sinc_aperture import ellipse_weights, sinc_half_width, sine_integral_table

__all__ = ["CircularApertureFlux", "CircularApertureFluxConfig", "aperture_label"]

TRUNCATED = 1
COEFFS_TRUNCATED = 2


class CircularApertureFluxConfig(pex_config.Config):
    """Parameters of base_CircularApertureFlux."""

    radii = pex_config.ListField(
        "Radii of the apertures (px).", float, default=[3.0, 4.5, 6.0, 9.0, 12.0, 17.0, 25.0, 35.0, 50.0, 70.0]
    )
    maxSincRadius = pex_config.Field("Largest radius (px) measured with sinc weights.", float, default=12.0)


def aperture_label(radius: float) -> str:
    """Return a radius as it appears in column names: 4.5 -> "4_5"."""
    return f"{radius:.1f}".replace(".", "_")


@register("base_CircularApertureFlux")
class CircularApertureFlux(Plugin):
    """base_CircularApertureFlux."""

    ConfigClass: ClassVar[type[Any]] = CircularApertureFluxConfig
    centroid_alias: ClassVar[str] = "_flag_badCentroid"

    def declare(self, schema: Schema) -> None:
        """Add flux, error and flags of every aperture."""
        for radius in self.config.radii:
            declare_aperture(schema, self._column(radius), radius, self.config.maxSincRadius)

    def metadata(self) -> dict[str, CardValue]:
        """Return the radii."""
        return {f"{self.name}_radii": list(self.config.radii)}

    def measure(self, context: MeasurementContext) -> None:
        """Measure all apertures of all sources."""
        x, y = context.centroid
        variance = context.exposure.variance
        small = [r for r in self.config.radii if r <= self.config.maxSincRadius]
        large = sorted(r for r in self.config.radii if r > self.config.maxSincRadius)
        for radius in small:
            result = sinc_fluxes(context.pixels, variance, x, y, radius, sine_integral_table())
            fill_aperture(context, self._column(radius), *result)
        if large:
            flux, error, flags = _nested_fluxes(context.pixels, variance, x, y, np.array(large, dtype=np.float64))
            for k, radius in enumerate(large):
                fill_aperture(context, self._column(radius), flux[:, k], error[:, k], flags[:, k])

    def _column(self, radius: float) -> str:
        return f"{self.name}_{aperture_label(radius)}"


def declare_aperture(schema: Schema, name: str, radius: float, max_sinc_radius: float) -> None:
    """Add the columns of one aperture."""
    schema.add_field(f"{name}_flux", "D", f"flux within {radius:g} px", "count")
    schema.add_field(f"{name}_fluxSigma", "D", "1-sigma error of the above", "count")
    schema.add_field(f"{name}_flag", "Flag", "any failure of this algorithm")
    schema.add_field(f"{name}_flag_apertureTruncated", "Flag", "aperture leaves the image")
    if radius <= max_sinc_radius:
        schema.add_field(f"{name}_flag_sincCoeffsTruncated", "Flag", "full sinc weight image does not fit")


def fill_aperture(
    context: MeasurementContext, name: str, flux: FloatArray, error: FloatArray, flags: IntArray
) -> BoolArray:
    """Fill the columns of one aperture, and return where it failed (n,), whatever the centroid."""
    catalog = context.catalog
    catalog[f"{name}_flux"], catalog[f"{name}_fluxSigma"] = flux, error
    catalog[f"{name}_flag_apertureTruncated"] = (flags & TRUNCATED) != 0
    if f"{name}_flag_sincCoeffsTruncated" in catalog:
        catalog[f"{name}_flag_sincCoeffsTruncated"] = (flags & COEFFS_TRUNCATED) != 0
    failed: BoolArray = ((flags & TRUNCATED) != 0) | ~np.isfinite(flux)
    catalog[f"{name}_flag"] = failed | context.centroid_failed
    return failed


@njit
def sinc_fluxes(pixels: Any, variance: Any, x: Any, y: Any, radius: float, table: Any) -> tuple[Any, Any, Any]:
    """Return fluxes, errors and flags (n,) of all sources in a sinc aperture; clipped weights give partial sums."""
    flux, error, flags = np.full(x.size, np.nan), np.full(x.size, np.nan), np.zeros(x.size, np.int64)
    height, width = pixels.work.shape
    half = sinc_half_width(radius)
    size = 2 * half + 1
    square = radius * radius
    for i in range(x.size):
        ix, iy = int(np.floor(x[i] + 0.5)), int(np.floor(y[i] + 0.5))
        left, bottom = ix - half, iy - half
        if left < 0 or bottom < 0 or left + size > width or bottom + size > height:
            flags[i] |= COEFFS_TRUNCATED
        if x[i] - radius < -0.5 or y[i] - radius < -0.5 or x[i] + radius > width - 0.5 or y[i] + radius > height - 0.5:
            flags[i] |= TRUNCATED
        if left >= width or bottom >= height or left + size <= 0 or bottom + size <= 0:
            continue
        weights = ellipse_weights(square, square, 0.0, x[i] - ix, y[i] - iy, half, half, table)
        put_back(pixels, i)
        total, noise = weighted_sum(pixels.work, variance, weights, left, bottom)
        take_out(pixels, i)
        flux[i], error[i] = total, np.sqrt(noise)
    return flux, error, flags


@njit
def _nested_fluxes(pixels: Any, variance: Any, x: Any, y: Any, radii: Any) -> tuple[Any, Any, Any]:
    """Return fluxes, errors and flags (n, n_radii): sums of the pixels whose centres lie within ascending radii."""
    n, m = x.size, radii.size
    flux, error, flags = np.full((n, m), np.nan), np.full((n, m), np.nan), np.zeros((n, m), np.int64)
    height, width = pixels.work.shape
    ring, ring_noise = np.empty(m), np.empty(m)
    for i in range(n):
        fitting = 0
        for k in range(m):
            r = radii[k]
            inside = x[i] - r >= -0.5 and y[i] - r >= -0.5 and x[i] + r <= width - 0.5 and y[i] + r <= height - 0.5
            if not inside:
                flags[i, k:] = TRUNCATED
                break
            fitting = k + 1
        if fitting == 0:
            continue
        ring[:], ring_noise[:] = 0.0, 0.0
        put_back(pixels, i)
        outer = radii[fitting - 1]
        for v in range(int(np.ceil(y[i] - outer)), int(np.floor(y[i] + outer)) + 1):
            dy2 = (v - y[i]) ** 2
            # Each row is cut into the pieces between successive circles, from the inside outwards.
            done_left, done_right = 0, -1
            for k in range(fitting):
                rest = radii[k] * radii[k] - dy2
                if rest < 0:
                    continue
                reach = np.sqrt(rest)
                left, right = int(np.ceil(x[i] - reach)), int(np.floor(x[i] + reach))
                if left > right:
                    continue
                if done_right < done_left:
                    _add(pixels.work, variance, v, left, right, k, ring, ring_noise)
                else:
                    _add(pixels.work, variance, v, left, done_left - 1, k, ring, ring_noise)
                    _add(pixels.work, variance, v, done_right + 1, right, k, ring, ring_noise)
                done_left, done_right = left, right
        take_out(pixels, i)
        total, noise = 0.0, 0.0
        for k in range(fitting):
            total += ring[k]
            noise += ring_noise[k]
            flux[i, k], error[i, k] = total, np.sqrt(noise)
    return flux, error, flags


@njit
def _add(image: Any, variance: Any, row: int, left: int, right: int, k: int, ring: Any, ring_noise: Any) -> None:
    total, noise = 0.0, 0.0
    for u in range(left, right + 1):
        total += image[row, u]
        noise += variance[row, u]
    ring[k] += total
    ring_noise[k] += noise
