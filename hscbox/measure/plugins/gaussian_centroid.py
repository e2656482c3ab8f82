"""Centroid from a least-squares fit of a round Gaussian on a constant sky."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...numerics.cholesky import solve_positive
from ...numerics.compiler import njit
from ..centroid_check import CentroidPlugin
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import register

__all__ = ["GaussianCentroid", "GaussianCentroidConfig"]

_HALF_BOX = 16
_FIRST_SIGMA = 1.5
# Pixels count whose distance from the centre, in sigmas, lies between these.
_NEAREST, _FARTHEST = 0.3, 3.5
_MAX_ROUNDS = 15
# The fit has converged when no position moves by more than this [px].
_TOLERANCE = 1e-4
_PARAMETERS = 5
_NO_PEAK, _FAILED = 1, 2


class GaussianCentroidConfig(pex_config.Config):
    """Parameters of base_GaussianCentroid."""

    doFootprintCheck = pex_config.Field("Go back to the peak if the centroid leaves the footprint?", bool, default=True)
    maxDistToPeak = pex_config.Field(
        "Go back if farther from the peak than this (px); negative: off.", float, default=-1.0
    )


@register("base_GaussianCentroid")
class GaussianCentroid(CentroidPlugin):
    """base_GaussianCentroid: peak, sky, x, y and sigma by Levenberg-Marquardt steps, all pixels weighted alike."""

    ConfigClass: ClassVar[type[Any]] = GaussianCentroidConfig
    centroid_alias: ClassVar[str] = "_flag_badInitialCentroid"

    def declare(self, schema: Schema) -> None:
        """Add positions and flags."""
        self.add_point(schema, "2-D Gaussian fit centroid")
        self.declare_flags(schema, flag_noPeak="fitted amplitude not positive")

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources, starting from the centroid slot."""
        x, y, failure = _fits(context.pixels, *context.centroid)
        self.fill(context, x, y, failure, context.centroid, {_NO_PEAK: "noPeak"})


@njit
def _fits(pixels: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    fit_x, fit_y, failure = np.full(x.size, np.nan), np.full(x.size, np.nan), np.zeros(x.size, np.int64)
    for i in range(x.size):
        put_back(pixels, i)
        failure[i], fit_x[i], fit_y[i] = _fit(pixels.work, x[i], y[i])
        take_out(pixels, i)
    return fit_x, fit_y, failure


@njit
def _fit(image: Any, x: float, y: float) -> tuple[int, float, float]:
    """Return failure (0: none) and the centre."""
    height, width = image.shape
    ix, iy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    if ix < 0 or iy < 0 or ix >= width or iy >= height:
        return _FAILED, np.nan, np.nan
    box = (max(ix - _HALF_BOX, 0), max(iy - _HALF_BOX, 0), min(ix + _HALF_BOX, width), min(iy + _HALF_BOX, height))
    p = np.array([float(image[iy, ix]), 0.0, float(ix), float(iy), _FIRST_SIGMA])
    normal, right = np.zeros((_PARAMETERS, _PARAMETERS)), np.zeros(_PARAMETERS)
    damping = 1e-3
    square, n = _normal_equations(image, box, p, normal, right)
    for _ in range(_MAX_ROUNDS):
        if n <= _PARAMETERS:
            return _FAILED, np.nan, np.nan
        damped = normal.copy()
        for k in range(_PARAMETERS):
            damped[k, k] *= 1.0 + damping
        step = right.copy()
        solved = solve_positive(damped, step, 0.0).all()
        trial = p + step
        if not solved or not (0.1 < trial[4] < _HALF_BOX and abs(trial[2] - ix) < 8.0 and abs(trial[3] - iy) < 8.0):
            damping *= 10.0
            continue
        old_normal, old_right = normal.copy(), right.copy()
        new_square, new_n = _normal_equations(image, box, trial, normal, right)
        # The set of pixels moves with the centre and the width, so that means are compared.
        if new_n > _PARAMETERS and new_square / new_n <= square / n * (1.0 + 1e-9):
            p, square, n = trial, new_square, new_n
            damping *= 0.1
            if abs(step[2]) < _TOLERANCE and abs(step[3]) < _TOLERANCE and abs(step[4]) < 10.0 * _TOLERANCE:
                break
        else:
            normal, right = old_normal, old_right
            damping *= 10.0
    if not p[0] > 0.0:
        return _NO_PEAK, np.nan, np.nan
    return 0, p[2], p[3]


@njit
def _normal_equations(image: Any, box: tuple[int, int, int, int], p: Any, normal: Any, right: Any) -> tuple[float, int]:
    """Fill the normal equations; return the sum of squared residuals and the number of pixels."""
    peak, sky, x, y, sigma = p[0], p[1], p[2], p[3], p[4]
    normal[:, :] = 0.0
    right[:] = 0.0
    slope = np.empty(_PARAMETERS)
    low, high = (_NEAREST * sigma) ** 2, (_FARTHEST * sigma) ** 2
    total, n = 0.0, 0
    reach = _FARTHEST * sigma
    first, last = max(box[0], int(np.ceil(x - reach))), min(box[2], int(np.floor(x + reach)) + 1)
    # The Gaussian is a product of one in x and one in y.
    across = np.empty(max(last - first, 0))
    for k in range(across.size):
        across[k] = math.exp(-0.5 * ((first + k - x) / sigma) ** 2)
    for v in range(max(box[1], int(np.ceil(y - reach))), min(box[3], int(np.floor(y + reach)) + 1)):
        dy = v - y
        along = math.exp(-0.5 * (dy / sigma) ** 2)
        for u in range(first, last):
            dx = u - x
            r2 = dx * dx + dy * dy
            if r2 < low or r2 > high:
                continue
            shape = along * across[u - first]
            residual = image[v, u] - (sky + peak * shape)
            slope[0], slope[1] = shape, 1.0
            slope[2], slope[3] = peak * shape * dx / (sigma * sigma), peak * shape * dy / (sigma * sigma)
            slope[4] = peak * shape * r2 / (sigma * sigma * sigma)
            total += residual * residual
            n += 1
            for a in range(_PARAMETERS):
                right[a] += slope[a] * residual
                for b in range(a + 1):
                    normal[a, b] += slope[a] * slope[b]
    for a in range(_PARAMETERS):
        for b in range(a):
            normal[b, a] = normal[a, b]
    return total, n
