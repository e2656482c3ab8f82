from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from match_grid import RADIUS, Case, Field, make_field, solve

from hscbox.calibrate.matcher import MatchOptimisticBConfig, find_pattern, match_under, start_map

# A pattern must be found where this many true pairs are among the 150 brightest of both.
_ENOUGH = 12

GRID = [
    Case(*values)
    for values in itertools.product(
        (0.0, 30.0, 60.0), (0.0, 0.5, -1.0), (0.05, 0.2, 1.0), (0.0, 0.25, 0.5), (25, 100, 400)
    )
]
# One of each offset, completeness and contamination.
SMALL_GRID = [case for k, case in enumerate(GRID) if k % 11 == 5]


def _check(cases):
    needed = 0
    for case in cases:
        field = make_field(case)
        outcome = solve(field)
        assert not outcome.is_wrong, (case, outcome)
        if field.true_pairs >= _ENOUGH:
            needed += 1
            assert outcome.accepted, (case, field.true_pairs)
            listed = np.count_nonzero(field.partner >= 0)
            assert outcome.right >= 0.95 * listed, (case, outcome, listed)
    return needed


def test_patterns_of_a_few_fields():
    assert len(SMALL_GRID) >= 20
    assert _check(SMALL_GRID) >= 10


@pytest.mark.slow
def test_patterns_over_the_whole_grid():
    """Offsets to 60", turns to 1 degree, 5 to 100 % complete references, to 50 % contaminants, three densities."""
    assert len(GRID) >= 200
    assert _check(GRID) >= 120


@pytest.mark.slow
def test_chance_and_clusters_are_never_accepted():
    """Fields that have nothing in common, with sources and references that cluster at other places."""
    for density, clustered, seed in itertools.product((30, 150, 600), (False, True), range(1, 6)):
        case = Case(30.0, 0.5, 0.4, 0.5, density, clustered=clustered, seed=seed)
        _assert_unrelated(case)
        assert not solve(make_field(case)).is_wrong


def _assert_unrelated(case):
    field, other = make_field(case), make_field(replace(case, seed=case.seed + 100))
    nothing = np.full(len(field.source), -1)
    outcome = solve(Field(field.source, field.source_flux, other.reference, other.reference_flux, nothing))
    assert not outcome.accepted, (case, outcome)


def test_an_unrelated_catalogue_is_refused():
    _assert_unrelated(Case(0.0, 0.0, 1.0, 0.0, 150))


def test_deep_references_do_not_hide_the_pattern():
    # Three magnitudes deeper than the sources: eight references for each of them.
    field = make_field(Case(45.0, -0.7, 1.0, 0.25, 150, depth=3.0))
    assert len(field.reference) > 8 * len(field.source)
    outcome = solve(field)
    assert outcome.right >= 0.95 * np.count_nonzero(field.partner >= 0)
    # Chance pairs: contaminants (a quarter of the sources) with a reference within the reach of 2 pixels.
    density = len(field.reference) / np.prod(np.ptp(field.reference, axis=0))
    assert outcome.wrong <= 3 + 5 * 0.25 * len(field.source) * density * np.pi * 2.0**2


def test_a_shift_beyond_the_limit_is_refused():
    field = make_field(Case(60.0, 0.0, 1.0, 0.0, 100))
    config = MatchOptimisticBConfig()
    config.maxOffsetPix = 250.0
    assert solve(field).accepted
    assert not solve(field, config).accepted


def test_few_positions_make_no_pattern():
    xy = np.random.default_rng(1).uniform(0, 2000, (5, 2))
    pattern = find_pattern(xy, np.ones(5), xy, np.ones(5), radius=RADIUS, config=MatchOptimisticBConfig())
    assert not pattern.accepted and pattern.pairs == 0


def test_two_equal_patterns_are_refused():
    # Every reference twice, 100 pixels apart: both shifts explain all sources.
    rng = np.random.default_rng(3)
    source = rng.uniform([0, 0], [2000, 4000], (60, 2))
    reference = np.concatenate([source - np.array([50, 0]), source + np.array([50, 0])])
    config = MatchOptimisticBConfig()
    pattern = find_pattern(source, np.ones(60), reference, np.ones(120), radius=RADIUS, config=config)
    assert pattern.chance < 1e-20 and pattern.rival >= 55
    assert not pattern.accepted


def test_each_reference_is_used_once():
    rng = np.random.default_rng(8)
    reference = rng.uniform([-300, -300], [2348, 4476], (1200, 2))
    source = np.concatenate([reference[:600], reference[:600] + rng.normal(0, 3, (600, 2))])
    match = match_under(start_map(), source, reference, radius=12.0)
    assert len(np.unique(match.reference)) == len(match)
    assert len(np.unique(match.source)) == len(match)
    # Of the rivals the one on the spot wins.
    exact = match.source < 600
    assert exact.sum() == 600 and np.array_equal(match.source[exact], match.reference[exact])
