"""From products and truth to residuals, and from residuals to the numbers that are held against the bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..numerics.arrays import FloatArray
from .measures import Measured, clipped_spread, fraction, mean_of, median_of, rms_of, robust_scatter
from .quality_classes import class_numbers, class_residuals
from .quality_fluxes import flux_residuals, trend_numbers
from .quality_galaxies import galaxy_residuals, shape_numbers
from .quality_positions import corner_numbers, corner_residuals, position_residuals, reference_residuals
from .quality_psf import psf_residuals
from .quality_pulls import pull_residuals
from .quality_sources import detection_residuals
from .residuals import Residuals, Table
from .selection import bright_stars, isolated_galaxies, isolated_stars, trend_stars
from .true_frame import Truth

__all__ = ["Products", "numbers_of", "residuals_of", "table_numbers"]

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


def _share(values: FloatArray) -> Measured:
    return fraction(values == 1)


# Numbers that are one statistic of one column, by the table of residuals.
_OF_ONE_COLUMN: dict[str, dict[str, tuple[Callable[[FloatArray], Measured], str]]] = {
    "positions": {"astrometry_rms_ra": (rms_of, "ra"), "astrometry_rms_dec": (rms_of, "dec")},
    # The bias beyond that of the references.
    "references": {"astrometry_bias_ra": (mean_of, "ra"), "astrometry_bias_dec": (mean_of, "dec")},
    "bright_stars": {
        "psf_zero_point_error": (median_of, "psf"),
        "psf_scatter": (robust_scatter, "psf_about_median"),
        "aperture_zero_point_error": (median_of, "aperture"),
        "aperture_scatter": (robust_scatter, "aperture_about_median"),
        "aperture_against_sep": (median_of, "aperture_against_sep"),
        "aperture_against_sep_scatter": (robust_scatter, "aperture_against_sep"),
    },
    "psf": {
        "psf_size_median": (median_of, "size"),
        "psf_size_rms": (rms_of, "size"),
        "psf_e1_median": (median_of, "e1"),
        "psf_e2_median": (median_of, "e2"),
        "psf_e1_rms": (rms_of, "e1"),
        "psf_e2_rms": (rms_of, "e2"),
    },
    "galaxies": {
        "kron_bias": (median_of, "kron"),
        "kron_scatter": (robust_scatter, "kron"),
        "moments_size_bias": (median_of, "size"),
        "moments_size_scatter": (robust_scatter, "size"),
        "moments_e1_bias": (median_of, "e1"),
        "moments_e2_bias": (median_of, "e2"),
        "regauss_e1_bias": (median_of, "regauss_e1"),
        "regauss_e2_bias": (median_of, "regauss_e2"),
    },
    # 1 for honest errors, and 1 for centroids as good as can be.
    "pulls": {
        "psf_pull": (clipped_spread, "psf"),
        "kron_pull": (clipped_spread, "kron"),
        "centroid_pull_x": (clipped_spread, "x"),
        "centroid_pull_y": (clipped_spread, "y"),
        "centroid_bound_x": (clipped_spread, "x_bound"),
        "centroid_bound_y": (clipped_spread, "y_bound"),
    },
    "found": {"completeness_sn20": (_share, "found")},
    "pure": {"purity_sn7": (_share, "pure")},
}
_OF_SEVERAL_COLUMNS: dict[str, Callable[[Table], dict[str, Measured]]] = {
    "corners": corner_numbers,
    "stars": trend_numbers,
    "galaxies": shape_numbers,
    "classes": class_numbers,
}


def table_numbers(name: str, table: Table) -> dict[str, Measured]:
    """Return the numbers that rest on one table of the residuals."""
    single = {number: statistic(table[key]) for number, (statistic, key) in _OF_ONE_COLUMN.get(name, {}).items()}
    return single | (_OF_SEVERAL_COLUMNS[name](table) if name in _OF_SEVERAL_COLUMNS else {})


def numbers_of(residuals: Residuals) -> dict[str, Measured]:
    """Return the numbers by the names of `levels.LIMITS`; the residuals may be those of several frames."""
    return {number: value for name, table in residuals.items() for number, value in table_numbers(name, table).items()}
