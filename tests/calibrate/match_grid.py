"""Fields of positions with a known answer, for the tests of the matcher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hscbox.calibrate.matcher import MatchOptimisticBConfig, find_pattern, match_under
from hscbox.camera.distortion import PIXEL_SCALE

WIDTH, HEIGHT, MARGIN = 2048, 4176, 300
_AREA = (WIDTH + 2 * MARGIN) * (HEIGHT + 2 * MARGIN) / (WIDTH * HEIGHT)
RADIUS = 2.0 / PIXEL_SCALE


@dataclass(frozen=True)
class Case:
    """One field: the starting WCS is off by `offset` (arcsec) and `rotation` (degree)."""

    offset: float
    rotation: float
    completeness: float
    contamination: float
    density: int
    """Real objects on the CCD above the cut of the sources."""
    depth: float = 1.2
    """Magnitudes by which the references go deeper than the sources."""
    clustered: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Field:
    """Positions (n, 2) and fluxes; `partner` is the reference of each source, -1 for contaminants and unlisted."""

    source: np.ndarray
    source_flux: np.ndarray
    reference: np.ndarray
    reference_flux: np.ndarray
    partner: np.ndarray

    @property
    def true_pairs(self) -> int:
        """Number of true pairs among the 150 brightest of both."""
        bright = np.argsort(-self.source_flux, kind="stable")[:150]
        listed = np.argsort(-self.reference_flux, kind="stable")[:150]
        return int(np.isin(self.partner[bright], listed).sum())


def _place(rng: np.random.Generator, n: int, clustered: bool) -> np.ndarray:
    low, high = np.array([-MARGIN, -MARGIN]), np.array([WIDTH + MARGIN, HEIGHT + MARGIN])
    if not clustered:
        return rng.uniform(low, high, (n, 2))
    centres = rng.uniform(low, high, (6, 2))
    near = centres[rng.integers(0, 6, n)] + rng.normal(0, 150, (n, 2))
    return np.where(rng.random(n)[:, None] < 0.5, near, rng.uniform(low, high, (n, 2)))


def make_field(case: Case) -> Field:
    """Draw sources on the CCD and references around it; counts rise by 10^0.3 per magnitude."""
    rng = np.random.Generator(
        np.random.PCG64([case.seed, case.density, round(case.offset), round(10 * case.rotation + 100)])
    )
    n = int(case.density * _AREA * 10 ** (0.3 * case.depth))
    xy = _place(rng, n, case.clustered)
    magnitude = np.log10(rng.uniform(0, 1, n)) / 0.3
    bright = magnitude < -case.depth
    # Positions of the starting WCS: turned about the middle of the CCD, shifted, a little distorted, with noise.
    middle = np.array([WIDTH, HEIGHT]) / 2
    theta, towards = np.deg2rad(case.rotation), rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    shift = case.offset / PIXEL_SCALE * np.array([np.cos(towards), np.sin(towards)])
    u = (xy - middle) / middle
    warp = 0.5 * np.stack([u[:, 0] * u[:, 1] ** 2, u[:, 1] ** 3], axis=1)
    seen = ((xy - middle) * 1.0003 + warp) @ turn.T + middle + shift + rng.normal(0, 0.1, (n, 2))
    on_ccd = bright & np.all((xy >= 0) & (xy < [WIDTH, HEIGHT]), axis=1)
    # Half contaminants: as many of them as of true ones, in both lists.
    extra = case.contamination / (1 - case.contamination)
    false_sources = rng.uniform([0, 0], [WIDTH, HEIGHT], (int(extra * on_ccd.sum()), 2)) + shift
    listed = np.flatnonzero(rng.random(n) < case.completeness)
    false_references = _place(rng, int(extra * len(listed)), case.clustered)
    row = np.full(n, -1)
    row[listed] = np.arange(len(listed))
    brightness = -magnitude
    return Field(
        np.concatenate([seen[on_ccd], false_sources]),
        10 ** (0.4 * np.concatenate([brightness[on_ccd], rng.choice(brightness[bright], len(false_sources))])),
        np.concatenate([xy[listed], false_references]),
        10
        ** (
            0.4
            * np.concatenate(
                [
                    brightness[listed] + rng.normal(0, 0.2, len(listed)),
                    rng.choice(brightness, len(false_references)),
                ]
            )
        ),
        np.concatenate([row[on_ccd], np.full(len(false_sources), -1)]),
    )


@dataclass(frozen=True)
class Outcome:
    """What the matcher made of a field."""

    accepted: bool
    right: int
    wrong: int

    @property
    def is_wrong(self) -> bool:
        """Whether a solution was accepted that is not the true one."""
        return self.accepted and self.right < 4 * self.wrong


def solve(field: Field, config: MatchOptimisticBConfig | None = None) -> Outcome:
    """Match a field and count pairs of true partners and others."""
    pattern = find_pattern(
        field.source,
        field.source_flux,
        field.reference,
        field.reference_flux,
        radius=RADIUS,
        config=config or MatchOptimisticBConfig(),
    )
    if not pattern.accepted:
        return Outcome(False, 0, 0)
    match = match_under(pattern.transform, field.source, field.reference, radius=RADIUS)
    right = int(np.count_nonzero(field.partner[match.source] == match.reference))
    return Outcome(True, right, len(match) - right)
