"""Parts of the PSF fit with numbers worked out by hand, and what can be set."""

from __future__ import annotations

from dataclasses import astuple
from types import SimpleNamespace

import numpy as np
import pytest
from fixtures.footprints import footprint_of, make_peaks
from settings import numbers

from hscbox.characterize.lanczos import resampling_taps
from hscbox.characterize.measure_apcorr import ApCorrFieldConfig, MeasureApCorrConfig, fit_correction
from hscbox.characterize.measure_psf import MeasurePsfConfig
from hscbox.characterize.psf_candidates import _neighbours, _other_peaks, has_stamp
from hscbox.characterize.psf_determiner import PsfDeterminerConfig, determine_psf
from hscbox.characterize.psf_fit import Stars, fit_profile, fluxes_and_models, stamp_weights
from hscbox.characterize.psf_profile import Profile, profile_modes, sampled_profile
from hscbox.characterize.star_selector import ObjectSizeStarSelectorConfig
from hscbox.characterize.task import CharacterizeImageConfig, CharacterizeImageTask, InstallSimplePsfConfig
from hscbox.image.exposure import Exposure
from hscbox.image.psf import GaussianPsf

from .stars import GAIN, SKY_SIGMA, simulate


def test_numbers_of_the_configuration() -> None:
    assert numbers(ApCorrFieldConfig) == {"orderX": (2, 0, None), "orderY": (2, 0, None)}
    assert {name: value for name, value in numbers(MeasureApCorrConfig).items() if "." not in name} == {
        "minDegreesOfFreedom": (1, 1, None),
        "numIter": (4, 0, None),
        "numSigmaClip": (3.0, 0, None),
        "maxScatter": (0.5, 0, None),
    }
    own = {name: value for name, value in numbers(MeasurePsfConfig).items() if "." not in name}
    assert own == {"reserveFraction": (0.2, 0, 0.9), "reserveSeed": (1, 0, None)}
    assert numbers(PsfDeterminerConfig) == {
        "spatialOrder": (2, 0, 4),
        "kernelSize": (121, 21, None),
        "samplingSize": (1 / 3, 0.1, 1.0),
        "psfAccuracy": (0.003, 0, None),
        "reducedChi2Clip": (3.0, 1, None),
        "smoothing": (0.75, 0.1, None),
        "iterations": (25, 1, None),
        "minGoodStars": (3, 1, None),
        "minSigma": (0.5, 0, None),
        "maxSigma": (8.0, 0, None),
        "maxReducedChi2": (10.0, 0, None),
    }
    assert numbers(ObjectSizeStarSelectorConfig) == {
        "fluxMin": (4000.0, 0, None),
        "fluxMax": (0.0, 0, None),
        "widthMin": (0.9, 0, None),
        "widthMax": (10.0, 0, None),
        "widthStdAllowed": (0.15, 0, None),
        "nSigmaClip": (2.0, 0, None),
        "borderWidth": (0, 0, None),
    }
    # A Gaussian of sigma 1.5 px; FWHM = 2 sqrt(2 ln 2) sigma.
    simple = numbers(InstallSimplePsfConfig)
    assert simple == {"fwhm": (pytest.approx(1.5 * 2.354820045), 0.5, None), "width": (11, 1, None)}
    assert numbers(CharacterizeImageConfig)["psfIterations"] == (2, 1, None)


def test_a_gaussian_stands_in_for_the_psf() -> None:
    blank = np.zeros((80, 90), np.float32)
    exposure = Exposure(blank, blank.astype(np.int32), blank)
    task = SimpleNamespace(config=CharacterizeImageConfig())
    CharacterizeImageTask._install_simple_psf(task, exposure)
    assert exposure.psf.size == 11 and exposure.psf.determinant_radius() == pytest.approx(1.5, rel=0.01)
    # Of the size of the one that is there, if there is one.
    exposure.psf = GaussianPsf(41, 2.5)
    task.config.installSimplePsf.fwhm = 9.0
    CharacterizeImageTask._install_simple_psf(task, exposure)
    assert exposure.psf.size == 41 and exposure.psf.determinant_radius() == pytest.approx(2.5, rel=0.01)


def test_variance_of_a_stars_pixels() -> None:
    stars = Stars(*[np.zeros((2, 3, 3))] * 2, np.zeros(0), (np.zeros(0),) * 4, 0, 1.0)
    models = np.full((2, 3, 3), 0.25)
    models[0, 1, 1] = -0.1
    found = stamp_weights(stars, np.array([800.0, -5.0]), models, 50.0, 4.0, 0.1)
    # Of 200 ADU: sky, photons of 4 electrons per ADU, a tenth of the light. Nothing of what is negative.
    expected = np.full((2, 3, 3), 50.0 + 200.0 / 4 + 20.0**2)
    expected[0, 1, 1] = expected[1] = 50.0
    assert found == pytest.approx(expected)


def test_taps_are_lanczos_weights_of_sum_one() -> None:
    first, weights = resampling_taps(np.array([0.3, -0.2]), 1 / 3, 61, 9)
    assert weights.sum(axis=-1) == pytest.approx(np.ones((2, 9)), abs=1e-14)
    for i, shift in enumerate((0.3, -0.2)):
        for pixel in range(9):
            place = (pixel - 4 - shift) * 3 + 30
            assert first[i, pixel] == np.floor(place) - 2
            distance = place - (first[i, pixel] + np.arange(6))
            kernel = np.sinc(distance) * np.sinc(distance / 3)
            assert weights[i, pixel] == pytest.approx(kernel / kernel.sum(), abs=1e-12)
    # Samples that the model lacks count as zero; the others keep their weights.
    first, weights = resampling_taps(np.array([0.3]), 1.0, 9, 11)
    assert (first >= 0).all() and (first + 6 <= 9).all()
    assert weights.sum(axis=-1)[0, 5] == pytest.approx(1.0) and abs(weights.sum(axis=-1)[0, 0]) < 0.3


