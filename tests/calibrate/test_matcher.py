from __future__ import annotations

import numpy as np
import pytest

from hscbox.calibrate.matcher import MatchOptimisticBConfig, match_optimistic


def _scene(rng, shift, rotation_deg, n_common=200, n_extra=400, noise=0.1):
    """References over a field; the first n_common also appear as shifted, rotated sources."""
    reference = rng.uniform([-300, -300], [2348, 4476], size=(n_common + n_extra, 2))
    flux = 10 ** rng.uniform(0, 3, n_common + n_extra)
    angle = np.deg2rad(rotation_deg)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = (reference[:n_common] - [1000, 2000]) @ rotation.T + [1000, 2000] + shift
    source += rng.normal(0, noise, source.shape)
    spurious = rng.uniform([0, 0], [2048, 4176], size=(60, 2))
    return (
        np.concatenate([source, spurious]),
        np.concatenate([flux[:n_common] * rng.normal(1, 0.05, n_common), 10 ** rng.uniform(0, 2, 60)]),
        reference,
        flux,
    )


@pytest.mark.parametrize(("shift", "rotation"), [((0, 0), 0.0), ((120, -90), 0.4), ((-200, 140), -0.9)])
def test_shift_and_rotation_are_found(shift, rotation):
    rng = np.random.default_rng(5)
    source, source_flux, reference, flux = _scene(rng, shift, rotation)
    match = match_optimistic(source, source_flux, reference, flux, radius=12.0, config=MatchOptimisticBConfig())
    true = match.source < 200
    assert np.all(match.source[true] == match.reference[true])
    assert true.sum() >= 198


def test_an_unrelated_catalogue_gives_few_pairs():
    rng = np.random.default_rng(6)
    source, source_flux, _, _ = _scene(rng, (0, 0), 0.0)
    reference = rng.uniform([-300, -300], [2348, 4476], size=(600, 2))
    match = match_optimistic(
        source, source_flux, reference, rng.uniform(1, 100, 600), radius=12.0, config=MatchOptimisticBConfig()
    )
    # 260 circles of radius 12 over 600 references in 2648 x 4776 pixels: 5 chance pairs in the mean, more after
    # the best of many patterns was picked; a true pattern would give 200.
    assert len(match) < 40


def test_a_shift_beyond_the_limit_is_not_accepted():
    rng = np.random.default_rng(7)
    source, source_flux, reference, flux = _scene(rng, (400, 0), 0.0)
    match = match_optimistic(source, source_flux, reference, flux, radius=12.0, config=MatchOptimisticBConfig())
    assert np.count_nonzero(match.source == match.reference) < 10


def test_each_reference_is_used_once():
    rng = np.random.default_rng(8)
    source, source_flux, reference, flux = _scene(rng, (5, 5), 0.1, noise=3.0)
    match = match_optimistic(source, source_flux, reference, flux, radius=12.0, config=MatchOptimisticBConfig())
    assert len(np.unique(match.reference)) == len(match)
    assert len(np.unique(match.source)) == len(match)
