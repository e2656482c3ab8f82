"""From products and truth to residuals, and from residuals to the numbers that are held against the bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from .measures import Measured
from .quality_classes import class_numbers, class_residuals
from .quality_fluxes import flux_numbers, flux_residuals, trend_numbers
from .quality_galaxies import galaxy_numbers, galaxy_residuals
from .quality_positions import (
    bias_numbers,
    corner_numbers,
    corner_residuals,
    position_numbers,
    position_residuals,
    reference_residuals,
)
from .quality_psf import psf_numbers, psf_residuals
from .quality_pulls import pull_numbers, pull_residuals
from .quality_sources import detection_numbers, detection_residuals
from .residuals import Residuals
from .selection import bright_stars, isolated_galaxies, isolated_stars, trend_stars
from .true_frame import Truth

__all__ = ["Products", "numbers_of", "residuals_of"]

# Pulls are those of photons and sky: brighter stars' values scatter by the PSF model, fainter ones' by what is too
# faint to be seen beneath them.
_PULL_SNR = (20.0, 250.0)


@dataclass(frozen=True, eq=False)
class Products:
    """What process-ccd made of one CCD.

    Attributes
    ----------
    exposure, sources, ic_sources, matches
        The datasets calexp, src, icSrc and srcMatchFull.
    """

    exposure: Exposure
    sources: SourceCatalog
    ic_sources: SourceCatalog
    matches: SourceCatalog


def residuals_of(truth: Truth, products: Products) -> Residuals:
    """Compare catalogue, WCS and PSF with the truth, source by source; columns are those of the called functions."""
    exposure, sources, used = products.exposure, products.sources, products.ic_sources["calib_psfUsed"]
    bright = bright_stars(truth, sources, exposure)
    found, pure = detection_residuals(truth, sources, exposure)
    x, y = (products.ic_sources[f"slot_Centroid_{axis}"][used] for axis in "xy")
    return {
        "positions": position_residuals(truth, sources, exposure, bright),
        "references": reference_residuals(
            exposure,
            products.matches["src_slot_Centroid_x"],
            products.matches["src_slot_Centroid_y"],
            np.rad2deg(products.matches["ref_coord_ra"]),
            np.rad2deg(products.matches["ref_coord_dec"]),
        ),
        "corners": corner_residuals(truth, exposure),
        "bright_stars": flux_residuals(truth, sources, exposure, bright),
        "stars": flux_residuals(truth, sources, exposure, trend_stars(truth, sources, exposure)),
        "psf": psf_residuals(truth, exposure, np.stack([x, y], axis=1)),
        "galaxies": galaxy_residuals(truth, sources, exposure, isolated_galaxies(truth, sources, exposure)),
        "classes": class_residuals(truth, sources, exposure),
        "pulls": pull_residuals(truth, sources, exposure, isolated_stars(truth, sources, exposure, _PULL_SNR)),
        "found": found,
        "pure": pure,
    }


def numbers_of(residuals: Residuals) -> dict[str, Measured]:
    """Return the numbers by the names of `levels.LIMITS`; the residuals may be those of several frames."""
    return {
        **position_numbers(residuals["positions"]),
        **bias_numbers(residuals["references"]),
        **corner_numbers(residuals["corners"]),
        **flux_numbers(residuals["bright_stars"]),
        **trend_numbers(residuals["stars"]),
        **psf_numbers(residuals["psf"]),
        **galaxy_numbers(residuals["galaxies"]),
        **class_numbers(residuals["classes"]),
        **pull_numbers(residuals["pulls"]),
        **detection_numbers(residuals["found"], residuals["pure"]),
    }