@pytest.mark.parametrize(("column", "used"), [(18, True), (19, False), (21, False), (22, True)])
@pytest.mark.parametrize("row", [False, True])
def test_stars_whose_middle_is_bad_are_left_out(column: int, used: bool, row: bool) -> None:
    stars = simulate(40, seed=3)
    (stars.good[0] if row else stars.good[0].T)[20, column] = False
    draft = determine_psf(stars, 1.35, SKY_SIGMA**2, GAIN, PsfDeterminerConfig(), draft=True)
    assert draft.used[0] == used and draft.used[1:].mean() > 0.9


def test_neighbours_and_their_rims() -> None:
    detected = np.zeros((21, 21), bool)
    detected[8:13, 8:13] = True
    detected[10, 16:18] = True
    distance = np.hypot(*np.meshgrid(np.arange(21) - 16, np.arange(21) - 10))
    other = np.minimum(distance, np.hypot(*np.meshgrid(np.arange(21) - 17, np.arange(21) - 10)))
    # Widened by 3 px, but not into the star.
    assert (_neighbours(detected) == ((other <= 3) & ~detected | (other == 0))).all()
    # Where the centre is not detected everything is a neighbour.
    assert (_neighbours(detected & (other == 0)) == (other <= 3)).all()
    lone = detected & (other > 0)
    assert not _neighbours(lone).any() and not _neighbours(np.zeros((21, 21), bool)).any()


def test_pixels_nearer_to_another_peak_on_a_footprint_that_leaves_the_stamp() -> None:
    everywhere = np.ones((60, 60), bool)
    footprint = footprint_of(everywhere, peaks=make_peaks([30, 37], [30, 33], [9.0, 3.0]))
    masked = _other_peaks(footprint, 20, 20, 21)
    y, x = np.mgrid[20:41, 20:41]
    assert (masked == (np.hypot(x - 37, y - 33) < np.hypot(x - 30, y - 30))).all()
    alone = footprint_of(everywhere, peaks=make_peaks([30], [30], [9.0]))
    assert not _other_peaks(alone, 20, 20, 21).any()


def test_stamps_must_lie_in_the_image() -> None:
    x = np.array([9.5, 9.49, 89.49, 89.5, 50.0, 50.0, 50.0, 50.0])
    y = np.array([40.0, 40.0, 40.0, 40.0, 9.5, 9.49, 69.49, 69.5])
    assert has_stamp(x, y, 21, 100, 80).tolist() == [True, False, True, False, True, False, True, False]


@pytest.mark.parametrize(
    ("triangular", "n", "terms"),
    [
        (True, 7, 6),
        (True, 6, 3),
        (True, 4, 3),
        (True, 3, 1),
        (False, 10, 9),
        (False, 9, 4),
        (False, 5, 4),
        (False, 4, 1),
    ],
)
def test_order_of_a_correction_leaves_one_degree_of_freedom(triangular: bool, n: int, terms: int) -> None:
    config = MeasureApCorrConfig()
    config.fitConfig.triangular = triangular
    config.numSigmaClip = 1e9
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, 2047, n), rng.uniform(0, 4175, n)
    # Strong enough to prove any variation.
    ratio = 1.0 + rng.normal(0.0, 0.01, n)
    field, _, kept = fit_correction(x, y, ratio, np.full(n, 1e-4), (0, 0, 2047, 4175), config)
    assert np.count_nonzero(field.coefficients) == terms and kept.all()


def test_a_profile_far_from_the_stars_is_found_by_limited_steps() -> None:
    """Stars of twice the size that the fit starts from: the first step would overshoot."""
    truth = Profile(float(np.log(2.6)), 0.1, -0.05)
    n_samples, step = 121, 1 / 3
    image = sampled_profile(truth, n_samples, step)
    ones = np.ones((4, 1))
    offsets = np.array([0.2, -0.3, 0.1, 0.4]), np.array([0.1, 0.3, -0.4, 0.0])
    blank = Stars.make(np.zeros((4, 41, 41)), np.ones((4, 41, 41), bool), ones, *offsets, n_samples, step)
    stamps = 1e4 * fluxes_and_models_of(blank, image)
    stars = Stars.make(stamps, blank.good, ones, *offsets, n_samples, step)
    start = Profile(float(np.log(1.2)))
    once, _ = fit_profile(stars, start, np.full(stamps.shape, 100.0), 1, 1e-6)
    step_of = np.abs(np.subtract(astuple(once), astuple(start)))
    assert np.max(step_of / [0.3, 0.2, 0.2, 0.15, 0.3, 0.3]) == pytest.approx(1.0)
    found, modes = fit_profile(stars, start, np.full(stamps.shape, 100.0), 30, 1e-6)
    assert found.log_radius == pytest.approx(truth.log_radius, abs=1e-3)
    assert modes == pytest.approx(profile_modes(found, n_samples, step))
    fluxes, _ = fluxes_and_models(stars, modes[:1], np.full(stamps.shape, 100.0))
    assert fluxes == pytest.approx(np.full(4, 1e4), rel=1e-3)


def fluxes_and_models_of(stars: Stars, image: np.ndarray) -> np.ndarray:
    """Return the stamps of a model of one component."""
    ones = np.ones(stars.stamps.shape)
    return fluxes_and_models(stars, image[None], ones)[1]
