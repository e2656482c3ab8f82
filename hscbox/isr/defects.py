"""Known defects of the detector."""

from __future__ import annotations

from collections.abc import Sequence

from ..camera.boxes import Box
from ..camera.detector import Detector
from ..image.exposure import Exposure
from ..image.interpolate import interpolate_boxes
from ..image.mask import mask_bits
from .amplifiers import is_dead

__all__ = ["interpolate_defects"]


def interpolate_defects(exposure: Exposure, defects: Sequence[Box], detector: Detector) -> int:
    """Set BAD on the boxes (clipped to the image) and interpolate over them in place; return the number of pixels.

    Boxes that cover a whole amplifier are not interpolated: what is between pixels 512 columns apart is not known.
    """
    frame = Box(0, 0, exposure.width, exposure.height)
    inside = [box for box in (defect.clip(frame) for defect in defects) if box.width > 0 and box.height > 0]
    for box in inside:
        exposure.mask[box.slices] |= mask_bits("BAD")
    narrow = [box for box in inside if not any(is_dead(amp, [box]) for amp in detector.amplifiers)]
    return interpolate_boxes(exposure.image, exposure.variance, exposure.mask, narrow)
