"""Regions of the sky as HTM trixels, and their outlines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from lsst import sphgeom

from ..catalog.htm import trixels_in_circle
from ..errors import UsageError

__all__ = ["PAD", "Cone", "depth_of", "descendants", "outline", "trixels_of_cones"]

PAD = 2.0 / 3600.0
"""Degrees by which outlines are grown, so that rounding at the service cannot lose an object at an edge."""

_WIDEST = 30.0
_MOST_TRIXELS = 4000


@dataclass(frozen=True)
class Cone:
    """A circle on the sky, degrees, ICRS."""

    ra: float
    dec: float
    radius: float

    @classmethod
    def parse(cls, text: str) -> Cone:
        """Return the cone that "RA,DEC,RADIUS" stands for.

        Raises
        ------
        UsageError
            These are not three numbers, or they are impossible.
        """
        try:
            ra, dec, radius = (float(part) for part in text.split(","))
        except ValueError:
            raise UsageError(f"A cone is RA,DEC,RADIUS in degrees, not {text!r}") from None
        if not (-180.0 <= ra <= 360.0 and -90.0 <= dec <= 90.0 and 0.0 < radius <= _WIDEST):
            raise UsageError(
                f"Cone {text!r} is impossible, allowed are RA -180 to 360, Dec -90 to 90, radius to {_WIDEST:g} degrees"
            )
        return cls(ra % 360.0, dec, radius)


def trixels_of_cones(cones: Iterable[Cone], depth: int) -> list[int]:
    """Return the trixels that any of the cones may touch, ascending.

    Raises
    ------
    UsageError
        These are too many for one download.
    """
    found = sorted({number for cone in cones for number in trixels_in_circle(cone.ra, cone.dec, cone.radius, depth)})
    if len(found) > _MOST_TRIXELS:
        raise UsageError(
            f"The region has {len(found)} trixels of depth {depth}, allowed are {_MOST_TRIXELS}",
            remedy="Ask the archive for a table of such a region and use hscbox refcat build",
        )
    return found


def depth_of(trixel: int) -> int:
    """Return the depth of a trixel's mesh."""
    return (trixel.bit_length() - 4) // 2


def descendants(trixel: int, depth: int) -> list[int]:
    """Return the trixels of a depth that a trixel is made of; the trixel itself if it is that deep."""
    factor = 4 ** max(0, depth - depth_of(trixel))
    return list(range(trixel * factor, (trixel + 1) * factor))


def outline(trixel: int) -> tuple[list[tuple[float, float]], Cone]:
    """Return the corners of a trixel (RA, Dec in degrees, anticlockwise) and its circumscribed circle.

    Both are grown by `PAD`.
    """
    triangle = sphgeom.HtmPixelization(depth_of(trixel)).triangle(trixel)
    corners = np.array([[v.x(), v.y(), v.z()] for v in triangle.getVertices()])
    centre = corners.sum(axis=0)
    centre /= np.linalg.norm(centre)
    # Moving the corners outwards by twice the pad moves the edges by at least the pad, as the triangles are not far
    # from equilateral.
    away = corners - centre * (corners @ centre)[:, None]
    away /= np.linalg.norm(away, axis=1)[:, None]
    grown = corners + 2.5 * np.radians(PAD) * away
    grown /= np.linalg.norm(grown, axis=1)[:, None]
    radius = float(np.degrees(np.arccos(np.clip((grown @ centre).min(), -1.0, 1.0))))
    points = [_sky(corner) for corner in grown]
    return points, Cone(*_sky(centre), radius)


def _sky(vector: np.ndarray) -> tuple[float, float]:
    x, y, z = vector.tolist()
    return float(np.degrees(np.arctan2(y, x)) % 360.0), float(np.degrees(np.arctan2(z, np.hypot(x, y))))
