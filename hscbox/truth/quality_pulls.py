"""Error bars of isolated stars against the scatter of their values, and centroids against the Cramer-Rao bound."""

from __future__ import annotations

import numpy as np

from ..camera.boxes import Box
from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import FloatArray
from .cramer_rao import position_bound
from .residuals import Table
from .selection import Pairs, column, flag
from .true_frame import Truth
from .truth_maps import PsfMap

__all__ = ["pull_residuals"]


_FLUXES = {"psf": "slot_PsfFlux", "kron": "ext_photometryKron_KronFlux"}
_SKY_HALF_WIDTH = 30


def pull_residuals(truth: Truth, sources: SourceCatalog, exposure: Exposure, stars: Pairs) -> Table:
    """Return errors of stars in units of the stated ones, and centroids' in units of their bound.

    Columns: magnitude; psf, kron: (flux / true - median of this over the stars) / stated relative error; x, y: of the
    centroid; x_bound, y_bound: centroid minus truth in units of the Cramer-Rao bound. What the catalogue lacks or
    flags is nan.
    """
    flux, rows = truth.flux[stars.truth], stars.rows
    table = {"magnitude": truth.magnitude[stars.truth]}
    for name, prefix in _FLUXES.items():
        ratio, error = (column(sources, f"{prefix}_{end}")[rows] / flux for end in ("flux", "fluxSigma"))
        ratio[flag(sources, f"{prefix}_flag")[rows]] = np.nan
        known = ratio[np.isfinite(ratio)]
        table[name] = (ratio - (np.median(known) if len(known) else np.nan)) / error
    bounds = _bounds(truth, exposure, stars)
    for axis, true, bound in zip("xy", (truth.x, truth.y), bounds.T, strict=True):
        miss = sources[f"slot_Centroid_{axis}"][rows] - true[stars.truth]
        table[axis] = miss / column(sources, f"slot_Centroid_{axis}Sigma")[rows]
        table[f"{axis}_bound"] = miss / bound
    return table


def _bounds(truth: Truth, exposure: Exposure, stars: Pairs) -> FloatArray:
    """Return the Cramer-Rao bounds (n, 2) of x and y, pixel."""
    psf, bounds = PsfMap.fit(truth), np.full((len(stars.truth), 2), np.nan)
    if psf is None:
        return bounds
    for number, source in enumerate(stars.truth):
        x, y = float(truth.x[source]), float(truth.y[source])
        box = _box(exposure, x, y)
        blank = exposure.mask[box] & ~mask_bits("SUSPECT", "CROSSTALK") == 0
        if blank.any():
            sky_variance = float(np.median(exposure.variance[box][blank]))
            # The sky's electrons make nearly all of its variance, whatever the amplifier's gain and the flat.
            gain = float(np.mean(truth.sky[box])) / sky_variance
            bounds[number] = position_bound(psf.stamp(x, y), float(truth.flux[source]), sky_variance, gain)
    return bounds


def _box(exposure: Exposure, x: float, y: float) -> tuple[slice, slice]:
    size = 2 * _SKY_HALF_WIDTH + 1
    around = Box(round(x) - _SKY_HALF_WIDTH, round(y) - _SKY_HALF_WIDTH, size, size)
    return around.clip(Box(0, 0, exposure.width, exposure.height)).slices
