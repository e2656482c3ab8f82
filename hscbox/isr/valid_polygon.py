"""The part of a CCD that light reaches."""

from __future__ import annotations

import numpy as np
import shapely

from ..camera.detector import Detector
from ..camera.vignette import vignette_polygon
from ..numerics.arrays import FloatArray
from .frame import Frame

__all__ = ["attach_valid_polygon", "valid_polygon"]


def valid_polygon(detector: Detector, field: FloatArray) -> FloatArray | None:
    """Intersect the outline of a CCD with the lit field.

    Parameters
    ----------
    detector
        Its outline reaches half a pixel beyond the outer pixel centres.
    field
        Vertices (n, 2) of the lit field in the focal plane, pixels.

    Returns
    -------
    array
        Vertices (m, 2) in pixels, clockwise, the last repeating the first; None if no light reaches the CCD.
    """
    x1, y1 = detector.width - 0.5, detector.height - 0.5
    outline = np.array([(-0.5, -0.5), (x1, -0.5), (x1, y1), (-0.5, y1)])
    on_focal_plane = np.stack(detector.pixel_to_focal_plane(outline[:, 0], outline[:, 1]), axis=1)
    common = shapely.Polygon(on_focal_plane).intersection(shapely.Polygon(field))
    if common.area == 0.0 or common.geom_type != "Polygon":
        return None
    ring = np.asarray(shapely.geometry.polygon.orient(common, sign=-1.0).exterior.coords, np.float64)
    return np.stack(detector.focal_plane_to_pixel(ring[:, 0], ring[:, 1]), axis=1)


def attach_valid_polygon(frame: Frame) -> None:
    """Give the exposure the polygon of its pixels that light reaches."""
    frame.exposure.valid_polygon = valid_polygon(frame.detector, vignette_polygon())
