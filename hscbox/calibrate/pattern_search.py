"""Search for a small shift and rotation between two lists of positions.

All pairs of a source and a reference vote for their difference, after a rotation by each of a ladder of angles;
the peaks of the votes are refined by least squares with ever smaller radii. Chance pairs follow a Poisson law of the
mean that the number of votes gives, whatever the densities of the lists. A pattern is accepted if, over all places
that were looked at, chance would make as many pairs once in 10^6 searches, and if no other place comes near it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree
from scipy.special import gammainc

from ..numerics.arrays import FloatArray, IntArray

__all__ = ["Pattern", "SearchLimits", "apply_map", "fit_affine", "one_to_one", "search"]


_CHANCE = 1e-6
# Peaks of the votes that are refined, of each angle and in all.
_PEAKS_PER_ANGLE = 4
_PEAKS = 24
# Steps from the first radius to the last; a pattern of true pairs is much tighter than the first.
_SHRINK = (1.0, 0.5, 0.25)
# Pairs that the free parameters of an affine map bring together by themselves.
_ABSORBED = 3
_ENOUGH_FOR_AFFINE = 10
# A rival is a map under which the sources lie elsewhere by this many radii; it must have at most this share of the
# pairs of the best.
_ELSEWHERE = 2.0
_RIVAL = 0.75


@dataclass(frozen=True)
class SearchLimits:
    """Where to search (pixel, radian) and which maps to believe."""

    offset: float
    rotation: float
    radius: float
    determinant: float
    nonperpendicularity: float
    fewest: int


@dataclass(frozen=True)
class Pattern:
    """The best map (2, 3) from sources to references and what speaks for it.

    Attributes
    ----------
    transform
        The map; what it gives is a reference position.
    pairs
        Pairs of the two lists under the map.
    expected
        Pairs that chance makes in one place.
    chance
        Expected number of places with that many pairs by chance, in the whole search.
    rival
        Pairs under the best map elsewhere.
    accepted
        Whether it is safe to use.
    """

    transform: FloatArray
    pairs: int
    expected: float
    chance: float
    rival: int = 0
    accepted: bool = False


def search(source: FloatArray, reference: FloatArray, limits: SearchLimits) -> Pattern:
    """Return the best map from `source` (n, 2) to `reference` (m, 2) within the limits."""
    nothing = Pattern(np.eye(2, 3), 0, 0.0, np.inf)
    if min(len(source), len(reference)) < limits.fewest:
        return nothing
    centre = source.mean(axis=0)
    extent = float(np.hypot(*(source - centre).T).max())
    # A turn by one step moves the outermost source by one radius.
    n_steps = int(np.ceil(limits.rotation * extent / limits.radius))
    angles = np.linspace(-limits.rotation, limits.rotation, 2 * n_steps + 1)
    places: list[tuple[int, FloatArray]] = []
    votes = 0
    for angle in angles:
        rotation = _rotation(angle)
        turned = (source - centre) @ rotation.T + centre
        count, peaks = _vote(turned, reference, limits)
        votes = max(votes, count)
        for height, shift in peaks:
            places.append((height, np.column_stack([rotation, centre - rotation @ centre + shift])))
    order = sorted(range(len(places)), key=lambda k: -places[k][0])[:_PEAKS]
    tree = cKDTree(reference)
    # The mean number of votes in a circle of one pixel, from the circle of all shifts.
    density = votes / max(limits.offset + limits.radius, 1.0) ** 2
    tried = [_refine(places[k][1], source, reference, tree, density, limits, len(angles)) for k in order]
    found = [trial for trial in tried if trial is not None]
    if not found:
        return nothing
    best = min(found, key=lambda trial: (trial.chance, -trial.pairs))
    rival = max((t.pairs for t in found if _apart(t.transform, best.transform, source, limits)), default=0)
    accepted = best.pairs >= limits.fewest and best.chance < _CHANCE and rival <= _RIVAL * best.pairs
    return replace(best, rival=rival, accepted=accepted)


def _vote(turned: FloatArray, reference: FloatArray, limits: SearchLimits) -> tuple[int, list[tuple[int, FloatArray]]]:
    """Return how many pairs lie within the largest shift, and the highest peaks of their shifts."""
    reach = limits.offset + limits.radius
    cell = limits.radius / 2
    step = (reference[None, :, :] - turned[:, None, :]).reshape(-1, 2)
    step = step[np.einsum("ij,ij->i", step, step) <= reach**2]
    n_cells = 2 * int(np.ceil(reach / cell)) + 1
    index = np.floor(step / cell + n_cells / 2).astype(np.int64)
    grid = np.bincount(index[:, 1] * n_cells + index[:, 0], minlength=n_cells**2).reshape(n_cells, n_cells)
    # A peak may fall on a corner of four cells.
    sums = np.round(uniform_filter(grid.astype(np.float64), 3, mode="constant") * 9).astype(np.int64)
    peaks: list[tuple[int, FloatArray]] = []
    for _ in range(_PEAKS_PER_ANGLE):
        row, column = divmod(int(np.argmax(sums)), n_cells)
        height = int(sums[row, column])
        near = np.all(np.abs(index - [column, row]) <= 1, axis=1)
        if height < 2:
            break
        peaks.append((height, step[near].mean(axis=0)))
        sums[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = 0
    return len(step), peaks


def _refine(
    transform: FloatArray,
    source: FloatArray,
    reference: FloatArray,
    tree: cKDTree,
    density: float,
    limits: SearchLimits,
    n_angles: int,
) -> Pattern | None:
    """Fit with smaller and smaller radii; return the stage that chance explains least, None if no stage is allowed."""
    best: Pattern | None = None
    for factor in _SHRINK:
        radius = factor * limits.radius
        # Twice: the second time with the pairs of the fitted map.
        for _ in range(2):
            i, j = one_to_one(apply_map(transform, source), tree, radius)
            if len(i) < 3:
                return best
            fit = fit_affine if len(i) >= _ENOUGH_FOR_AFFINE else _fit_rigid
            transform = fit(source[i], reference[j])
        if not _allowed(transform, source, limits):
            return best
        pairs = len(one_to_one(apply_map(transform, source), tree, radius)[0])
        expected = density * radius**2
        n_places = (limits.offset / radius + 1) ** 2 * n_angles / factor
        # Probability of at least this many, by the incomplete gamma function.
        chance = n_places * float(gammainc(max(pairs - _ABSORBED, 1), expected))
        if best is None or chance < best.chance:
            best = Pattern(transform, pairs, expected, chance)
    return best


def _allowed(transform: FloatArray, source: FloatArray, limits: SearchLimits) -> bool:
    linear = transform[:, :2]
    centre = source.mean(axis=0, keepdims=True)
    shift = float(np.hypot(*(apply_map(transform, centre) - centre)[0]))
    turn = float(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    cosine = float(linear[:, 0] @ linear[:, 1] / np.linalg.norm(linear[:, 0]) / np.linalg.norm(linear[:, 1]))
    return (
        shift <= limits.offset
        # The last step of the ladder may lie half a step inside of the true angle.
        and abs(turn) <= 1.1 * limits.rotation
        and abs(float(np.linalg.det(linear)) - 1) <= limits.determinant
        and abs(np.arcsin(np.clip(cosine, -1, 1))) <= limits.nonperpendicularity
    )


def _apart(first: FloatArray, second: FloatArray, source: FloatArray, limits: SearchLimits) -> bool:
    step = apply_map(first, source) - apply_map(second, source)
    return float(np.median(np.hypot(step[:, 0], step[:, 1]))) > _ELSEWHERE * limits.radius


def one_to_one(positions: FloatArray, tree: cKDTree, radius: float) -> tuple[IntArray, IntArray]:
    """Pair each position with its nearest tree member within `radius`; of rivals the closest pair stays."""
    distance, nearest = tree.query(positions, distance_upper_bound=radius)
    candidates = np.flatnonzero(np.isfinite(distance))
    by_distance = candidates[np.argsort(distance[candidates], kind="stable")]
    _, keep = np.unique(nearest[by_distance], return_index=True)
    source = np.sort(by_distance[keep])
    return source.astype(np.int64), nearest[source].astype(np.int64)


def apply_map(transform: FloatArray, xy: FloatArray) -> FloatArray:
    """Apply a map (2, 3) to positions (n, 2)."""
    moved: FloatArray = xy @ transform[:, :2].T + transform[:, 2]
    return moved


def fit_affine(source: FloatArray, reference: FloatArray) -> FloatArray:
    """Return the affine map (2, 3) that brings `source` (n, 2) closest to `reference`."""
    centre = source.mean(axis=0)
    design = np.column_stack([source - centre, np.ones(len(source))])
    solution = np.linalg.lstsq(design, reference, rcond=None)[0].T
    return np.column_stack([solution[:, :2], solution[:, 2] - solution[:, :2] @ centre])


def _fit_rigid(source: FloatArray, reference: FloatArray) -> FloatArray:
    """Return the rotation and shift (2, 3) that bring `source` (n, 2) closest to `reference`."""
    a, b = source - source.mean(axis=0), reference - reference.mean(axis=0)
    rotation = _rotation(float(np.arctan2(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]), np.sum(a * b))))
    return np.column_stack([rotation, reference.mean(axis=0) - rotation @ source.mean(axis=0)])


def _rotation(angle: float) -> FloatArray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])
