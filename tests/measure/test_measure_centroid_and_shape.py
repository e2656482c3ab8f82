from __future__ import annotations

import galsim
import numpy as np
import pytest
import scipy.optimize
from fixtures.footprints import footprint_of, make_peaks

from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.image.psf import GaussianPsf
from hscbox.measure.plugins.sdss_shape import moment_errors

from .fields import SIGMA, exposure_of, gaussian, measure, task_for

SHAPE = (130, 150)


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (0.3, -0.4), (-0.49, 0.25), (0.5, 0.1)])
def test_centroid_of_gaussian_is_unbiased(dx, dy):
    x, y = 70 + dx, 60 + dy
    catalog = measure(exposure_of(gaussian(SHAPE, x, y, 1e5)), [(x, y)])
    assert not catalog["base_SdssCentroid_flag"][0]
    assert catalog["base_SdssCentroid_x"][0] == pytest.approx(x, abs=0.01)
    assert catalog["base_SdssCentroid_y"][0] == pytest.approx(y, abs=0.01)


def test_centroid_of_moffat_drawn_by_galsim():
    star = galsim.Moffat(beta=3, fwhm=3.2).shear(g1=0.05, g2=-0.03)
    rng = np.random.default_rng(3)
    for dx, dy in rng.uniform(-0.5, 0.5, (12, 2)):
        image = star.drawImage(nx=131, ny=131, scale=1, offset=(dx, dy), dtype=float).array * 1e5
        catalog = measure(exposure_of(image), [(65 + dx, 65 + dy)])
        assert catalog["base_SdssCentroid_x"][0] == pytest.approx(65 + dx, abs=0.01)
        assert catalog["base_SdssCentroid_y"][0] == pytest.approx(65 + dy, abs=0.01)


def test_centroid_error_matches_scatter():
    rng = np.random.default_rng(5)
    clean, sky = gaussian(SHAPE, 70.2, 60.3, 3000.0), 10.0
    found = []
    for _ in range(150):
        noisy = exposure_of(clean + rng.normal(0, sky, SHAPE), sky**2)
        catalog = measure(noisy, [(70.2, 60.3)])
        found.append([catalog["base_SdssCentroid_x"][0], catalog["base_SdssCentroid_xSigma"][0]])
    x, sigma = np.array(found).T
    assert np.std(x) == pytest.approx(np.mean(sigma), rel=0.2)


@pytest.mark.parametrize(("x", "y"), [(210.3, 205.6), (45.3, 205.6), (210.3, 370.6)], ids=["middle", "left", "top"])
def test_wide_source_is_binned_until_it_is_found(x, y):
    """Near the edge as far as the box of the binned kernel, 22 binned pixels to each side, fits in the image."""
    wide = 6.0
    image = gaussian((420, 430), x, y, 1e6, (wide**2, wide**2, 0.0))
    catalog = measure(exposure_of(image), [(x, y)])
    assert not catalog["base_SdssCentroid_flag"][0]
    assert catalog["base_SdssCentroid_x"][0] == pytest.approx(x, abs=0.05)
    assert catalog["base_SdssCentroid_y"][0] == pytest.approx(y, abs=0.05)


def test_centroid_failures_keep_the_peak():
    image = gaussian(SHAPE, 8.0, 60.0, 1e5) - gaussian(SHAPE, 90.0, 60.0, 1e5)
    catalog = measure(exposure_of(image), [(8.0, 60.0), (90.0, 60.0)])
    assert catalog["base_SdssCentroid_flag_edge"].tolist() == [True, False]
    assert catalog["base_SdssCentroid_flag_notAtMaximum"].tolist() == [False, True]
    assert catalog["base_SdssCentroid_x"].tolist() == [8.0, 90.0]
    assert np.isnan(catalog["base_SdssCentroid_xSigma"]).all()


def test_centroid_outside_of_the_footprint_is_reset():
    # The footprint's peak lies two pixels off, and the footprint ends before the true maximum.
    image = gaussian(SHAPE, 71.4, 60.0, 1e5, (9.0, 9.0, 0.0))
    mask = np.zeros(SHAPE, bool)
    mask[55:66, 60:71] = True
    task, schema = task_for()
    task.config.doReplaceWithNoise = False
    catalog = SourceCatalog(schema, 1)
    catalog.footprints = [footprint_of(mask, peaks=make_peaks([70], [60], [1.0]))]
    task.run(catalog=catalog, exposure=exposure_of(image), exposure_id=1)
    assert catalog["base_SdssCentroid_flag_resetToPeak"][0]
    assert catalog["base_SdssCentroid_flag"][0]
    assert catalog["base_SdssCentroid_x"][0] == 70.0


def test_naive_centroid_is_the_first_moment_of_nine_pixels():
    x, y = 70.2, 59.9
    image = gaussian(SHAPE, x, y, 1e5)
    catalog = measure(exposure_of(image), [(x, y)], "base_NaiveCentroid")
    box = image[59:62, 69:72].astype(np.float32).astype(float)
    assert catalog["base_NaiveCentroid_x"][0] == pytest.approx(70 + (box[:, 2] - box[:, 0]).sum() / box.sum())
    assert catalog["base_NaiveCentroid_y"][0] == pytest.approx(60 + (box[2] - box[0]).sum() / box.sum())


