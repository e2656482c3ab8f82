"""The reference catalogue of the synthetic sky: what Pan-STARRS would have seen, with its errors."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ..catalog.source_catalog import SourceCatalog
from ..numerics.arrays import FloatArray
from ..numerics.constants import AB_ZERO_JY
from ..products.reference_shards import make_reference_catalog
from .sky import PS1_BANDS

__all__ = ["position_error_mas", "reference_catalog", "reference_objects"]


# 5-sigma depths of the stacked 3-pi survey (Chambers et al. 2016, arXiv:1612.05560, section 1) and floor of errors.
_DEPTHS = {"g": 23.3, "r": 23.2, "i": 23.1, "z": 22.3, "y": 21.4}
_FLOOR = 0.004
# Share of objects listed falls to one half at this r magnitude.
_LIMIT, _LIMIT_WIDTH = 23.25, 0.12
# Sky objects brighter than r = 24.2 have this bit of their id clear, see `sky`.
_CELL_SHIFT = 17


def position_error_mas(red: FloatArray) -> FloatArray:
    """Return the error per axis in milliarcseconds at r magnitudes: 6 for bright objects, 18 at r = 21."""
    return np.hypot(6.0, 17.0 * 10.0 ** (0.3 * (red - 21.0)))


def reference_objects(
    seed: int, objects: NDArray[np.void]
) -> tuple[NDArray[np.void], FloatArray, FloatArray, FloatArray]:
    """Choose the objects that the reference catalogue lists and draw their errors.

    Errors depend on (seed, cell of the sky) alone, so that exposures that overlap agree on the catalogue.

    Returns
    -------
    listed
        The objects, true values.
    offsets
        (n, 2) errors of right ascension (on the sky) and declination, milliarcseconds.
    fluxes, flux_errors
        (n, 5) Jy in the bands g, r, i, z, y.
    """
    bright = objects[(objects["id"] >> _CELL_SHIFT) % 2 == 0]
    groups = bright["id"] >> _CELL_SHIFT
    draws = np.empty((len(bright), 7))
    chance = np.empty(len(bright))
    for group in np.unique(groups):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int(group), zlib.crc32(b"reference")])))
        rows = groups == group
        draws[rows] = rng.standard_normal((np.count_nonzero(rows), 7))
        chance[rows] = rng.random(np.count_nonzero(rows))
    # exp() of large numbers overflows harmlessly here: objects far below the limit are never listed.
    listed = chance < 1.0 / (1.0 + np.exp(np.clip((bright["r"] - _LIMIT) / _LIMIT_WIDTH, -50.0, 50.0)))
    kept, draws = bright[listed], draws[listed]
    offsets = position_error_mas(kept["r"])[:, None] * draws[:, :2]
    magnitudes = np.stack([kept[band] for band in PS1_BANDS], axis=1)
    fluxes = AB_ZERO_JY * 10.0 ** (-0.4 * magnitudes)
    limits = AB_ZERO_JY * 10.0 ** (-0.4 * np.array([_DEPTHS[band] for band in PS1_BANDS])) / 5.0
    errors = np.hypot(limits, _FLOOR * fluxes)
    return kept, offsets, fluxes + errors * draws[:, 2:], errors


def reference_catalog(seed: int, objects: NDArray[np.void]) -> SourceCatalog:
    """Return the reference catalogue of sky objects, in the form of 2017 (Jy, `_fluxSigma`), ordered by id."""
    unique = objects[np.unique(objects["id"], return_index=True)[1]]
    listed, offsets, fluxes, errors = reference_objects(seed, unique)
    dec = listed["dec"] + offsets[:, 1] / 3.6e6
    ra = listed["ra"] + offsets[:, 0] / 3.6e6 / np.cos(np.radians(listed["dec"]))
    return make_reference_catalog(
        listed["id"],
        ra % 360.0,
        dec,
        {band: fluxes[:, number] for number, band in enumerate(PS1_BANDS)},
        {band: errors[:, number] for number, band in enumerate(PS1_BANDS)},
    )
