"""Aperture fluxes after convolution to a common seeing (the columns follow lsst/meas_extensions_convolved affd6104)."""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...fits.metadata import CardValue
from ...numerics.arrays import BoolArray, FloatArray
from ...numerics.compiler import njit
from ...numerics.constants import FWHM_PER_SIGMA
from ..context import MeasurementContext
from ..elliptical_flux import aperture_weights, scaled_ellipse, weighted_sum
from ..pixels import put_back, take_out
from ..plugin import Plugin, register
from ..sinc_aperture import ellipse_weights, sinc_half_width, sine_integral_table
from .circular_aperture_flux import COEFFS_TRUNCATED, TRUNCATED, aperture_label, declare_aperture, fill_aperture

__all__ = ["ConvolvedFlux", "ConvolvedFluxConfig"]


class ConvolvedFluxConfig(pex_config.Config):
    """Parameters of ext_convolved_ConvolvedFlux."""

    seeing = pex_config.ListField("Seeings to convolve to (px FWHM).", float, default=[3.5, 5.0, 6.5, 8.0])
    kernelScale = pex_config.RangeField("Reach of the kernel in its sigmas.", float, default=4.0, min=1)
    aperture_radii = pex_config.ListField("Radii of the apertures (px).", float, default=[3.3, 4.5, 6.0])
    maxSincRadius = pex_config.Field("Largest radius (px) with sinc weights.", float, default=10.0)
    kronRadiusForFlux = pex_config.RangeField("Size of the Kron aperture in Kron radii.", float, default=2.5, min=0)

    def validate(self) -> None:
        """Refuse apertures beyond the sinc limit: they are made with sinc weights only."""
        super().validate()
        if any(radius > self.maxSincRadius for radius in self.aperture_radii):
            raise ValueError(f"aperture_radii {list(self.aperture_radii)} exceed maxSincRadius {self.maxSincRadius}")


