"""How much of the light at a source is that of its neighbours.

Bosch et al. 2018, PASJ 70, S5, section 4.9.11.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import lsst.pex.config as pex_config
import numpy as np

from ...catalog.schema import Schema
from ...numerics.arrays import FloatArray
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..pixels import put_back, take_out
from ..plugin import Plugin, register

__all__ = ["Blendedness", "BlendednessConfig"]

_TERMS = ("xx", "yy", "xy")
_WAYS = ("raw", "abs")
_SIDES = ("child", "parent")


class BlendednessConfig(pex_config.Config):
    """Parameters of base_Blendedness."""

    nSigmaWeightMax = pex_config.RangeField("Reach of the weight in its sigmas.", float, default=3.0, min=0.5)


@register("base_Blendedness")
class Blendedness(Plugin):
    """base_Blendedness: 1 - child/parent, both under a Gaussian weight of the child's shape."""

    ConfigClass: ClassVar[type[Any]] = BlendednessConfig
    order: ClassVar[float] = 1.0

    def declare(self, schema: Schema) -> None:
        """Add blendedness in three ways, the fluxes and moments behind it, and flags."""
        name = self.name
        schema.add_field(f"{name}_old", "D", "child.parent / child.child - 1 (dot products over the child footprint)")
        for way, how in zip(_WAYS, ("", " using noise-corrected absolute pixel values"), strict=True):
            schema.add_field(f"{name}_{way}_flux", "D", f"1 - child/parent weighted flux{how}")
            doc = f"Gaussian-weighted flux of the deblended child{how}"
            schema.add_field(f"{name}_{way}_flux_child", "D", doc, "count")
            schema.add_field(f"{name}_{way}_flux_parent", "D", f"same weight on the un-deblended image{how}", "count")
        for way in _WAYS:
            for side in _SIDES:
                self.add_ellipse(schema, f"Gaussian-weighted {way} moments, {side} pixels", f"_{way}_{side}")
        self.add_flags(
            schema,
            flag="any failure of this algorithm",
            flag_noCentroid="no usable centroid",
            flag_noShape="no usable shape",
        )

    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources that have a shape."""
        catalog, name = context.catalog, self.name
        x, y = context.centroid
        usable = ~context.shape_failed
        table = _measure(
            context.pixels,
            context.blends,
            context.exposure.variance,
            x,
            y,
            context.shape,
            usable,
            self.config.nSigmaWeightMax,
        )
        for w, way in enumerate(_WAYS):
            child, parent = table[:, w, 0, 0], table[:, w, 1, 0]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = 1.0 - child / parent
            catalog[f"{name}_{way}_flux"] = np.where(np.isfinite(ratio), ratio, np.nan)
            for s, side in enumerate(_SIDES):
                catalog[f"{name}_{way}_flux_{side}"] = table[:, w, s, 0]
                for t, term in enumerate(_TERMS):
                    catalog[f"{name}_{way}_{side}_{term}"] = table[:, w, s, 1 + t]
        catalog[f"{name}_old"] = _old_blendedness(context)
        no_light = usable & ~(table[:, 1, 1, 0] > 0)
        catalog[f"{name}_flag_noCentroid"] = context.centroid_failed
        catalog[f"{name}_flag_noShape"] = ~usable
        catalog[f"{name}_flag"] = context.centroid_failed | ~usable | no_light


def _old_blendedness(context: MeasurementContext) -> FloatArray:
    """Return child.parent / child.child - 1 over the footprints (n,); 0 for what is not a child."""
    result = np.zeros(len(context))
    flat, pixels = context.blends.reshape(-1), context.pixels
    for i, footprint in enumerate(context.footprints):
        if footprint.heavy is None:
            continue
        where = slice(pixels.start[i], pixels.start[i + 1])
        child = pixels.value[where].astype(np.float64)
        parent = flat[pixels.where[where]].astype(np.float64)
        square = float((child * child).sum())
        result[i] = float((child * (parent - child)).sum()) / square if square > 0 else np.nan
    return result


@njit
def _measure(pixels: Any, blends: Any, variance: Any, x: Any, y: Any, shape: Any, usable: Any, reach: float) -> Any:
    """Return a table (n, 2, 2, 4): raw and abs, child and parent, flux and the moments xx, yy, xy."""
    table = np.full((x.size, 2, 2, 4), np.nan)
    for i in range(x.size):
        if not usable[i]:
            continue
        put_back(pixels, i)
        _weighted(pixels.work, variance, x[i], y[i], shape[i], reach, table[i, :, 0])
        take_out(pixels, i)
        _weighted(blends, variance, x[i], y[i], shape[i], reach, table[i, :, 1])
    return table


@njit
def _weighted(image: Any, variance: Any, x: float, y: float, shape: Any, reach: float, result: Any) -> None:
    """Fill (2, 4): raw and abs, flux and moments."""
    height, width = image.shape
    xx, yy, xy = shape
    det = xx * yy - xy * xy
    sums = np.zeros((2, 4))
    weights, squares = 0.0, 0.0
    reach_x, reach_y = reach * np.sqrt(xx), reach * np.sqrt(yy)
    for v in range(max(int(np.ceil(y - reach_y)), 0), min(int(np.floor(y + reach_y)), height - 1) + 1):
        dy = v - y
        for u in range(max(int(np.ceil(x - reach_x)), 0), min(int(np.floor(x + reach_x)), width - 1) + 1):
            dx = u - x
            exponent = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / det
            if exponent > reach * reach:
                continue
            w = math.exp(-0.5 * exponent)
            weights += w
            squares += w * w
            value = float(image[v, u])
            for k in range(2):
                light = value if k == 0 else abs(value) - _bias(value, float(variance[v, u]))
                sums[k, 0] += w * light
                sums[k, 1] += w * light * dx * dx
                sums[k, 2] += w * light * dy * dy
                sums[k, 3] += w * light * dx * dy
    for k in range(2):
        flux = sums[k, 0] * weights / squares if squares > 0.0 else np.nan
        result[k, 0] = max(flux, 0.0) if k == 1 else flux
        for t in range(1, 4):
            # The weight halves the moments of a Gaussian.
            result[k, t] = 2.0 * sums[k, t] / sums[k, 0] if sums[k, 0] > 0.0 else np.nan


@njit
def _bias(value: float, variance: float) -> float:
    """Return by how much noise raises the absolute value of a pixel [ADU], the truth being at least 0."""
    if not variance > 0.0:
        return 0.0
    chance = 0.5 * math.erfc(-value / math.sqrt(2.0 * variance))
    # Far below 0 the expected truth goes to 0.
    expected = 0.0
    if chance > 0.0:
        density = math.sqrt(0.5 * variance / math.pi) * math.exp(-0.5 * value * value / variance)
        expected = value + density / chance
    spread = math.sqrt(2.0 * variance / math.pi) * math.exp(-0.5 * expected * expected / variance)
    return spread - expected * math.erfc(expected / math.sqrt(2.0 * variance))
