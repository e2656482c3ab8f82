"""The numbers to hold, at two levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .measures import Measured

__all__ = ["LIMITS", "Level", "Limit"]

Level = Literal["floor", "target"]


@dataclass(frozen=True)
class Limit:
    """One number with what it must satisfy.

    Attributes
    ----------
    name, title, unit
        Key in the JSON form, words for the table, unit.
    floor, target
        Bounds at the two levels; None where a level sets none.
    kind
        ``most``: the absolute value is at most the bound; ``least``: at least the bound; ``one``: within the bound
        of 1.
    """

    name: str
    title: str
    unit: str
    floor: float | None
    target: float | None
    kind: Literal["most", "least", "one"] = "most"

    def bound(self, level: Level) -> float | None:
        """Return the bound at a level."""
        return self.floor if level == "floor" else self.target

    def holds(self, measured: Measured, level: Level) -> bool:
        """Return whether the number satisfies the bound of the level; an unknown number never does."""
        bound = self.bound(level)
        if bound is None:
            return True
        return not math.isnan(measured.value) and self.distance(measured, level) >= 0

    def distance(self, measured: Measured, level: Level) -> float:
        """Return how far inside (positive) or outside (negative) of the bound the number is, in its unit."""
        bound = self.bound(level)
        if bound is None:
            return math.inf
        if self.kind == "least":
            return measured.value - bound
        return bound - abs(measured.value - 1 if self.kind == "one" else measured.value)


LIMITS = (
    Limit("astrometry_rms_ra", "astrometric rms, RA", "mas", 20.0, 5.0),
    Limit("astrometry_rms_dec", "astrometric rms, Dec", "mas", 20.0, 5.0),
    Limit("astrometry_bias_ra", "astrometric bias, RA", "mas", None, 1.0),
    Limit("astrometry_bias_dec", "astrometric bias, Dec", "mas", None, 1.0),
    Limit("astrometry_worst_corner", "astrometry, worst corner", "mas", None, 15.0),
    Limit("psf_zero_point_error", "zero point error", "mmag", 10.0, 3.0),
    Limit("aperture_zero_point_error", "zero point error, aperture", "mmag", None, 3.0),
    Limit("psf_scatter", "PSF flux scatter", "mmag", 8.0, 3.5),
    Limit("aperture_scatter", "12-pixel aperture scatter", "mmag", None, 9.0),
    # Two programs on the same pixels: 0.3 mmag at most in the golden scenes, a third of what a zero point may be off.
    Limit("aperture_against_sep", "aperture against sep", "mmag", 1.0, 1.0),
    Limit("aperture_against_sep_scatter", "aperture against sep, scatter", "mmag", None, 1.0),
    Limit("psf_magnitude_slope", "PSF flux, slope with magnitude", "mmag/mag", None, 0.5),
    Limit("psf_gradient_x", "PSF flux, gradient over x", "mmag", None, 2.0),
    Limit("psf_gradient_y", "PSF flux, gradient over y", "mmag", None, 2.0),
    Limit("psf_size_median", "PSF size residual, median", "%", 1.0, 0.1),
    Limit("psf_size_rms", "PSF size residual, rms", "%", None, 0.2),
    Limit("psf_e1_median", "PSF e1 residual, median", "", None, 0.001),
    Limit("psf_e2_median", "PSF e2 residual, median", "", None, 0.001),
    Limit("psf_e1_rms", "PSF e1 residual, rms", "", None, 0.003),
    Limit("psf_e2_rms", "PSF e2 residual, rms", "", None, 0.003),
    Limit("kron_bias", "galaxies, Kron flux, median", "mmag", None, None),
    Limit("kron_scatter", "galaxies, Kron flux, scatter", "mmag", None, None),
    Limit("moments_size_bias", "galaxies, HSM size, median", "%", None, None),
    Limit("moments_size_scatter", "galaxies, HSM size, scatter", "%", None, None),
    Limit("moments_e1_bias", "galaxies, HSM e1, median", "", None, None),
    Limit("moments_e2_bias", "galaxies, HSM e2, median", "", None, None),
    Limit("moments_e_scatter", "galaxies, HSM e, scatter", "", None, None),
    Limit("regauss_e1_bias", "galaxies, REGAUSS e1, median", "", None, None),
    Limit("regauss_e2_bias", "galaxies, REGAUSS e2, median", "", None, None),
    Limit("regauss_response", "galaxies, REGAUSS slope - 1", "", None, None),
    Limit("regauss_e_scatter", "galaxies, REGAUSS e, scatter", "", None, None),
    Limit("stars_called_stars", "S/N > 50, stars called stars", "", None, 0.95, "least"),
    Limit("galaxies_called_galaxies", "S/N > 50, galaxies called galaxies", "", None, 0.98, "least"),
    Limit("star_purity", "S/N > 50, purity of stars", "", None, None, "least"),
    Limit("galaxy_purity", "S/N > 50, purity of galaxies", "", None, None, "least"),
    Limit("psf_pull", "pull of PSF flux", "", None, 0.05, "one"),
    Limit("kron_pull", "pull of Kron flux", "", None, 0.05, "one"),
    Limit("centroid_pull_x", "pull of centroid x", "", None, 0.05, "one"),
    Limit("centroid_pull_y", "pull of centroid y", "", None, 0.05, "one"),
    Limit("centroid_bound_x", "centroid x in Cramer-Rao bounds", "", None, 0.1, "one"),
    Limit("centroid_bound_y", "centroid y in Cramer-Rao bounds", "", None, 0.1, "one"),
    Limit("completeness_sn20", "completeness at S/N 20", "", 0.98, 0.99, "least"),
    Limit("purity_sn7", "purity at S/N 7", "", None, 0.99, "least"),
    Limit("variance_pull", "variance pull in blank sky", "", 0.03, 0.01, "one"),
    Limit("sky_error", "flattened sky error", "%", 0.5, 0.5),
    Limit("saturation_recall", "saturated pixel recall", "", 0.98, 0.98, "least"),
    Limit("cosmic_ray_recall", "cosmic-ray pixel recall", "", 0.80, 0.95, "least"),
    Limit("cosmic_ray_precision", "cosmic-ray pixel precision", "", None, 0.95, "least"),
)
