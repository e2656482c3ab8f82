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
    Limit("psf_zero_point_error", "zero point error", "mmag", 10.0, 3.0),
    Limit("psf_scatter", "PSF flux scatter", "mmag", 8.0, 3.5),
    Limit("aperture_scatter", "12-pixel aperture scatter", "mmag", None, 9.0),
    Limit("psf_size_median", "PSF size residual, median", "%", 1.0, 0.1),
    Limit("psf_size_rms", "PSF size residual, rms", "%", None, 0.2),
    Limit("psf_e1_rms", "PSF e1 residual, rms", "", None, 0.003),
    Limit("psf_e2_rms", "PSF e2 residual, rms", "", None, 0.003),
    Limit("completeness_sn20", "completeness at S/N 20", "", 0.98, 0.99, "least"),
    Limit("purity_sn7", "purity at S/N 7", "", None, 0.99, "least"),
    Limit("variance_pull", "variance pull in blank sky", "", 0.03, 0.01, "one"),
    Limit("sky_error", "flattened sky error", "%", 0.5, 0.5),
    Limit("saturation_recall", "saturated pixel recall", "", 0.98, 0.98, "least"),
    Limit("cosmic_ray_recall", "cosmic-ray pixel recall", "", 0.80, 0.95, "least"),
    Limit("cosmic_ray_precision", "cosmic-ray pixel precision", "", None, 0.95, "least"),
)
