"""A zero point good to two magnitudes, until stars have been measured."""

from __future__ import annotations

import numpy as np

from ..camera.filters import rough_zero_point
from ..image.photo_calib import PhotoCalib
from .frame import Frame

__all__ = ["set_rough_zero_point"]


def set_rough_zero_point(frame: Frame) -> None:
    """Attach the zero point of filter and exposure time, and log it; a frame without exposure time gets none."""
    visit_info = frame.inputs.visit_info
    seconds = float("nan") if visit_info is None else visit_info.exposure_time
    if not seconds > 0:
        frame.log.warning("Non-positive exposure time %s s; skipping rough zero point", seconds)
        return
    calib = PhotoCalib.from_zero_point(rough_zero_point(frame.inputs.filter_name) + 2.5 * np.log10(seconds))
    frame.log.info("Setting rough magnitude zero point: %f", calib.zero_point)
    frame.exposure.photo_calib = calib
