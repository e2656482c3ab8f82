"""Colours of one panel: cut, scale, stretch, overlay, with the first row at the bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..camera.boxes import Box
from ..image.mask import mask_bits
from ..numerics.arrays import ByteArray
from .overlay import paint
from .sheet import Panel
from .stretch import Scale, difference_scale, grey_scale
from .zoom import Zoom, block_mean, block_union

__all__ = ["render"]

_UNRELIABLE = mask_bits("BAD", "SAT", "NO_DATA", "UNMASKEDNAN")


def render(panel: Panel, region: Box, zoom: Zoom, planes: Sequence[str]) -> tuple[ByteArray, Scale]:
    """Return the colours (height, width, 3) of a region of a panel, the top row first, and their scale."""
    pixels = block_mean(panel.pixels[region.slices].astype(np.float64), zoom.binning)
    bits = np.zeros(pixels.shape, np.int32)
    if panel.mask is not None:
        bits = block_union(np.ascontiguousarray(panel.mask[region.slices]), zoom.binning)
    if panel.kind == "difference":
        scale = difference_scale(pixels)
    else:
        scale = grey_scale(pixels, (bits & np.int32(_UNRELIABLE)) == 0)
    rgb = np.asarray(zoom.enlarge(scale.rgb(pixels)), dtype=np.uint8)
    painted = paint(rgb, np.asarray(zoom.enlarge(bits), dtype=np.int32), planes)
    return np.ascontiguousarray(painted[::-1]), scale
