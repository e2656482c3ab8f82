"""Astrometry against the truth."""

from __future__ import annotations

import numpy as np

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..numerics.arrays import FloatArray
from .measures import NOT_MEASURED, Measured
from .residuals import Table
from .selection import Pairs
from .true_frame import Truth
from .truth_maps import SkyMap, tangent_offsets

__all__ = [
    "corner_numbers",
    "corner_residuals",
    "position_residuals",
    "reference_residuals",
]


_MAS = 3.6e6


def position_residuals(truth: Truth, sources: SourceCatalog, exposure: Exposure, stars: Pairs) -> Table:
    """Return fitted minus true positions of stars: x, y (pixel); ra (on the sky), dec (mas)."""
    assert exposure.wcs is not None
    x, y = sources["slot_Centroid_x"][stars.rows], sources["slot_Centroid_y"][stars.rows]
    ra, dec = exposure.wcs.pixel_to_sky(x, y)
    d_ra = (ra - truth.ra[stars.truth]) * np.cos(np.deg2rad(dec)) * _MAS
    return {"x": x, "y": y, "ra": d_ra, "dec": (dec - truth.dec[stars.truth]) * _MAS}


def reference_residuals(
    exposure: Exposure, x: FloatArray, y: FloatArray, reference_ra: FloatArray, reference_dec: FloatArray
) -> Table:
    """Return fitted minus reference positions of matched stars: ra (on the sky), dec (mas).

    Their mean is mean(fit - truth) minus mean(reference - truth): the truth of the same stars cancels.

    Parameters
    ----------
    x, y
        Measured positions of the matched sources (n,).
    reference_ra, reference_dec
        Positions of their references (n,), degrees.
    """
    assert exposure.wcs is not None
    ra, dec = exposure.wcs.pixel_to_sky(x, y)
    return {
        "ra": (ra - reference_ra) * np.cos(np.deg2rad(dec)) * _MAS,
        "dec": (dec - reference_dec) * _MAS,
    }


def corner_residuals(truth: Truth, exposure: Exposure) -> Table:
    """Return how far (mas) the fitted WCS is from the true one at the four corners: distance (4,)."""
    assert exposure.wcs is not None
    true = SkyMap.fit(truth)
    right, top = exposure.width - 1.0, exposure.height - 1.0
    x, y = np.array([0.0, right, 0.0, right]), np.array([0.0, 0.0, top, top])
    if true is None:
        return {"x": x, "y": y, "distance": np.full(4, np.nan)}
    east, north = tangent_offsets(*exposure.wcs.pixel_to_sky(x, y), true.ra, true.dec)
    d_east, d_north = (np.stack([east, north], axis=1) - true.offsets(x, y)).T * _MAS
    return {"x": x, "y": y, "distance": np.hypot(d_east, d_north)}


def corner_numbers(corners: Table) -> dict[str, Measured]:
    """Return the worst corner; it has no error, since all corners are looked at."""
    distance = corners["distance"]
    known = np.isfinite(distance).all()
    worst = Measured(float(distance.max()), 0.0, len(distance)) if known else NOT_MEASURED
    return {"astrometry_worst_corner": worst}
