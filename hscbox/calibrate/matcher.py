"""Match detected sources to reference stars by the pattern of their pairs.

Method: "optimistic pattern matching B" of Tabur (2007, PASA 24, 189). Wide pairs of bright sources are compared
with pairs of bright references of the same separation and nearly the same direction. A pair of pairs fixes a
shift and a rotation; the one under which most bright sources find a reference is refined with all sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

__all__ = ["Match", "MatchOptimisticBConfig", "match_optimistic", "one_to_one", "pattern_transform"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_EXTRA_BRIGHT_REFERENCES = 25
_ENOUGH_CANDIDATES = 3
_MAX_REFITS = 100


class MatchOptimisticBConfig(pex_config.Config):  # type: ignore[misc]
    """Tolerances of the pattern matcher."""

    sourceFluxType = pex_config.Field(
        "Flux used for the signal-to-noise cut and the brightness order.", str, default="Psf"
    )
    minSnr = pex_config.Field("Fainter sources are not used; larger is stricter.", float, default=40.0)
    numBrightStars = pex_config.RangeField("Number of brightest sources that form pairs.", int, default=150, min=6)
    minMatchedPairs = pex_config.RangeField("Fewest pairs of a good match.", int, default=30, min=2)
    minFracMatchedPairs = pex_config.RangeField(
        "Fewest pairs of a good match as a fraction of the shorter list.", float, default=0.3, min=0, max=1
    )
    maxOffsetPix = pex_config.RangeField(
        "Largest shift between predicted and measured positions (pixel).", float, default=250.0, min=0
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


def match_optimistic(
    source_xy: FloatArray,
    source_flux: FloatArray,
    reference_xy: FloatArray,
    reference_flux: FloatArray,
    *,
    radius: float,
    config: MatchOptimisticBConfig,
) -> Match:
    """Match two lists of positions that differ by a small shift and rotation.

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
    Match
        One-to-one pairs; empty if no pattern is common to both lists.
    """
    transform = pattern_transform(source_xy, source_flux, reference_xy, reference_flux, radius=radius, config=config)
    if transform is None:
        return Match(np.zeros(0, np.int64), np.zeros(0, np.int64))
    tree = cKDTree(reference_xy)
    match = one_to_one(_apply(transform, source_xy), tree, radius)
    for _ in range(_MAX_REFITS):
        if len(match) < 6:
            return match
        transform = _fit_affine(source_xy[match.source], reference_xy[match.reference])
        refined = one_to_one(_apply(transform, source_xy), tree, radius)
        if np.array_equal(refined.source, match.source) and np.array_equal(refined.reference, match.reference):
            break
        match = refined
    return match


def pattern_transform(
    source_xy: FloatArray,
    source_flux: FloatArray,
    reference_xy: FloatArray,
    reference_flux: FloatArray,
    *,
    radius: float,
    config: MatchOptimisticBConfig,
) -> FloatArray | None:
    """Find the affine map (2, 3) from sources to references under which most bright sources match.

    Parameters as in `match_optimistic`. Returns None if fewer than six bright sources agree on any map.
    """
    bright_source = source_xy[_brightest(source_flux, config.numBrightStars)]
    bright_reference = reference_xy[_brightest(reference_flux, config.numBrightStars + _EXTRA_BRIGHT_REFERENCES)]
    if min(len(bright_source), len(bright_reference)) < 6:
        return None
    tree = cKDTree(bright_reference)
    wanted = max(6, min(config.minMatchedPairs, int(config.minFracMatchedPairs * len(bright_source))))
    first, second, length, angle = _pairs(bright_source)
    ref_first, ref_second, ref_length, ref_angle = _pairs(bright_reference)
    order = np.argsort(ref_length, kind="stable")
    ref_first, ref_second = ref_first[order], ref_second[order]
    ref_length, ref_angle = ref_length[order], ref_angle[order]
    best: tuple[int, FloatArray | None] = (5, None)
    candidates = 0
    for index in np.argsort(-length, kind="stable"):
        low, high = np.searchsorted(ref_length, [length[index] - radius, length[index] + radius])
        turn = ref_angle[low:high] - angle[index]
        # A pair has no direction: half a turn away is the same pair read backwards.
        half_turns = np.round(turn / np.pi)
        turn -= np.pi * half_turns
        fits = np.flatnonzero(np.abs(turn) < np.deg2rad(config.maxRotationDeg))
        for k in fits:
            ends = (ref_first[low + k], ref_second[low + k])
            start, end = ends if half_turns[k] % 2 == 0 else ends[::-1]
            transform = _rotation_and_shift(
                bright_source[[first[index], second[index]]], bright_reference[[start, end]], turn[k]
            )
            if _displacement(transform, bright_source) > config.maxOffsetPix:
                continue
            count, refined = _count_and_refine(transform, bright_source, bright_reference, tree, radius, config)
            if count > best[0]:
                best = (count, refined)
            candidates += count >= wanted
        if candidates >= _ENOUGH_CANDIDATES:
            break
    return best[1]


def one_to_one(positions: FloatArray, tree: cKDTree, radius: float) -> Match:
    """Pair each position with its nearest tree member within `radius`; of rivals the closest pair stays."""
    distance, nearest = tree.query(positions, distance_upper_bound=radius)
    candidates = np.flatnonzero(np.isfinite(distance))
    by_distance = candidates[np.argsort(distance[candidates], kind="stable")]
    _, keep = np.unique(nearest[by_distance], return_index=True)
    source = np.sort(by_distance[keep])
    return Match(source.astype(np.int64), nearest[source].astype(np.int64))


def _brightest(flux: FloatArray, count: int) -> IntArray:
    return np.argsort(-flux, kind="stable")[:count]


def _pairs(xy: FloatArray) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    first, second = np.triu_indices(len(xy), k=1)
    step = xy[second] - xy[first]
    return first, second, np.hypot(step[:, 0], step[:, 1]), np.arctan2(step[:, 1], step[:, 0])


def _rotation_and_shift(source: FloatArray, reference: FloatArray, turn: float) -> FloatArray:
    cosine, sine = np.cos(turn), np.sin(turn)
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    shift = reference.mean(axis=0) - rotation @ source.mean(axis=0)
    return np.column_stack([rotation, shift])


def _apply(transform: FloatArray, xy: FloatArray) -> FloatArray:
    moved: FloatArray = xy @ transform[:, :2].T + transform[:, 2]
    return moved


def _displacement(transform: FloatArray, xy: FloatArray) -> float:
    centre = xy.mean(axis=0, keepdims=True)
    return float(np.hypot(*(_apply(transform, centre) - centre)[0]))


def _fit_affine(source: FloatArray, reference: FloatArray) -> FloatArray:
    design = np.column_stack([source, np.ones(len(source))])
    solution = np.linalg.lstsq(design, reference, rcond=None)[0]
    return np.ascontiguousarray(solution.T, dtype=np.float64)


def _count_and_refine(
    transform: FloatArray,
    source: FloatArray,
    reference: FloatArray,
    tree: cKDTree,
    radius: float,
    config: MatchOptimisticBConfig,
) -> tuple[int, FloatArray]:
    """Count bright sources with a reference under the map; refit it once enough of them agree."""
    match = one_to_one(_apply(transform, source), tree, radius)
    if len(match) < 6:
        return len(match), transform
    refined = _fit_affine(source[match.source], reference[match.reference])
    if abs(np.linalg.det(refined[:, :2]) - 1) > config.maxDeterminant:
        return 0, transform
    return len(one_to_one(_apply(refined, source), tree, radius)), refined