@pytest.mark.parametrize("q", [(2.25, 2.25, 0.0), (4.0, 2.5, 0.7), (9.0, 16.0, -5.0)])
def test_shape_of_elliptical_gaussian(q):
    image = gaussian(SHAPE, 70.3, 60.4, 1e6, q)
    catalog = measure(exposure_of(image), [(70.3, 60.4)])
    for name, value in zip(("xx", "yy", "xy"), q, strict=True):
        assert catalog[f"base_SdssShape_{name}"][0] == pytest.approx(value, rel=2e-3, abs=2e-3)
    assert catalog["base_SdssShape_flux"][0] == pytest.approx(1e6, rel=1e-3)
    assert catalog["base_SdssShape_psf_xx"][0] == pytest.approx(SIGMA**2, rel=1e-3)


def test_shape_agrees_with_galsim_hsm():
    galaxy = galsim.Convolve(
        galsim.Exponential(half_light_radius=3.0).shear(g1=0.2, g2=0.1), galsim.Moffat(beta=3, fwhm=3.2)
    )
    stamp = galaxy.drawImage(nx=131, ny=131, scale=1, dtype=float)
    catalog = measure(exposure_of(stamp.array * 1e6), [(65.0, 65.0)])
    moments = galsim.hsm.FindAdaptiveMom(stamp)
    xx, yy, xy = (catalog[f"base_SdssShape_{name}"][0] for name in ("xx", "yy", "xy"))
    assert (xx * yy - xy * xy) ** 0.25 == pytest.approx(moments.moments_sigma, rel=3e-3)
    assert (xx - yy) / (xx + yy) == pytest.approx(moments.observed_shape.e1, abs=2e-3)
    assert 2 * xy / (xx + yy) == pytest.approx(moments.observed_shape.e2, abs=2e-3)


def test_shape_errors_match_scatter():
    rng = np.random.default_rng(6)
    clean, sky = gaussian(SHAPE, 70.0, 60.0, 2e4), 10.0
    found = []
    for _ in range(150):
        catalog = measure(exposure_of(clean + rng.normal(0, sky, SHAPE), sky**2), [(70.0, 60.0)])
        names = ("xx", "yy", "xy", "xxSigma", "yySigma", "xySigma")
        found.append([catalog[f"base_SdssShape_{name}"][0] for name in names])
    found = np.array(found)
    assert np.std(found[:, :3], axis=0) == pytest.approx(found[:, 3:].mean(axis=0), rel=0.25)


def test_moment_errors_of_a_round_gaussian_follow_the_closed_form():
    # The derivative by xy is A G xy/sigma^4, whose square sums to A^2 pi/(4 sigma^2); (S/N)^2 is pi sigma^2 A^2/V.
    sigma, flux, variance = 2.0, 1e5, 9.0
    peak = flux / (2 * np.pi * sigma**2)
    covariance = moment_errors(np.array([peak]), np.array([[sigma**2, sigma**2, 0.0]]), np.array([variance]))
    signal_to_noise = flux / np.sqrt(4 * np.pi * sigma**2 * variance)
    assert np.sqrt(covariance[0, 3, 3]) == pytest.approx(2 * sigma**2 / signal_to_noise, rel=1e-9)
    assert np.isnan(moment_errors(np.array([-1.0]), np.ones((1, 3)), np.ones(1))).all()


def test_psf_shape_column_is_that_of_the_model():
    catalog = measure(exposure_of(gaussian(SHAPE, 70, 60, 1e5), psf=GaussianPsf(41, 2.0)), [(70, 60)])
    assert catalog["slot_Shape_psf_yy"][0] == pytest.approx(4.0, rel=1e-3)


def test_gaussian_centroid_is_that_of_a_least_squares_fit():
    rng = np.random.default_rng(6)
    x, y, sky = 70.3, 60.8, 40.0
    image = gaussian(SHAPE, x, y, 3e4, (2.1**2, 2.1**2, 0.0)) + sky + rng.normal(0, 6, SHAPE)
    catalog = measure(exposure_of(image, 36.0), [(x, y)], "base_GaussianCentroid")
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)

    def residuals(p):
        square = (u - p[2]) ** 2 + (v - p[3]) ** 2
        chosen = (np.hypot(u - x, v - y) >= 0.3 * 2.1) & (np.hypot(u - x, v - y) <= 3.5 * 2.1)
        return (p[1] + p[0] * np.exp(-0.5 * square / p[4] ** 2) - image)[chosen]

    fit = scipy.optimize.least_squares(residuals, [1000.0, 0.0, 70.0, 61.0, 1.5])
    name = "base_GaussianCentroid"
    # The pixels at the border of the fit's region may differ.
    assert catalog[f"{name}_x"][0] == pytest.approx(fit.x[2], abs=2e-3)
    assert catalog[f"{name}_y"][0] == pytest.approx(fit.x[3], abs=2e-3)
    assert not catalog[f"{name}_flag"][0]


def test_gaussian_centroid_of_a_hole_has_no_peak():
    hole = measure(exposure_of(-gaussian(SHAPE, 70.0, 60.0, 1e5)), [(70.0, 60.0)], "base_GaussianCentroid")
    assert hole["base_GaussianCentroid_flag"][0]
    assert hole["base_GaussianCentroid_x"][0] == 70.0
