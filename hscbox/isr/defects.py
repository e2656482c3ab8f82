"""Known defects of the detector."""

from __future__ import annotations

from collections.abc import Sequence

from ..camera.boxes import Box
from ..image.exposure import Exposure
from ..image.interpolate import interpolate_boxes
from ..image.mask import mask_bits

__all__ = ["interpolate_defects"]


def interpolate_defects(exposure: Exposure, defects: Sequence[Box]) -> int:
    """Set BAD on the boxes (clipped to the image) and interpolate over them in place; return the number of pixels."""
    frame = Box(0, 0, exposure.width, exposure.height)
    inside = [box for box in (defect.clip(frame) for defect in defects) if box.width > 0 and box.height > 0]
    for box in inside:
        exposure.mask[box.slices] |= mask_bits("BAD")
    return interpolate_boxes(exposure.image, exposure.variance, exposure.mask, inside)