@register("ext_convolved_ConvolvedFlux")
class ConvolvedFlux(Plugin):
    """ext_convolved_ConvolvedFlux; needs ext_photometryKron_KronFlux for the Kron radius."""

    ConfigClass: ClassVar[type[Any]] = ConvolvedFluxConfig
    order: ClassVar[float] = 2.1

    def declare(self, schema: Schema) -> None:
        """Add the seeing, and for every target seeing the apertures and a flag."""
        name = self.name
        schema.add_field(f"{name}_seeing", "F", "Gaussian sigma of the PSF here", "pixel")
        for k, seeing in enumerate(self.config.seeing):
            doc = f"seeing already worse than {seeing:.1f} px FWHM: not measured"
            schema.add_field(f"{name}_{k}_deconv", "Flag", doc)
            for radius in self.config.aperture_radii:
                declare_aperture(schema, f"{name}_{k}_{aperture_label(radius)}", radius, self.config.maxSincRadius)
            doc = f"Kron-aperture flux after matching to {seeing:.1f} px FWHM"
            schema.add_field(f"{name}_{k}_kron_flux", "D", doc, "count")
            schema.add_field(f"{name}_{k}_kron_fluxSigma", "D", "1-sigma error of the above", "count")
            schema.add_field(f"{name}_{k}_kron_flag", "Flag", "failure of the above")
        schema.add_field(f"{name}_flag", "Flag", "any failure")

    def metadata(self) -> dict[str, CardValue]:
        """Return the radii, once for every seeing."""
        return {f"{self.name}_{k}_radii": list(self.config.aperture_radii) for k in range(len(self.config.seeing))}

    def apcorr_names(self) -> list[str]:
        """Return the names of all fluxes."""
        labels = [aperture_label(radius) for radius in self.config.aperture_radii] + ["kron"]
        return [f"{self.name}_{k}_{label}" for k in range(len(self.config.seeing)) for label in labels]

    def aliases(self, slots: dict[str, str]) -> dict[str, str]:
        """Return the alias of the centroid's flag, for the plugin and for every seeing."""
        target = f"{slots['slot_Centroid']}_flag"
        names = [self.name, *(f"{self.name}_{k}" for k in range(len(self.config.seeing)))]
        return {f"{name}_flag_badCentroid": target for name in names}

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources at all seeings."""
        config, catalog, name = self.config, context.catalog, self.name
        x, y = context.centroid
        sigma = context.psf_sigma
        catalog[f"{name}_seeing"] = sigma
        ellipse = np.where(context.shape_failed[:, None], context.psf_shape, context.shape)
        kron_radius, kron_failed = self._kron(context)
        radii = np.array(list(config.aperture_radii), dtype=np.float64)
        any_failure = context.centroid_failed | ~np.isfinite(sigma)
        for k, seeing in enumerate(config.seeing):
            target = seeing / FWHM_PER_SIGMA
            catalog[f"{name}_{k}_deconv"] = target < sigma
            table, flags = _measure(
                context.pixels,
                context.exposure.variance,
                x,
                y,
                np.sqrt(np.maximum(target**2 - sigma**2, 0.0)),
                config.kernelScale,
                radii,
                ellipse,
                config.kronRadiusForFlux * kron_radius,
                config.maxSincRadius,
                sine_integral_table(),
            )
            for m, radius in enumerate(config.aperture_radii):
                circle = f"{name}_{k}_{aperture_label(radius)}"
                any_failure = any_failure | fill_aperture(context, circle, table[:, m, 0], table[:, m, 1], flags[:, m])
            kron = f"{name}_{k}_kron"
            catalog[f"{kron}_flux"], catalog[f"{kron}_fluxSigma"] = table[:, -1].T
            failed = kron_failed | ~np.isfinite(table[:, -1, 0])
            catalog[f"{kron}_flag"] = failed | context.centroid_failed
            any_failure = any_failure | failed
        catalog[f"{name}_flag"] = any_failure

    def _kron(self, context: MeasurementContext) -> tuple[FloatArray, BoolArray]:
        kron = "ext_photometryKron_KronFlux"
        if f"{kron}_radius" not in context.catalog:
            return np.full(len(context), np.nan), np.ones(len(context), dtype=np.bool_)
        radius = context.catalog[f"{kron}_radius"].astype(np.float64)
        failed: BoolArray = context.catalog[f"{kron}_flag"].copy()
        return radius, failed


@njit
def _measure(
    pixels: Any,
    variance: Any,
    x: Any,
    y: Any,
    kernel_sigma: Any,
    kernel_scale: float,
    radii: Any,
    ellipse: Any,
    kron_radius: Any,
    max_sinc: float,
    sine_table: Any,
) -> tuple[Any, Any]:
    """Return fluxes and errors (n, n_circles + 1, 2), the last for the Kron ellipse, and flags (n, n_circles)."""
    n, m = x.size, radii.size
    table, flags = np.full((n, m + 1, 2), np.nan), np.zeros((n, m), np.int64)
    height, width = pixels.work.shape
    for i in range(n):
        if not np.isfinite(kernel_sigma[i]):
            continue
        ix, iy = int(np.floor(x[i] + 0.5)), int(np.floor(y[i] + 0.5))
        xx, yy, xy = ellipse[i]
        has_kron = kron_radius[i] > 0 and xx > 0 and yy > 0 and xx * yy - xy * xy > 0
        reach_x = reach_y = sinc_half_width(radii.max())
        if has_kron:
            xx, yy, xy = scaled_ellipse(xx, yy, xy, kron_radius[i])
            reach_x = max(reach_x, sinc_half_width(np.sqrt(xx)))
            reach_y = max(reach_y, sinc_half_width(np.sqrt(yy)))
        kernel = _gaussian(kernel_sigma[i], kernel_scale)
        margin = kernel.size // 2
        # The convolved image exists where the kernel fits in the image.
        left, right = max(ix - reach_x, margin), min(ix + reach_x, width - 1 - margin)
        bottom, top = max(iy - reach_y, margin), min(iy + reach_y, height - 1 - margin)
        if left > right or bottom > top:
            flags[i, :] = TRUNCATED | COEFFS_TRUNCATED
            continue
        box = (left, right, bottom, top)
        xs, ys = x[i] - left, y[i] - bottom
        put_back(pixels, i)
        for k in range(m):
            r = radii[k]
            if xs - r < -0.5 or ys - r < -0.5 or xs + r > right - left + 0.5 or ys + r > top - bottom + 0.5:
                flags[i, k] = TRUNCATED
            half = sinc_half_width(r)
            if ix - half < left or iy - half < bottom or ix + half > right or iy + half > top:
                flags[i, k] |= COEFFS_TRUNCATED
            weights = ellipse_weights(r * r, r * r, 0.0, x[i] - ix, y[i] - iy, half, half, sine_table)
            table[i, k] = _convolved_sum(pixels.work, variance, weights, ix - half, iy - half, box, kernel)
        if has_kron:
            shape = (top - bottom + 1, right - left + 1)
            inside, u, v, weights = aperture_weights(shape, xs, ys, xx, yy, xy, max_sinc, sine_table)
            if inside:
                table[i, m] = _convolved_sum(pixels.work, variance, weights, left + u, bottom + v, box, kernel)
        take_out(pixels, i)
    return table, flags


@njit
def _gaussian(sigma: float, scale: float) -> Any:
    """Return a normalised kernel of odd length, of length 1 for sigma 0."""
    half = int(scale * sigma + 0.5)
    kernel = np.ones(2 * half + 1)
    for t in range(kernel.size):
        if half > 0:
            kernel[t] = np.exp(-0.5 * ((t - half) / sigma) ** 2)
    return kernel / kernel.sum()


@njit
def _convolved_sum(
    image: Any, variance: Any, weights: Any, left: int, bottom: int, box: tuple[int, int, int, int], kernel: Any
) -> Any:
    """Return flux and error under weights, from pixel (left, bottom) on, of the image convolved with kernel x kernel.

    Only weights in the box (first and last column, first and last row) count. Convolving the weights is the same as
    convolving the image, and gives the error with the covariance of the convolved pixels.
    """
    first_x, first_y = max(left, box[0]), max(bottom, box[2])
    last_x, last_y = min(left + weights.shape[1] - 1, box[1]), min(bottom + weights.shape[0] - 1, box[3])
    if last_x < first_x or last_y < first_y:
        return np.zeros(2)
    half = kernel.size // 2
    nx, ny = last_x - first_x + 1, last_y - first_y + 1
    wide = np.zeros((ny, nx + 2 * half))
    for j in range(ny):
        row = weights[first_y - bottom + j, first_x - left : first_x - left + nx]
        for t in range(kernel.size):
            wide[j, t : t + nx] += kernel[t] * row
    smeared = np.zeros((ny + 2 * half, nx + 2 * half))
    for j in range(ny):
        for t in range(kernel.size):
            smeared[j + t] += kernel[t] * wide[j]
    flux, square = weighted_sum(image, variance, smeared, first_x - half, first_y - half)
    return np.array([flux, np.sqrt(square)])
