"""Completeness and purity of the catalogue."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..numerics.constants import FWHM_PER_SIGMA
from .measures import match_within
from .residuals import Table
from .selection import expected_snr, fwhm_of, leaves, usable
from .true_frame import Truth

__all__ = ["detection_residuals"]


def detection_residuals(truth: Truth, sources: SourceCatalog, exposure: Exposure) -> tuple[Table, Table]:
    """Return which true sources near S/N 20 were found (column found), which rows near S/N 7 are true (column pure).

    A true source counts for completeness unless a brighter one lies within the PSF's FWHM; it is found if a catalogue
    position lies within the FWHM of its own image (PSF and profile in quadrature). A catalogue source is pure if a true
    one that is at most 2 mag below the 5-sigma limit of point sources lies within the PSF's FWHM.
    """
    fwhm = fwhm_of(exposure)
    own_fwhm = np.hypot(fwhm, 2.0 * truth.half_light_radius_px)
    snr = expected_snr(truth, exposure)
    rows = np.flatnonzero(leaves(sources))
    positions = np.stack([sources["slot_Centroid_x"][rows], sources["slot_Centroid_y"][rows]], axis=1)
    true_xy = np.stack([truth.x, truth.y], axis=1)
    wanted = np.flatnonzero(
        (snr > 17) & (snr < 23) & usable(truth.x, truth.y, exposure) & (truth.brighter_distance_px > fwhm)
    )
    distance, _ = cKDTree(positions).query(true_xy[wanted])
    with np.errstate(invalid="ignore", divide="ignore"):
        measured = sources["slot_PsfFlux_flux"][rows] / sources["slot_PsfFlux_fluxSigma"][rows]
    faint = (measured > 6) & (measured < 8) & ~sources["base_PixelFlags_flag_edge"][rows]
    point_noise = np.sqrt(4 * np.pi * float(np.median(exposure.variance))) * fwhm / FWHM_PER_SIGMA
    drawn = truth.flux > 5 * 10**-0.8 * point_noise
    pure, _ = match_within(positions[faint], true_xy[drawn], fwhm)
    found = (distance <= own_fwhm[wanted]).astype(np.float64)
    return {"found": found}, {"pure": pure.astype(np.float64)}
