"""Flags from the mask planes under the footprint and at the centre."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...catalog.schema import Schema
from ...image.mask import mask_bits
from ...numerics.compiler import njit
from ..context import MeasurementContext
from ..plugin import Plugin, register

__all__ = ["PixelFlags"]

_ANYWHERE = {
    "edge": (("EDGE", "NO_DATA"), "EDGE or NO_DATA anywhere in the footprint"),
    "interpolated": (("INTRP",), "INTRP anywhere in the footprint"),
    "saturated": (("SAT",), "SAT anywhere"),
    "cr": (("CR",), "CR anywhere"),
    "bad": (("BAD",), "BAD anywhere"),
    "suspect": (("SUSPECT",), "SUSPECT anywhere"),
}
_CENTRE = {"interpolated": "INTRP", "saturated": "SAT", "cr": "CR", "suspect": "SUSPECT"}


@register("base_PixelFlags")
class PixelFlags(Plugin):
    """base_PixelFlags."""

    def declare(self, schema: Schema) -> None:
        """Add the flags."""
        self.add_flags(schema, flag="any failure of this algorithm", flag_offimage="centre is off the image")
        for ending, (_, doc) in _ANYWHERE.items():
            schema.add_field(f"{self.name}_flag_{ending}", "Flag", doc)
        for ending, plane in _CENTRE.items():
            schema.add_field(f"{self.name}_flag_{ending}Center", "Flag", f"{plane} in the central 3x3")

    def measure(self, context: MeasurementContext) -> None:
        """Set the flags of all sources."""
        catalog, name = context.catalog, self.name
        x, y = context.catalog["slot_Centroid_x"], context.catalog["slot_Centroid_y"]
        pixels, mask = context.pixels, context.exposure.mask
        anywhere, centre, off_image = _collect(pixels.start, pixels.where, mask, x, y)
        catalog[f"{name}_flag"] = ~(np.isfinite(x) & np.isfinite(y))
        catalog[f"{name}_flag_offimage"] = off_image
        for ending, (planes, _) in _ANYWHERE.items():
            catalog[f"{name}_flag_{ending}"] = (anywhere & mask_bits(*planes)) != 0
        for ending, plane in _CENTRE.items():
            catalog[f"{name}_flag_{ending}Center"] = (centre & mask_bits(plane)) != 0


@njit
def _collect(start: Any, index: Any, mask: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """Return the OR of all mask bits in each footprint and in the central 3 x 3 pixels, and which are off the image."""
    n = x.size
    anywhere, centre = np.zeros(n, np.int32), np.zeros(n, np.int32)
    off_image = np.zeros(n, np.bool_)
    height, width = mask.shape
    flat = mask.ravel()
    for i in range(n):
        for k in range(start[i], start[i + 1]):
            anywhere[i] |= flat[index[k]]
        if not (np.isfinite(x[i]) and np.isfinite(y[i])):
            continue
        ix, iy = int(np.floor(x[i] + 0.5)), int(np.floor(y[i] + 0.5))
        off_image[i] = ix < 0 or iy < 0 or ix >= width or iy >= height
        for v in range(max(iy - 1, 0), min(iy + 2, height)):
            for u in range(max(ix - 1, 0), min(ix + 2, width)):
                centre[i] |= mask[v, u]
    return anywhere, centre, off_image
