from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from hscbox.catalog.footprint import Footprint, make_peaks
from hscbox.characterize.lanczos import gram_matrices, normal_product, project, resampling_taps, spread
from hscbox.characterize.psf_candidates import extract_candidates, has_stamp
from hscbox.characterize.psf_determiner import PsfDeterminerConfig, determine_psf, polynomial_degree
from hscbox.characterize.psf_profile import Profile, sampled_profile
from hscbox.errors import NoPsfStarsError, PsfFitError
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.image.psf import PsfexPsf

from .stars import GAIN, HEIGHT, SKY_SIGMA, WIDTH, residuals, simulate

LOG = logging.getLogger("test.psfDeterminer")


def fit(candidates, config=None, draft=False):
    return determine_psf(candidates, 1.35, SKY_SIGMA**2, GAIN, config or PsfDeterminerConfig(), LOG, draft)


def test_projection_is_the_interpolation_of_the_psf_class():
    rng = np.random.default_rng(0)
    model = rng.normal(size=(1, 81, 81)).astype(np.float32) + 1
    psf = PsfexPsf(model, 0.5, 0, (0, 0), (1, 1), (0, 0))
    for dx, dy in ((0.0, 0.0), (0.3, -0.2), (-0.45, 0.4)):
        expected, *_ = psf.image(100 + dx, 200 + dy)
        taps = [t[0] for d in (dx, dy) for t in resampling_taps(np.array([d]), 0.5, 81, 41)]
        stamp = project(model[0].astype(float), *taps)
        assert stamp / stamp.sum() == pytest.approx(expected, abs=1e-14)
        probe, image = rng.normal(size=(41, 41)), rng.normal(size=(81, 81))
        assert (project(image, *taps) * probe).sum() == pytest.approx((spread(probe, 81, *taps) * image).sum())


def test_normal_product_and_gram_matrices_against_dense_algebra():
    rng = np.random.default_rng(1)
    n, terms, samples, size = 4, 3, 13, 7
    taps_x, taps_y = (resampling_taps(rng.uniform(-0.5, 0.5, n), 0.5, samples, size) for _ in range(2))
    basis, weight = rng.normal(size=(n, terms)), rng.uniform(size=(n, size, size))
    components, stamps = rng.normal(size=(terms, samples, samples)), rng.normal(size=(n, size, size))
    units = np.eye(samples**2).reshape(-1, samples, samples)
    taps = (*taps_x, *taps_y)
    dense = [np.array([project(u, *(t[i] for t in taps)).ravel() for u in units]).T for i in range(n)]
    expected = np.zeros_like(components)
    for i in range(n):
        stamp = dense[i] @ np.tensordot(basis[i], components, axes=1).ravel() * weight[i].ravel()
        expected += basis[i][:, None, None] * (dense[i].T @ stamp).reshape(samples, samples)
    assert normal_product(components, basis, weight, *taps) == pytest.approx(expected, abs=1e-10)
    gram, data = gram_matrices(components, stamps, weight, *taps)
    drawn = dense[2] @ components.reshape(terms, -1).T
    assert gram[2] == pytest.approx(drawn.T @ (weight[2].reshape(-1, 1) * drawn), abs=1e-10)
    assert data[2] == pytest.approx(drawn.T @ (weight[2] * stamps[2]).ravel(), abs=1e-10)


def test_sampled_profile_is_a_pixelated_moffat():
    import galsim

    profile = Profile(np.log(1.6), 0.08, -0.05, 1 / 3.0, 0.2, -0.1)
    ours = sampled_profile(profile, 81, 0.5)
    g = np.hypot(0.08, 0.05)
    shear = galsim.Shear(e1=0.08, e2=-0.05)
    assert shear.e == pytest.approx(g)
    star = galsim.Moffat(beta=3.0, half_light_radius=1.0)
    star = galsim.Moffat(beta=3.0, fwhm=2 * 1.6, trunc=0).shear(shear).shift(0.2, -0.1)
    image = (
        galsim.Convolve(star, galsim.Pixel(1.0))
        .drawImage(nx=81, ny=81, scale=0.5, method="no_pixel", dtype=float)
        .array
    )
    image /= image.sum() * 0.25
    assert ours == pytest.approx(image, abs=2e-4 * image.max())


@pytest.mark.parametrize("kind", ["moffat", "optical"])
def test_model_of_undersampled_stars_on_held_out_positions(kind):
    found = fit(simulate(80, 1, kind))
    assert found.used.sum() >= 74
    rng = np.random.default_rng(99)
    error = residuals(found.psf, rng.uniform(25, WIDTH - 25, 40), rng.uniform(25, HEIGHT - 25, 40), kind)
    assert abs(np.median(error.size)) < 1e-3
    assert np.sqrt(np.mean(error.size**2)) < 2e-3
    assert np.sqrt(np.mean(error.e1**2)) < 3e-3
    assert np.sqrt(np.mean(error.e2**2)) < 3e-3
    assert np.median(found.reduced_chi2[found.used]) == pytest.approx(1.0, abs=0.1)


