from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from hscbox.calibrate.camera_distortion import design_matrix, likely_deviation
from hscbox.calibrate.fit_wcs import FitTanSipWcsConfig, fit_with_rejection
from hscbox.camera.camera import load_camera
from hscbox.camera.distortion import pixel_to_sky
from hscbox.errors import AstrometryError, MatchesRejectedError
from hscbox.image.sky_wcs import gnomonic
from hscbox.image.wcs import initial_wcs


def _true_wcs() -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = [1200.0, 1900.0]
    wcs.wcs.crval = [35.05, -4.75]
    wcs.wcs.cd = np.array([[1e-7, -4.66e-5], [4.66e-5, 2e-7]])
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[2, 0], a[1, 1], a[3, 0], b[0, 2], b[2, 1], b[0, 3] = 2e-7, -1e-7, 3e-11, 4e-7, -2e-11, 1e-11
    from astropy.wcs import Sip

    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def _points(rng, n):
    x, y = rng.uniform(0, 2047, n), rng.uniform(0, 4175, n)
    ra, dec = _true_wcs().all_pix2world(x, y, 0)
    return x, y, ra, dec


def test_noiseless_sip_of_the_same_order_is_recovered():
    rng = np.random.default_rng(1)
    x, y, ra, dec = _points(rng, 300)
    fit = fit_with_rejection(x, y, ra, dec, np.full(300, 50.0), FitTanSipWcsConfig())
    grid_x, grid_y = (g.ravel() for g in np.meshgrid(np.linspace(0, 2047, 9), np.linspace(0, 4175, 9)))
    truth = SkyCoord(*_true_wcs().all_pix2world(grid_x, grid_y, 0), unit="deg")
    found = SkyCoord(*fit.wcs.pixel_to_sky(grid_x, grid_y), unit="deg")
    # A SIP about another reference pixel is not exactly the same polynomial; the rest is below 0.1 mas.
    assert truth.separation(found).arcsec.max() < 1e-4


def test_outliers_of_both_signs_are_rejected():
    rng = np.random.default_rng(2)
    x, y, ra, dec = _points(rng, 300)
    x = x + rng.normal(0, 0.1, 300)
    y = y + rng.normal(0, 0.1, 300)
    x[:5] += 5.0
    y[5:10] -= 5.0
    fit = fit_with_rejection(x, y, ra, dec, np.full(300, 50.0), FitTanSipWcsConfig())
    assert not fit.used[:10].any()
    assert fit.used[10:].mean() > 0.97


def test_too_few_matches_is_a_named_error():
    x, y, ra, dec = _points(np.random.default_rng(3), 11)
    with pytest.raises(MatchesRejectedError, match="has 11 matches after 0 rounds of rejection of 11") as caught:
        fit_with_rejection(x, y, ra, dec, np.full(11, 50.0), FitTanSipWcsConfig())
    assert caught.value.code == "matches-rejected" and caught.value.exit_status == 20
    # An order of 3 has 10 terms.
    assert caught.value.numbers == {"matches": 11, "given": 11, "needed": 13}


def test_all_matches_rejected_is_a_named_error():
    """Without a common map nothing is within a thousandth of sigma."""
    rng = np.random.default_rng(11)
    x, y, ra, dec = _points(rng, 60)
    config = FitTanSipWcsConfig()
    config.rejSigma = 1e-3
    with pytest.raises(MatchesRejectedError, match=r"has \d matches after 1 rounds of rejection of 60"):
        fit_with_rejection(x + rng.normal(0, 0.1, 60), y, ra, dec, np.full(60, 50.0), config)


def test_a_third_of_chance_matches_is_rejected():
    """Pairs made by chance lie anywhere within 12 pixels; true ones scatter by 0.1."""
    rng = np.random.default_rng(12)
    x, y, ra, dec = _points(rng, 300)
    x, y = x + rng.normal(0, 0.1, 300), y + rng.normal(0, 0.1, 300)
    x[:100] += rng.uniform(-8, 8, 100)
    y[:100] += rng.uniform(-8, 8, 100)
    fit = fit_with_rejection(x, y, ra, dec, np.full(300, 50.0), FitTanSipWcsConfig())
    assert fit.used[100:].mean() > 0.95 and fit.used[:100].sum() < 5
    clean_x, clean_y = fit.wcs.sky_to_pixel(ra[100:], dec[100:])
    assert np.std(clean_x - x[100:]) < 0.12 and np.std(clean_y - y[100:]) < 0.12


