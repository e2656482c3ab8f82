"""What each pair of a source and a reference tells about the WCS: the errors of their positions."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from ..camera.distortion import PIXEL_SCALE
from ..catalog.source_catalog import SourceCatalog
from ..numerics.arrays import FloatArray
from .matcher import Match
from .ref_objects import ReferenceRegion

__all__ = ["LEAST_EXTRA_ARCSEC", "extra_scatter", "pair_errors"]


LEAST_EXTRA_ARCSEC = 0.005
"""Beyond photon noise positions have errors of this order: atmosphere, systematics of centroids (Bosch et al. 2018)."""
# Reference catalogues of 2017 state no position errors: those of PS1 are this fraction of its seeing (sigma, arcsec)
# divided by the signal to noise, on top of a floor.
_REFERENCE_SEEING_ARCSEC = 0.47
_REFERENCE_FLOOR_ARCSEC = 0.006
# Nothing that is matched scatters by more.
_MOST_EXTRA_ARCSEC = 1.0
# Residuals beyond this many sigma count linearly: galaxies with a companion are no reason to trust no star.
_LINEAR_BEYOND = 2.0


def pair_errors(sources: SourceCatalog, region: ReferenceRegion, match: Match) -> FloatArray:
    """Return the known error per axis of each pair (n,), arcsec: source and reference in quadrature."""
    with np.errstate(invalid="ignore", divide="ignore"):
        # An extended source has an error of its own size over the signal to noise.
        size = np.sqrt((sources["slot_Shape_xx"] + sources["slot_Shape_yy"])[match.source] / 2)
        noise = sources["slot_PsfFlux_fluxSigma"][match.source] / sources["slot_PsfFlux_flux"][match.source]
    source_error = np.nan_to_num(size * noise, nan=1.0, posinf=1.0) * PIXEL_SCALE
    reference_error = np.hypot(
        _REFERENCE_SEEING_ARCSEC * _least_relative_error(region.catalog)[match.reference],
        _REFERENCE_FLOOR_ARCSEC,
    )
    if "coord_ra_err" in region.catalog.schema.names():
        stated = np.rad2deg(region.catalog["coord_ra_err"][match.reference].astype(np.float64)) * 3600
        reference_error = np.where(np.isfinite(stated) & (stated > 0), stated, reference_error)
    error: FloatArray = np.hypot(source_error, reference_error)
    return error


def _least_relative_error(catalog: SourceCatalog) -> FloatArray:
    """Return the relative flux error (n,) of the best band: positions come from all bands. 0.1 where there is none."""
    bands = [name for name in catalog.schema.names() if name.endswith("_flux") and f"{name}Sigma" in catalog]
    least = np.full(len(catalog), np.inf)
    for name in bands:
        flux, error = catalog[name], catalog[f"{name}Sigma"]
        known = (flux > 0) & (error > 0)
        least[known] = np.minimum(least[known], error[known] / flux[known])
    return np.where(np.isfinite(least), least, 0.1)


def extra_scatter(residual: FloatArray, error: FloatArray) -> float:
    """Return the scatter that the known errors lack: with it in quadrature the residuals are most probable.

    Parameters
    ----------
    residual
        Of both axes (n, 2), arcsec.
    error
        Known errors per axis (n,), arcsec.

    Notes
    -----
    Maximum likelihood with the loss of Huber 1964 (Ann. Math. Statist. 35, 73), at least `LEAST_EXTRA_ARCSEC`.
    Catalogues state their errors too small, or none, and a few bright references would then carry the whole fit.
    """

    def loss(logarithm: float) -> float:
        sigma = np.hypot(error, np.exp(logarithm))[:, None]
        z = np.abs(residual) / sigma
        cost = np.where(z < _LINEAR_BEYOND, z**2 / 2, _LINEAR_BEYOND * (z - _LINEAR_BEYOND / 2))
        return float(np.sum(cost + np.log(sigma)))

    bounds = (np.log(LEAST_EXTRA_ARCSEC), np.log(_MOST_EXTRA_ARCSEC))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
