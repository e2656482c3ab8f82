"""The Hierarchical Triangular Mesh: which trixel a position is in, which trixels a circle touches.

Kunszt, Szalay & Thakar 2001, "The Hierarchical Triangular Mesh". At depth d ids run from 8 * 4**d to 16 *
4**d - 1; the numbers are those in the file names of the LSST stack's reference catalogues.
"""

from __future__ import annotations

import numpy as np
from lsst import sphgeom

__all__ = ["MAX_DEPTH", "separation", "trixel_of", "trixels_in_circle"]

MAX_DEPTH = 20


def trixel_of(ra: np.ndarray | float, dec: np.ndarray | float, depth: int) -> np.ndarray:
    """Return the trixel id of each position.

    Parameters
    ----------
    ra, dec
        (n,) ICRS positions in degrees.
    depth
        Level of the mesh, 0 to `MAX_DEPTH`.

    Returns
    -------
    ids : (n,) int64
    """
    pixelization = sphgeom.HtmPixelization(_checked(depth))
    lon, lat = np.radians(np.atleast_1d(ra)), np.radians(np.atleast_1d(dec))
    vectors = np.stack([np.cos(lon) * np.cos(lat), np.sin(lon) * np.cos(lat), np.sin(lat)], axis=-1)
    ids = [pixelization.index(sphgeom.UnitVector3d(*vector)) for vector in vectors.tolist()]
    return np.array(ids, dtype=np.int64)


def trixels_in_circle(ra: float, dec: float, radius: float, depth: int) -> list[int]:
    """Return the ids, ascending, of all trixels that a circle may touch.

    Parameters
    ----------
    ra, dec, radius
        Centre and radius in degrees.
    """
    centre = sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(ra, dec))
    circle = sphgeom.Circle(centre, sphgeom.Angle.fromDegrees(radius))
    ranges = sphgeom.HtmPixelization(_checked(depth)).envelope(circle)
    return [number for begin, end in ranges for number in range(begin, end)]


def _checked(depth: int) -> int:
    if not 0 <= depth <= MAX_DEPTH:
        raise ValueError(f"HTM depth {depth} is not within 0 to {MAX_DEPTH}")
    return depth


def separation(ra: np.ndarray, dec: np.ndarray, ra0: float | np.ndarray, dec0: float | np.ndarray) -> np.ndarray:
    """Return the great-circle distance of positions from (`ra0`, `dec0`), one or as many, everything in degrees.

    The haversine form keeps its precision for small distances.
    """
    lat, lat0 = np.radians(dec), np.radians(dec0)
    across = np.sin(np.radians(np.asarray(ra) - ra0) / 2) ** 2
    along = np.sin((lat - lat0) / 2) ** 2
    haversine = np.clip(along + np.cos(lat) * np.cos(lat0) * across, 0.0, 1.0)
    distance: np.ndarray = np.degrees(2.0 * np.arcsin(np.sqrt(haversine)))
    return distance
