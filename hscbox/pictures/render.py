"""Colours of one panel: cut, scale, stretch, overlay, with the first row at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..camera.boxes import Box
from ..image.mask import mask_bits
from ..numerics.arrays import ByteArray
from .overlay import paint
from .sheet import Panel
from .stretch import DifferenceScale, GreyScale, difference_scale, grey_scale
from .zoom import Zoom, block_mean, block_union

__all__ = ["Rendered", "render"]

_UNRELIABLE = mask_bits("BAD", "SAT", "NO_DATA", "UNMASKEDNAN")


@dataclass(frozen=True, eq=False)
class Rendered:
    """A panel as it will be pasted."""

    rgb: ByteArray
    """Colours (height, width, 3), the top row of the picture first."""
    scale: GreyScale | DifferenceScale


def render(panel: Panel, region: Box, zoom: Zoom, planes: Sequence[str]) -> Rendered:
    """Return the colours of a region of a panel."""
    pixels = block_mean(panel.pixels[region.slices].astype(np.float64), zoom.binning)
    bits = np.zeros(pixels.shape, np.int32)
    if panel.mask is not None:
        bits = block_union(np.ascontiguousarray(panel.mask[region.slices]), zoom.binning)
    scale: GreyScale | DifferenceScale
    if panel.kind == "difference":
        scale = difference_scale(pixels)
    else:
        scale = grey_scale(pixels, (bits & np.int32(_UNRELIABLE)) == 0)
    rgb = np.asarray(zoom.enlarge(scale.rgb(pixels)), dtype=np.uint8)
    painted = paint(rgb, np.asarray(zoom.enlarge(bits), dtype=np.int32), planes)
    return Rendered(np.ascontiguousarray(painted[::-1]), scale)