class _Pointing:
    boresight_ra, boresight_dec, inst_pa = 34.5, -4.85, 30.0


@pytest.mark.parametrize(("ccd", "order"), [(49, 3), (55, 4), (77, 5)])
def test_order_follows_the_camera(ccd, order):
    """The order is raised until the distortion fits to 1 mas, and the corners are right."""
    detector = load_camera()[ccd]
    rng = np.random.default_rng(13)
    x, y = rng.uniform(0, 2047, 200), rng.uniform(0, 4175, 200)
    pointing = (_Pointing.boresight_ra, _Pointing.boresight_dec, _Pointing.inst_pa)
    ra, dec = pixel_to_sky(detector, x, y, *pointing)
    # 10 mas of noise, and a pointing 5 arcsec off.
    weight = np.full(200, 100.0)
    noisy = dec + 5 / 3600 + rng.normal(0, 0.01, 200) / 3600
    fit = fit_with_rejection(x, y, ra, noisy, weight, FitTanSipWcsConfig(), initial_wcs(detector, _Pointing()))
    assert fit.wcs.sip_order == order
    corner_x, corner_y = np.array([0.0, 2047.0, 0.0, 2047.0]), np.array([0.0, 0.0, 4175.0, 4175.0])
    true = SkyCoord(*pixel_to_sky(detector, corner_x, corner_y, *pointing), unit="deg")
    found_ra, found_dec = fit.wcs.pixel_to_sky(corner_x, corner_y)
    assert SkyCoord(found_ra, found_dec - 5 / 3600, unit="deg").separation(true).arcsec.max() < 0.006
    config = FitTanSipWcsConfig()
    config.maxOrder = 0
    fixed = fit_with_rejection(x, y, ra, noisy, weight, config, initial_wcs(detector, _Pointing()))
    assert fixed.wcs.sip_order == 3


def test_the_order_that_was_used_is_reported():
    """The distortion of CCD 77 asks for order 5, however few the matches are."""
    detector = load_camera()[77]
    x, y = np.meshgrid([0.0, 1023.0, 2047.0], [0.0, 2088.0, 4175.0])
    x, y = x.ravel(), y.ravel()
    ra, dec = pixel_to_sky(detector, x, y, _Pointing.boresight_ra, _Pointing.boresight_dec, _Pointing.inst_pa)
    with pytest.raises(MatchesRejectedError, match="fit of order 5 has 9 matches"):
        fit_with_rejection(x, y, ra, dec, np.full(9, 100.0), FitTanSipWcsConfig(), initial_wcs(detector, _Pointing()))


