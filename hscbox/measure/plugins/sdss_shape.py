"""Adaptive second moments of sources.

Bernstein & Jarvis 2002, AJ 123, 583; Hirata & Seljak 2003, MNRAS 343, 459. The iteration itself is
`hscbox.numerics.adaptive_moments`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...numerics.adaptive_moments import MAX_ITER, SHIFT, UNWEIGHTED, UNWEIGHTED_BAD, adaptive_moments
from ...numerics.arrays import BoolArray, FloatArray
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import Plugin, register

__all__ = ["SdssShape", "SdssShapeConfig", "moment_errors"]

_TERMS = ("xx", "yy", "xy")


class SdssShapeConfig(pex_config.Config):
    """Parameters of base_SdssShape."""

    doMeasurePsf = pex_config.Field("Measure the PSF model in the same way?", bool, default=True)


@register("base_SdssShape")
class SdssShape(Plugin):
    """base_SdssShape."""

    ConfigClass: ClassVar[type[Any]] = SdssShapeConfig
    order: ClassVar[float] = 1.0
    centroid_alias: ClassVar[str] = "_flag_badCentroid"

    def declare(self, schema: Schema) -> None:
        """Add moments, errors, centroid, flux, PSF moments and flags."""
        name = self.name
        self.add_ellipse(schema, "adaptive Gaussian moments")
        for term in _TERMS:
            schema.add_field(f"{name}_{term}Sigma", "F", f"1-sigma error of I{term}", "pixel^2")
        self.add_point(schema, "weighted centroid")
        schema.add_field(f"{name}_flux", "D", "flux of the matched Gaussian", "count")
        schema.add_field(f"{name}_fluxSigma", "D", "1-sigma error of the above", "count")
        if self.config.doMeasurePsf:
            self.add_ellipse(schema, "adaptive moments of the PSF model here", "_psf")
        for term in _TERMS:
            schema.add_field(f"{name}_flux_{term}_Cov", "F", f"covariance of flux and I{term}", "count*pixel^2")
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            flag_unweightedBad="weighted and unweighted moments both invalid",
            flag_unweighted="fell back to unweighted moments",
            flag_shift="centroid moved more than allowed",
            flag_maxIter="no convergence in 100 iterations",
        )
        if self.config.doMeasurePsf:
            self.add_flags(schema, flag_psf="PSF moments failed")

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources and the PSF at their places."""
        catalog, name = context.catalog, self.name
        x, y = context.centroid
        table, flags = _shapes(context.pixels, x, y)
        for column, ending in enumerate((*_TERMS, "x", "y", "flux")):
            catalog[f"{name}_{ending}"] = table[:, column]
        self._fill_errors(context, table)
        psf_failed: BoolArray = np.zeros(len(x), dtype=np.bool_)
        if self.config.doMeasurePsf:
            psf_failed = np.asarray(np.isnan(context.psf_shape).any(axis=1))
            for column, term in enumerate(_TERMS):
                catalog[f"{name}_psf_{term}"] = context.psf_shape[:, column]
            catalog[f"{name}_flag_psf"] = psf_failed
        catalog[f"{name}_flag_unweightedBad"] = (flags & UNWEIGHTED_BAD) != 0
        catalog[f"{name}_flag_unweighted"] = (flags & UNWEIGHTED) != 0
        catalog[f"{name}_flag_shift"] = (flags & SHIFT) != 0
        catalog[f"{name}_flag_maxIter"] = (flags & MAX_ITER) != 0
        catalog[f"{name}_flag"] = (flags != 0) | psf_failed | context.centroid_failed

    def _fill_errors(self, context: MeasurementContext, table: FloatArray) -> None:
        catalog, name = context.catalog, self.name
        x, y = context.centroid
        height, width = context.exposure.variance.shape
        column = np.clip(np.floor(x + 0.5), 0, width - 1).astype(np.int64)
        row = np.clip(np.floor(y + 0.5), 0, height - 1).astype(np.int64)
        covariance = moment_errors(table[:, 6], table[:, :3], context.exposure.variance[row, column].astype(np.float64))
        # The flux is the peak times this; its dependence on the errors of the moments is left out, as usual.
        with np.errstate(invalid="ignore"):
            factor = 2.0 * np.pi * np.sqrt(table[:, 0] * table[:, 1] - table[:, 2] ** 2)
            catalog[f"{name}_fluxSigma"] = factor * np.sqrt(covariance[:, 0, 0])
            for k, term in enumerate(_TERMS):
                catalog[f"{name}_{term}Sigma"] = np.sqrt(covariance[:, k + 1, k + 1])
                catalog[f"{name}_flux_{term}_Cov"] = factor * covariance[:, 0, k + 1]


def moment_errors(peak: FloatArray, moments: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the covariance (n, 4, 4) of peak height, xx, yy and xy of Gaussian objects in white noise.

    Parameters
    ----------
    peak
        (n,) central values [ADU].
    moments
        (n, 3) xx, yy, xy [px^2].
    variance
        (n,) variance per pixel [ADU^2].

    Returns
    -------
    Inverse Fisher matrices; nan where the moments are no ellipse or the peak is not positive.
    """
    xx, yy, xy = moments.T
    covariance = np.full((len(peak), 4, 4), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        det = xx * yy - xy * xy
        good = (det > 0) & (variance > 0) & np.isfinite(peak) & (peak > 0)
    xx, yy, xy, det, peak, variance = (a[good] for a in (xx, yy, xy, det, peak, variance))
    scale = np.pi * np.sqrt(det) / variance
    c, g = scale * peak / (4 * det), 3 * scale * peak**2 / (16 * det**2)
    fisher = np.empty((len(peak), 4, 4))
    fisher[:, 0] = np.stack([scale, c * yy, c * xx, -2 * c * xy], axis=1)
    cross = 4 * g * (xy**2 + det / 3)
    fisher[:, 1] = np.stack([c * yy, g * yy**2, cross / 4, -2 * g * yy * xy], axis=1)
    fisher[:, 2] = np.stack([c * xx, cross / 4, g * xx**2, -2 * g * xx * xy], axis=1)
    fisher[:, 3] = np.stack([-2 * c * xy, -2 * g * yy * xy, -2 * g * xx * xy, cross], axis=1)
    # Flux and moments differ by many orders of magnitude; scaling keeps faint sources invertible.
    unit = 1 / np.sqrt(np.diagonal(fisher, axis1=1, axis2=2))
    scaled = fisher * unit[:, :, None] * unit[:, None, :]
    regular = np.linalg.det(scaled) > 1e-12
    covariance[np.flatnonzero(good)[regular]] = (
        np.linalg.inv(scaled[regular]) * unit[regular, :, None] * unit[regular, None, :]
    )
    return covariance


@njit
def _shapes(pixels: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Return a table (n, 7) of xx, yy, xy, x, y, flux, peak, and the flags of `adaptive_moments` (n,)."""
    table, flags = np.empty((x.size, 7)), np.zeros(x.size, np.int64)
    for i in range(x.size):
        put_back(pixels, i)
        m = adaptive_moments(pixels.work, x[i], y[i])
        take_out(pixels, i)
        table[i, 0], table[i, 1], table[i, 2] = m.xx, m.yy, m.xy
        table[i, 3], table[i, 4], table[i, 5], table[i, 6] = m.x, m.y, m.flux, m.peak
        flags[i] = m.flags
    return table, flags
