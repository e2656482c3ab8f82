"""Fluxes and shapes of isolated galaxies against the truth."""

from __future__ import annotations

import numpy as np

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..numerics.arrays import FloatArray, IntArray
from .measures import Measured, bootstrapped, robust_scatter
from .residuals import Table
from .selection import Pairs, column, flag
from .true_frame import Truth
from .true_shapes import size_and_ellipticity, true_distortion, true_moments

__all__ = ["galaxy_residuals", "shape_numbers"]


_KRON = "ext_photometryKron_KronFlux"
_MOMENTS = "ext_shapeHSM_HsmSourceMoments"
_REGAUSS = "ext_shapeHSM_HsmShapeRegauss"
# Below this share of the size that is not the PSF's, a corrected ellipticity is mostly noise.
_RESOLVED = 1.0 / 3.0


def galaxy_residuals(truth: Truth, sources: SourceCatalog, exposure: Exposure, galaxies: Pairs) -> Table:
    """Return what was measured minus what is true.

    Columns: true magnitude; kron: difference of magnitudes (mmag); size (%), e1, e2: of the moments seen through the
    PSF (determinant radius, distortion); true_e1, true_e2: distortion before the PSF; regauss_e1, regauss_e2: of the
    ellipticities corrected for the PSF, resolved galaxies only. What the catalogue lacks or flags is nan.
    """
    assert exposure.photo_calib is not None
    rows = galaxies.rows
    magnitude = truth.magnitude[galaxies.truth]
    flux = column(sources, f"{_KRON}_flux")[rows]
    flux[flag(sources, f"{_KRON}_flag")[rows] | (flux <= 0)] = np.nan
    table = {"magnitude": magnitude, "kron": 1000 * (exposure.photo_calib.magnitude(flux) - magnitude)}
    measured = [_good(sources, rows, _MOMENTS, end) for end in ("xx", "yy", "xy")]
    size, e1, e2 = size_and_ellipticity(*measured)
    seen_size, seen_e1, seen_e2 = size_and_ellipticity(*true_moments(truth, galaxies.truth).T)
    table |= {"size": 100 * (size / seen_size - 1), "e1": e1 - seen_e1, "e2": e2 - seen_e2}
    true_e1, true_e2 = true_distortion(truth.g1[galaxies.truth], truth.g2[galaxies.truth])
    resolution = _good(sources, rows, _REGAUSS, "resolution")
    for name, true in (("e1", true_e1), ("e2", true_e2)):
        corrected = _good(sources, rows, _REGAUSS, name)
        table[f"true_{name}"] = true
        table[f"regauss_{name}"] = np.where(resolution > _RESOLVED, corrected - true, np.nan)
    return table


def _good(sources: SourceCatalog, rows: IntArray, name: str, ending: str) -> FloatArray:
    values = column(sources, f"{name}_{ending}")[rows]
    values[flag(sources, f"{name}_flag")[rows]] = np.nan
    return values


def shape_numbers(table: Table) -> dict[str, Measured]:
    """Return the scatter of both components of the ellipticities, and the response of the corrected ones."""
    components = [np.concatenate([table[f"{name}_e1"], table[f"{name}_e2"]]) for name in ("true", "regauss")]
    return {
        "moments_e_scatter": robust_scatter(np.concatenate([table["e1"], table["e2"]])),
        "regauss_response": bootstrapped(_responses, np.stack(components, axis=1), least=12)[0],
        "regauss_e_scatter": robust_scatter(components[1]),
    }


def _responses(sets: FloatArray) -> FloatArray:
    """Return the slope (sets, 1) of the residual with the true distortion, about the means."""
    true, residual = np.moveaxis(sets - sets.mean(axis=1, keepdims=True), 2, 0)
    power = np.maximum((true**2).sum(axis=1), np.finfo(float).tiny)
    slopes: FloatArray = (true * residual).sum(axis=1) / power
    return slopes[:, None]
