"""Stars called stars and galaxies called galaxies."""

from __future__ import annotations

import numpy as np

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from .measures import Measured, fraction, match_within
from .residuals import Table
from .selection import column, expected_snr, fwhm_of, leaves, usable
from .true_frame import Truth

__all__ = ["class_numbers", "class_residuals"]


_LEAST_SNR = 50.0
# Other sources within the FWHM may have this share of a source's flux at the most.
_COMPANION = 0.1
# Nearer to the edge of the frame the centroid, and with it all else, is flagged as not measured.
_EDGE_PX = 25.0


def class_residuals(truth: Truth, sources: SourceCatalog, exposure: Exposure) -> Table:
    """Return true sources of expected S/N above 20 with a leaf, not within 25 pixels of the edge, and their class.

    A source whose PSF FWHM holds more than 10 % of its flux in others is neither star nor galaxy: left out. Columns:
    snr; is_star: 0 or 1; extendedness: nan if it could not be measured; concentration: magnitude of the PSF flux minus
    that of the model flux which the class rests on.
    """
    snr, fwhm = expected_snr(truth, exposure), fwhm_of(exposure)
    wanted = (snr > 20) & usable(truth.x, truth.y, exposure)
    wanted &= (np.abs(truth.x - (exposure.width - 1) / 2) < exposure.width / 2 - _EDGE_PX) & (
        np.abs(truth.y - (exposure.height - 1) / 2) < exposure.height / 2 - _EDGE_PX
    )
    wanted &= truth.isolated(fwhm, _COMPANION, wanted)
    chosen = np.flatnonzero(wanted)
    rows = np.flatnonzero(leaves(sources) & ~sources["base_PixelFlags_flag_saturated"])
    positions = np.stack([sources["slot_Centroid_x"][rows], sources["slot_Centroid_y"][rows]], axis=1)
    true_xy = np.stack([truth.x, truth.y], axis=1)[chosen]
    hit, nearest = match_within(true_xy, positions, 0.5 * fwhm)
    chosen, matched = chosen[hit], rows[nearest[hit]]
    with np.errstate(invalid="ignore", divide="ignore"):
        concentration = 2.5 * np.log10(column(sources, "slot_ModelFlux_flux") / column(sources, "slot_PsfFlux_flux"))
    return {
        "snr": snr[chosen],
        "is_star": truth.is_star[chosen].astype(np.float64),
        "extendedness": column(sources, "base_ClassificationExtendedness_value")[matched],
        "concentration": concentration[matched],
    }


def class_numbers(table: Table) -> dict[str, Measured]:
    """Return completeness and purity of both classes at S/N above 50; a source without a class is missed by its own."""
    bright = table["snr"] > _LEAST_SNR
    star, value = table["is_star"][bright] == 1, table["extendedness"][bright]
    if not np.isfinite(value).any():
        star, value = star[:0], value[:0]
    called_star, called_galaxy = value == 0, value == 1
    return {
        "stars_called_stars": fraction(called_star[star]),
        "galaxies_called_galaxies": fraction(called_galaxy[~star]),
        "star_purity": fraction(star[called_star]),
        "galaxy_purity": fraction(~star[called_galaxy]),
    }
