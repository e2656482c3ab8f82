"""Positions of catalogued sources as circles on a picture."""

from __future__ import annotations

import numpy as np

from ..camera.boxes import Box
from ..catalog.source_catalog import SourceCatalog
from .overlay import Colour
from .sheet import LegendEntry, Mark

__all__ = ["source_legend", "source_marks"]

_STAR: Colour = (255, 225, 60)
_OBJECT: Colour = (95, 235, 215)
_NAMES = {_STAR: "star of the PSF model", _OBJECT: "source"}


def source_marks(sources: SourceCatalog, *, only_stars: bool = False) -> tuple[Mark, ...]:
    """Return small circles around all objects, large ones around the stars that the PSF was made from.

    Objects are the rows without children: isolated sources and the children of blends.
    """
    x = np.asarray(sources["base_SdssCentroid_x"], dtype=np.float64)
    y = np.asarray(sources["base_SdssCentroid_y"], dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    chosen = known & np.asarray(sources["calib_psfUsed"], dtype=bool)
    stars = Mark(x[chosen], y[chosen], _STAR, radius=14.0, least_points=7)
    if only_stars:
        return (stars,)
    chosen = known & (np.asarray(sources["deblend_nChild"]) == 0)
    return (Mark(x[chosen], y[chosen], _OBJECT, radius=3.5, least_points=1), stars)


def source_legend(marks: tuple[Mark, ...], region: Box) -> tuple[LegendEntry, ...]:
    """Return what the circles of `source_marks` mean, with their numbers in the region."""
    entries = []
    for mark in marks:
        inside = sum(region.contains(x, y) for x, y in zip(mark.x.tolist(), mark.y.tolist(), strict=True))
        entries.append(LegendEntry(_NAMES[mark.colour], mark.colour, f"{inside:,}", round=True))
    return tuple(entries)
