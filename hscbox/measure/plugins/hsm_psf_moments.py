"""Adaptive moments of the PSF model with a floating centre (HSM)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...catalog.schema import Schema
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..plugin import register
from ..shapes.hsm_moments import hsm_moments
from .hsm_source_moments import HsmPlugin

__all__ = ["HsmPsfMoments"]


@register("ext_shapeHSM_HsmPsfMoments")
class HsmPsfMoments(HsmPlugin):
    """ext_shapeHSM_HsmPsfMoments: on the PSF at the source, drawn in the middle of a stamp; x, y are from there."""

    def declare(self, schema: Schema) -> None:
        """Add centroid, moments and flags."""
        self.add_moments(schema, "HSM moments of the PSF model")

    def measure(self, context: MeasurementContext) -> None:
        """Measure the PSF at the centroids of all sources."""
        kernels = context.psf.kernel_images(*context.centroid)
        good, table = _measure(kernels, context.psf_trace_radius)
        self.fill_moments(context, good, table)


@njit
def _measure(kernels: Any, sigma: Any) -> tuple[Any, Any]:
    n, ny, nx = kernels.shape
    good, table = np.zeros(n, np.bool_), np.full((n, 5), np.nan)
    middle_x, middle_y = nx // 2, ny // 2
    for i in range(n):
        square = sigma[i] * sigma[i]
        m = hsm_moments(kernels[i], float(middle_x), float(middle_y), square, square, 0.0)
        good[i] = m.good
        table[i, 0], table[i, 1] = m.x - middle_x, m.y - middle_y
        table[i, 2], table[i, 3], table[i, 4] = m.xx, m.yy, m.xy
    return good, table
