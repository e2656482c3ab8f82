from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures.footprints import footprint_of, make_peaks

from hscbox.characterize.lanczos import (
    gram_matrices,
    normal_product,
    project,
    project_all,
    resampling_taps,
    spread,
    spread_all,
)
from hscbox.characterize.psf_candidates import extract_candidates, has_stamp
from hscbox.characterize.psf_determiner import PsfDeterminerConfig, determine_psf, polynomial_degree
from hscbox.characterize.psf_neighbours import foreign_pixels
from hscbox.characterize.psf_profile import Profile, image_modes, profile_modes, sampled_profile
from hscbox.errors import ExitStatus, NoPsfStarsError, PsfFitError, TooFewPsfCandidatesError
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.image.psf import PsfexPsf

from .stars import GAIN, HEIGHT, SKY_SIGMA, WIDTH, residuals, simulate


def fit(candidates, config=None, draft=False):
    return determine_psf(candidates, 1.35, SKY_SIGMA**2, GAIN, config or PsfDeterminerConfig(), draft)


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


def test_sums_over_stars_against_dense_algebra():
    rng = np.random.default_rng(1)
    n, terms, samples, size = 4, 3, 13, 7
    taps_x, taps_y = (resampling_taps(rng.uniform(-0.5, 0.5, n), 0.5, samples, size) for _ in range(2))
    basis, weight = rng.normal(size=(n, terms)), rng.uniform(size=(n, size, size))
    components, stamps = rng.normal(size=(terms, samples, samples)), rng.normal(size=(n, size, size))
    units = np.eye(samples**2).reshape(-1, samples, samples)
    taps = (*taps_x, *taps_y)
    dense = [np.array([project(u, *(t[i] for t in taps)).ravel() for u in units]).T for i in range(n)]
    image, normal, back = components[0], np.zeros(samples**2), np.zeros(samples**2)
    drawn = project_all(components, basis, *taps)
    for i in range(n):
        normal += dense[i].T @ (weight[i].ravel() * (dense[i] @ image.ravel()))
        back += dense[i].T @ stamps[i].ravel()
        model = np.tensordot(basis[i], components, axes=1)
        assert drawn[i].ravel() == pytest.approx(dense[i] @ model.ravel(), abs=1e-10)
    assert normal_product(image, weight, *taps).ravel() == pytest.approx(normal, abs=1e-10)
    assert spread_all(stamps, samples, *taps).ravel() == pytest.approx(back, abs=1e-10)
    gram, data = gram_matrices(components, stamps, weight, *taps)
    modes = dense[2] @ components.reshape(terms, -1).T
    assert gram[2] == pytest.approx(modes.T @ (weight[2].reshape(-1, 1) * modes), abs=1e-10)
    assert data[2] == pytest.approx(modes.T @ (weight[2] * stamps[2]).ravel(), abs=1e-10)


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


def test_modes_are_the_derivatives_of_the_profile():
    profile, small = Profile(0.5, 0.1, -0.05, 0.3, 0.1, -0.2), 1e-5
    modes = profile_modes(profile, 61, 0.5)
    for k in range(6):
        step = small * np.eye(6)[k]
        up, down = (sampled_profile(profile.moved(s * step), 61, 0.5) for s in (1, -1))
        assert modes[k + 1] == pytest.approx((up - down) / (2 * small), abs=1e-7)


def test_modes_of_an_image_are_those_of_its_profile():
    # Of a round profile, for which the parameters mean the same; 1/beta is not defined by an image.
    expected = profile_modes(Profile(0.5, inverse_beta=0.3), 121, 1 / 3)
    modes = image_modes(expected[0], 1 / 3, expected[4])
    for k in range(7):
        assert np.abs(modes[k] - expected[k]).max() < 0.02 * np.abs(expected[k]).max()


def test_neighbours_are_masked_where_they_were_drawn():
    rng = np.random.default_rng(8)
    residual, good = rng.normal(size=(3, 41, 41)), np.ones((3, 41, 41), bool)
    y, x = np.mgrid[:41, :41]

    def blob(x0: float, y0: float, flux: float) -> np.ndarray:
        return flux / (2 * np.pi * 1.5**2) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * 1.5**2))

    # 19 sigma of a matched filter each; the second one sits on the star, where the model may be wrong as well.
    residual[0] += blob(31, 12, 100.0)
    residual[1, 19:22, 19:22] += 6.0
    found = foreign_pixels(residual, good, np.ones_like(residual), 1.5)
    assert found[0, 11:14, 30:33].all() and not found[1:].any()
    assert not found[0][np.hypot(x - 31, y - 12) > 10].any()
    # What is masked already tells nothing.
    good[0, 5:20, 24:39] = False
    assert not foreign_pixels(residual, good, np.ones_like(residual), 1.5).any()


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


def test_faint_neighbours_do_not_bend_the_model():
    stars = simulate(40, 7)
    rng = np.random.default_rng(4)
    stamps = stars.stamps.copy()
    for i in range(len(stars)):
        # A tenth of the star at 6 to 14 px, all to the right, which nothing but the fit can see.
        shift = (int(rng.integers(-4, 5)), int(rng.integers(6, 15)))
        other = 0.1 * np.roll(stars.stamps[i], shift, axis=(0, 1))
        other[:, : shift[1]] = 0
        stamps[i] += other
    found = fit(replace(stars, stamps=stamps))
    assert found.used.sum() >= 36
    x, y = rng.uniform(25, WIDTH - 25, 40), rng.uniform(25, HEIGHT - 25, 40)
    error = residuals(found.psf, x, y)
    assert abs(np.median(error.size)) < 2e-3
    assert abs(np.median(error.e1)) < 2e-3 and abs(np.median(error.e2)) < 2e-3


def test_model_has_the_layout_that_is_stored():
    psf = fit(simulate(40, 3)).psf
    assert psf.components.shape == (6, 121, 121) and psf.size == 41 and psf.pixstep == np.float32(1 / 3)
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
    with pytest.raises(TooFewPsfCandidatesError, match="0 of 12") as caught:
        fit(replace(stars, good=np.zeros_like(stars.good)))
    # Whoever waits for the wider class gets this one, too.
    assert isinstance(caught.value, NoPsfStarsError)
    assert caught.value.code == "too-few-psf-candidates" and caught.value.exit_status == ExitStatus.DATA == 20
    assert caught.value.numbers == {"candidates": 12, "usable": 0} and "mask" in caught.value.remedy
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
    footprint = footprint_of(footprint_mask, peaks=make_peaks([40, 44], [40, 40], [9.0, 3.0]))
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
    footprint = footprint_of(np.ones((41, 41), bool), peaks=make_peaks([20], [20], [9.0]))
    found = extract_candidates(exposure, np.array([20.0]), np.array([20.0]), [footprint], np.array([1.0]), 41)
    assert found.stamps.sum() == 41 * 41 - 2 and (~found.good[0]).sum() == 2
    assert not found.good[0, 3, 4] and found.stamps[0, 3, 4] == found.stamps[0, 20, 21] == 0