@pytest.mark.parametrize("bend_mas", [0.0, 60.0])
def test_a_camera_that_bends_is_followed_and_a_true_one_is_trusted(bend_mas):
    """A term of degree two that the camera's table lacks; corners are as right as a free fit, or better than it."""
    detector, n, noise_mas = load_camera()[55], 300, 15.0
    pointing = (_Pointing.boresight_ra, _Pointing.boresight_dec, _Pointing.inst_pa)
    corner_x, corner_y = np.array([0.0, 2047.0, 0.0, 2047.0]), np.array([0.0, 0.0, 4175.0, 4175.0])

    def sky(x, y):
        ra, dec = pixel_to_sky(detector, x, y, *pointing)
        return ra, dec + bend_mas / 3.6e6 * ((y - 2087.5) / 2088) ** 2

    powers = [(i, j) for i in range(5) for j in range(5 - i)]
    errors, free = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0, 2047, n), rng.uniform(0, 4175, n)
        ra, dec = sky(x, y)
        ra, dec = (part + rng.normal(0, noise_mas / 3.6e6, n) for part in (ra, dec))
        weight = np.full(n, 1e3 / noise_mas)
        wcs = fit_with_rejection(x, y, ra, dec, weight, FitTanSipWcsConfig(), initial_wcs(detector, _Pointing())).wcs
        (true_ra, true_dec), (found_ra, found_dec) = sky(corner_x, corner_y), wcs.pixel_to_sky(corner_x, corner_y)
        errors.append(3.6e6 * np.hypot((found_ra - true_ra) * np.cos(np.deg2rad(true_dec)), found_dec - true_dec))
        # Errors of least squares without a prior at the corners, two axes of order 4.
        design, corners = (
            design_matrix((a - 1023.5) / 2088, (b - 2087.5) / 2088, powers) for a, b in ((x, y), (corner_x, corner_y))
        )
        free.append(noise_mas * np.sqrt(2 * np.sum((corners @ np.linalg.pinv(design)) ** 2, axis=1)))
    rms, free_rms = (np.sqrt(np.mean(np.square(values))) for values in (errors, free))
    # A true camera leaves little more than the noise of the three linear terms: sqrt(2 x 7 / n) at a corner.
    linear = noise_mas * np.sqrt(2 * 7 / n)
    assert rms < (1.4 * linear if bend_mas == 0 else 0.8 * free_rms)
    assert linear < 0.5 * free_rms


@pytest.mark.parametrize("deviation", [0.01, 0.03])
def test_deviation_of_the_terms_is_found(deviation):
    rng = np.random.default_rng(14)
    powers = [(i, j) for i in range(4) for j in range(4 - i)]
    degrees = np.array([sum(power) for power in powers])
    spread = np.where(degrees >= 2, 0.25 ** (degrees - 2.0), 0.0)
    found = []
    for _ in range(60):
        u, v = rng.uniform(-0.5, 0.5, 300), rng.uniform(-1, 1, 300)
        design = design_matrix(u, v, powers) / (0.2 * deviation)
        terms = rng.normal(0, 1, (len(powers), 2)) * (deviation * spread)[:, None]
        terms[degrees < 2] = rng.normal(0, 5.0, (3, 2))
        found.append(likely_deviation(design, design @ terms + rng.normal(size=(300, 2)), spread))
    # Of six terms the most probable logarithm is too small by 1/12 on average, of all fourteen by 1/28; the guess of
    # 0.005, good to a factor of 3, counts 0.8 beside their 12 to 28 and takes up to 0.12. Sixty times leave 4 %.
    ratio = np.exp(np.mean(np.log(found))) / deviation
    assert 0.75 < ratio < 1.05


def test_matches_on_a_line_are_a_named_error():
    x = np.linspace(0, 2000, 40)
    ra, dec = _true_wcs().all_pix2world(x, 2 * x, 0)
    with pytest.raises(AstrometryError, match="40 matches lie on a line"):
        fit_with_rejection(x, 2 * x, ra, dec, np.full(40, 50.0), FitTanSipWcsConfig())


def test_field_across_ra_zero():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(0, 2047, 100), rng.uniform(0, 4175, 100)
    wcs = _true_wcs()
    wcs.wcs.crval = [0.0, -4.75]
    wcs.wcs.set()
    ra, dec = wcs.all_pix2world(x, y, 0)
    assert ra.min() < 1 and ra.max() > 359
    fit = fit_with_rejection(x, y, ra, dec, np.full(100, 50.0), FitTanSipWcsConfig())
    assert fit.distance.max() < 1e-4


def test_gnomonic_agrees_with_astropy():
    wcs = WCS(naxis=2)
    wcs.wcs.crval, wcs.wcs.ctype, wcs.wcs.cdelt = [10.0, 60.0], ["RA---TAN", "DEC--TAN"], [1.0, 1.0]
    ra, dec = np.array([10.3, 9.1, 11.0]), np.array([59.5, 60.2, 60.9])
    expected = wcs.wcs_world2pix(ra, dec, 1)
    np.testing.assert_allclose(np.rad2deg(gnomonic(ra, dec, 10.0, 60.0)), expected, atol=1e-12)