def test_galaxies_and_doubles_are_left_out():
    stars = simulate(60, 2)
    stamps = stars.stamps.copy()
    broken = [3, 17, 44]
    for i in broken:
        flux = max(stars.norm[i], 5e4)
        stamps[i] += 0.5 * flux * np.roll(stamps[0] / stars.norm[0], (2, 3), axis=(0, 1))
    found = fit(replace(stars, stamps=stamps))
    assert not found.used[broken].any()
    assert found.used.sum() >= 60 - 3 - 5


def test_model_has_the_layout_that_is_stored():
    psf = fit(simulate(40, 3)).psf
    assert psf.components.shape == (6, 81, 81) and psf.size == 41 and psf.pixstep == 0.5
    image = psf.kernel_image()
    assert image.sum() == pytest.approx(1.0)
    # The soft window ends the model at the edge of the stamp.
    assert np.all(psf.components[:, 0, 0] == 0) and abs(image[20, 0]) < 1e-4


def test_fit_repeats_itself_and_drafts_know_the_size():
    stars = simulate(30, 4)
    first, second, draft = fit(stars), fit(stars), fit(stars, draft=True)
    assert first.psf.components.tobytes() == second.psf.components.tobytes()
    assert draft.sigma == pytest.approx(first.sigma, rel=0.01)


@pytest.mark.parametrize(("n", "degree"), [(2, 0), (3, 0), (4, 1), (6, 1), (7, 1), (8, 2), (80, 2)])
def test_polynomial_degree(n, degree):
    # 1.1 times 1, 3, 6 terms, rounded, must not exceed the number of stars.
    assert polynomial_degree(n, 2) == degree


def test_few_stars_give_a_simpler_model():
    found = fit(simulate(5, 5))
    assert found.psf.degree <= 1
    assert found.sigma == pytest.approx(1.5, rel=0.1)


def test_gates():
    stars = simulate(12, 6)
    with pytest.raises(NoPsfStarsError, match="0 of 12"):
        fit(replace(stars, good=np.zeros_like(stars.good)))
    config = PsfDeterminerConfig()
    config.minSigma = 2.0
    with pytest.raises(PsfFitError, match="sigma"):
        fit(stars, config)
    config = PsfDeterminerConfig()
    config.maxReducedChi2 = 0.5
    with pytest.raises(PsfFitError, match="chi"):
        fit(stars, config)


def test_stamps_and_their_masks():
    image = np.arange(80 * 90, dtype=np.float32).reshape(80, 90)
    exposure = Exposure(image, np.zeros((80, 90), np.int32), np.ones((80, 90), np.float32))
    detected = mask_bits("DETECTED")
    exposure.mask[36:45, 36:45] |= detected
    exposure.mask[30:33, 50:53] |= detected
    exposure.mask[41, 41] |= mask_bits("SAT")
    footprint_mask = np.zeros((80, 90), bool)
    footprint_mask[36:45, 36:45] = True
    footprint = Footprint.from_mask(footprint_mask, peaks=make_peaks([40, 44], [40, 40], [9.0, 3.0]))
    x, y = np.array([40.3]), np.array([39.8])
    assert has_stamp(np.array([20.0, 19.4]), np.array([40.0, 40.0]), 41, 90, 80).tolist() == [True, False]
    found = extract_candidates(exposure, x, y, [footprint], np.array([1.0]), 41)
    assert found.stamps[0, 20, 20] == image[40, 40]
    assert found.offset_x[0] == pytest.approx(0.3) and found.offset_y[0] == pytest.approx(-0.2)
    bad = ~found.good[0]
    assert bad[21, 21] and not bad[20, 20]
    # The second peak takes what is nearer to it; the other region is widened by 3 px.
    assert bad[20, 23] and not bad[20, 22]
    assert bad[11, 31] and bad[11, 27] and not bad[11, 26]


def test_pixels_that_are_not_finite_are_bad_and_zero():
    image = np.ones((41, 41), np.float32)
    image[3, 4], image[20, 21] = np.nan, np.inf
    exposure = Exposure(image, np.zeros((41, 41), np.int32), np.ones((41, 41), np.float32))
    footprint = Footprint.from_mask(np.ones((41, 41), bool), peaks=make_peaks([20], [20], [9.0]))
    found = extract_candidates(exposure, np.array([20.0]), np.array([20.0]), [footprint], np.array([1.0]), 41)
    assert found.stamps.sum() == 41 * 41 - 2 and (~found.good[0]).sum() == 2
    assert not found.good[0, 3, 4] and found.stamps[0, 3, 4] == found.stamps[0, 20, 21] == 0
