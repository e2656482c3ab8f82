"""Match detected sources to reference stars by their positions alone.

Method: every pair of a bright source and a bright reference votes for the shift between them, once for each of a
ladder of small rotations (cross-correlation of the two lists). The strongest peaks are refined, and the best counts
only if chance could not make it: `pattern_search` has the arithmetic. Under the map that it gives all sources are
matched to all references.

Brightness plays no role but for the choice of the two lists, so that it does not matter how complete or how deep
the references are. If the brightest have no pattern in common, longer lists are tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np
from scipy.spatial import cKDTree

from ..numerics.arrays import FloatArray, IntArray
from ..numerics.constants import SIGMA_PER_IQR
from .pattern_search import Pattern, SearchLimits, apply_map, fit_affine, one_to_one, search

__all__ = ["Match", "MatchOptimisticBConfig", "find_pattern", "match_under", "start_map"]


_EXTRA_BRIGHT_REFERENCES = 25
# Lists this many times longer than the bright ones are the second and last try: most stars of a frame, for a
# catalogue that lists few of them.
_LONGER = 6
_MAX_REFITS = 100
# Of normally distributed distances one in a thousand is beyond 3.7 sigma per axis.
_REACH_SIGMA = 5.0
_LEAST_REACH_PIX = 2.0
_FEWEST_FOR_AFFINE = 6


class MatchOptimisticBConfig(pex_config.Config):
    """Tolerances of the pattern matcher."""

    sourceFluxType = pex_config.Field(
        "Flux used for the signal-to-noise cut and the brightness order.", str, default="Psf"
    )
    minSnr = pex_config.Field("Fainter sources are not used; larger is stricter.", float, default=40.0)
    numBrightStars = pex_config.RangeField(
        "Number of brightest sources in which the pattern is sought first.", int, default=150, min=6
    )
    numPointsForShape = pex_config.RangeField("Fewest sources that make a pattern.", int, default=6, min=4)
    minMatchedPairs = pex_config.RangeField("Fewest pairs of a good match.", int, default=30, min=2)
    minFracMatchedPairs = pex_config.RangeField(
        "Fewest pairs of a good match as a fraction of the shorter list.", float, default=0.3, min=0, max=1
    )
    maxOffsetPix = pex_config.RangeField(
        "Largest shift between predicted and measured positions (pixel).", float, default=400.0, min=0
    )
    maxRotationDeg = pex_config.RangeField(
        "Largest rotation between predicted and measured positions (degree).", float, default=1.145916, min=0, max=6
    )
    maxMatchDistArcSec = pex_config.RangeField(
        "Largest distance of a matched pair (arcsec).", float, default=2.0, min=0
    )
    maxDeterminant = pex_config.RangeField(
        "Largest deviation of the transformation's determinant from one.", float, default=0.02, min=0
    )
    allowedNonperpDeg = pex_config.RangeField(
        "Largest deviation of the transformed axes' angle from 90 degrees (degree).", float, default=0.2, min=0, max=45
    )


@dataclass(frozen=True)
class Match:
    """Indices of matched pairs.

    Attributes
    ----------
    source, reference
        Indices into the two lists, equally long, ordered by source.
    """

    source: IntArray
    reference: IntArray

    def __len__(self) -> int:
        return len(self.source)


def start_map() -> FloatArray:
    """Return the map (2, 3) that moves nothing, for positions that are aligned already."""
    return np.eye(2, 3)


def find_pattern(
    source_xy: FloatArray,
    source_flux: FloatArray,
    reference_xy: FloatArray,
    reference_flux: FloatArray,
    *,
    radius: float,
    config: MatchOptimisticBConfig,
) -> Pattern:
    """Find the map from sources to references that chance does not explain.

    Parameters
    ----------
    source_xy, reference_xy
        Positions (n, 2) on one tangent plane (pixel).
    source_flux, reference_flux
        Fluxes that order the lists by brightness (any unit).
    radius
        Largest distance of a matched pair (pixel).
    config
        Tolerances.

    Returns
    -------
    Pattern
        The best map found; `Pattern.accepted` says whether it may be trusted.
    """
    limits = SearchLimits(
        offset=config.maxOffsetPix,
        rotation=float(np.deg2rad(config.maxRotationDeg)),
        radius=radius,
        determinant=config.maxDeterminant,
        nonperpendicularity=float(np.deg2rad(config.allowedNonperpDeg)),
        fewest=config.numPointsForShape,
    )
    count = config.numBrightStars
    best: Pattern | None = None
    for n_source, n_reference in (
        (count, count + _EXTRA_BRIGHT_REFERENCES),
        (_LONGER * count, _LONGER * (count + _EXTRA_BRIGHT_REFERENCES)),
    ):
        found = search(
            source_xy[_brightest(source_flux, n_source)], reference_xy[_brightest(reference_flux, n_reference)], limits
        )
        if best is None or found.chance < best.chance:
            best = found
        if found.accepted or (n_source >= len(source_xy) and n_reference >= len(reference_xy)):
            break
    assert best is not None
    return best


def match_under(transform: FloatArray, source_xy: FloatArray, reference_xy: FloatArray, *, radius: float) -> Match:
    """Match all sources to all references under a map, which is refitted until the pairs stay the same.

    The reach shrinks from `radius` (pixel) with the scatter of the pairs, so that in a dense catalogue few pairs are
    made by chance.
    """
    tree = cKDTree(reference_xy)
    reach = radius
    match = Match(*one_to_one(apply_map(transform, source_xy), tree, reach))
    for _ in range(_MAX_REFITS):
        if len(match) < _FEWEST_FOR_AFFINE:
            return match
        source, reference = source_xy[match.source], reference_xy[match.reference]
        transform = fit_affine(source, reference)
        reach = min(reach, max(_LEAST_REACH_PIX, _REACH_SIGMA * _scatter(apply_map(transform, source) - reference)))
        refined = Match(*one_to_one(apply_map(transform, source_xy), tree, reach))
        if np.array_equal(refined.source, match.source) and np.array_equal(refined.reference, match.reference):
            break
        match = refined
    return match


def _scatter(step: FloatArray) -> float:
    """Return the larger sigma of the two axes of (n, 2) residuals, by quartiles."""
    lower, upper = np.quantile(step, [0.25, 0.75], axis=0)
    return float(SIGMA_PER_IQR * (upper - lower).max())


def _brightest(flux: FloatArray, count: int) -> IntArray:
    return np.argsort(-flux, kind="stable")[:count]
