"""World coordinates before any star was looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..camera.detector import Detector
from ..camera.geometry import CCD_HEIGHT
from ..camera.visit_info import VisitInfo
from ..image.sky_wcs import SkyWcs
from ..image.wcs import initial_wcs

__all__ = ["starting_wcs"]

_SCALE_CORRECTION = 0.992
"""Ratio of the mean pixel scale, 0.1687 arcsec, to the 0.17 arcsec of raw headers."""


def starting_wcs(detector: Detector, visit_info: VisitInfo | None, header: Mapping[str, object]) -> SkyWcs | None:
    """Return the WCS of the camera geometry at the telescope's pointing.

    Without complete pointing the WCS of the raw header takes its place, which is wrong by up to two arcminutes; it is
    mirrored like the pixels. None if there is neither.
    """
    if visit_info is not None:
        pointing = (visit_info.boresight_ra, visit_info.boresight_dec, visit_info.inst_pa)
        if all(math.isfinite(value) for value in pointing):
            return initial_wcs(detector, visit_info)
    found = SkyWcs.from_header(header) if "CRVAL1" in header else None
    if found is None:
        return None
    x, y = found.crpix
    if detector.mirror == "LR":
        crpix, flip = (detector.width - 1 - x, y), (-1.0, 1.0)
    else:
        crpix, flip = (x, CCD_HEIGHT - 1 - y), (1.0, -1.0)
    return SkyWcs(crpix, found.crval, _SCALE_CORRECTION * np.asarray(found.cd) * np.array(flip))
