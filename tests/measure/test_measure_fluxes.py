from __future__ import annotations

import galsim
import numpy as np
import pytest
from scipy.special import ive

from hscbox.image.psf import GaussianPsf
from hscbox.measure.pixels import SourcePixels, gather_pixels
from hscbox.measure.plugins.circular_aperture_flux import _nested_fluxes, sinc_fluxes
from hscbox.measure.sinc_aperture import ellipse_weights, sinc_half_width, sine_integral_table

from .fields import SIGMA, disc, exposure_of, gaussian, measure

SHAPE = (180, 190)
POSITION = (95.31, 88.64)


def pixels_of(image, *positions):
    work = image.astype(np.float32)
    start, index, value = gather_pixels(work, [disc(image.shape, x, y) for x, y in positions])
    return SourcePixels(work, start, index, value, work.reshape(-1)[index])


@pytest.mark.parametrize("sigma", [1.3, 2.0])
@pytest.mark.parametrize("radius", [3.0, 4.5, 6.0, 9.0, 12.0])
@pytest.mark.parametrize("position", [(95.0, 88.0), (95.5, 87.5), POSITION])
def test_sinc_aperture_gives_the_analytic_flux_of_a_gaussian(sigma, radius, position):
    image = gaussian(SHAPE, *position, 1e5, (sigma**2, sigma**2, 0.0))
    x, y = (np.array([c]) for c in position)
    variance = np.ones(SHAPE, np.float32)
    flux, error, flags = sinc_fluxes(pixels_of(image, position), variance, x, y, radius, sine_integral_table())
    assert flux[0] == pytest.approx(1e5 * (1 - np.exp(-(radius**2) / (2 * sigma**2))), rel=1e-4)
    # The weights are 1 inside and 0 outside but for their oscillations.
    assert error[0] ** 2 == pytest.approx(np.pi * radius**2, rel=0.12)
    assert flags[0] == 0


def test_elliptical_weights_integrate_an_elliptical_gaussian():
    q = np.array([[6.0, 1.5], [1.5, 3.0]])
    a, dx, dy, half = 3.2, 0.27, -0.41, 24
    image = gaussian((49, 49), half + dx, half + dy, 1.0, (6.0, 3.0, 1.5))
    e = a * a * q
    weights = ellipse_weights(e[0, 0], e[1, 1], e[0, 1], dx, dy, half, half, sine_integral_table())
    assert (weights * image).sum() == pytest.approx(1 - np.exp(-(a**2) / 2), abs=1e-5)
    # A short stamp of weights loses next to nothing.
    hx, hy = sinc_half_width(np.sqrt(e[0, 0])), sinc_half_width(np.sqrt(e[1, 1]))
    short = ellipse_weights(e[0, 0], e[1, 1], e[0, 1], dx, dy, hx, hy, sine_integral_table())
    part = image[half - hy : half + hy + 1, half - hx : half + hx + 1]
    assert (short * part).sum() == pytest.approx((weights * image).sum(), abs=2e-5)


def test_large_apertures_sum_the_pixels_whose_centres_are_inside():
    rng = np.random.default_rng(2)
    image, variance = rng.normal(size=SHAPE), rng.uniform(1, 2, SHAPE).astype(np.float32)
    radii = np.array([17.0, 25.0, 35.0, 70.0])
    positions = [POSITION, (100.0, 90.0), (40.0, 90.0)]
    x, y = np.array(positions).T
    flux, error, flags = _nested_fluxes(pixels_of(image, *positions), variance, x, y, radii)
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for i, (cx, cy) in enumerate(positions):
        for k, radius in enumerate(radii):
            if cx - radius < -0.5:
                assert np.isnan(flux[i, k]) and flags[i, k] == 1
                continue
            inside = np.hypot(u - cx, v - cy) <= radius
            assert flux[i, k] == pytest.approx(image[inside].astype(np.float32).sum(dtype=float), abs=1e-4)
            assert error[i, k] == pytest.approx(np.sqrt(variance[inside].sum(dtype=float)), rel=1e-6)


def test_aperture_flags_at_the_border():
    image = gaussian(SHAPE, 7.0, 90.0, 1e5) + gaussian(SHAPE, 95.0, 90.0, 1e5)
    catalog = measure(exposure_of(image), [(7.0, 90.0), (95.0, 90.0)], "base_CircularApertureFlux")
    name = "base_CircularApertureFlux"
    assert catalog[f"{name}_6_0_flag_sincCoeffsTruncated"].tolist() == [True, False]
    assert catalog[f"{name}_6_0_flag_apertureTruncated"].tolist() == [False, False]
    assert catalog[f"{name}_9_0_flag_apertureTruncated"].tolist() == [True, False]
    assert catalog[f"{name}_17_0_flag"].tolist() == [True, False]
    assert np.isnan(catalog[f"{name}_17_0_flux"][0])
    assert catalog[f"{name}_12_0_flux"][1] == pytest.approx(1e5, rel=1e-4)


def test_psf_flux_of_the_psf_itself_is_exact():
    psf = GaussianPsf(41, SIGMA)
    stamp, x0, y0 = psf.image(*POSITION)
    image = np.zeros(SHAPE)
    image[y0 : y0 + 41, x0 : x0 + 41] = 12345.0 * stamp
    catalog = measure(exposure_of(image, psf=psf), [POSITION], "base_PsfFlux")
    # The centroid is found, not given: 0.003 px off.
    assert catalog["base_PsfFlux_flux"][0] == pytest.approx(12345.0, rel=1e-5)
    assert not catalog["base_PsfFlux_flag"][0]


def test_psf_flux_error_matches_scatter():
    rng = np.random.default_rng(4)
    clean, sky, flux = gaussian(SHAPE, *POSITION, 2e4), 10.0, []
    for _ in range(150):
        catalog = measure(exposure_of(clean + rng.normal(0, sky, SHAPE), sky**2), [POSITION], "base_PsfFlux")
        flux.append(catalog["base_PsfFlux_flux"][0])
    expected = sky * np.sqrt(4 * np.pi) * SIGMA
    assert catalog["base_PsfFlux_fluxSigma"][0] == pytest.approx(expected, rel=1e-3)
    assert np.std(flux) == pytest.approx(expected, rel=0.15)
    assert np.mean(flux) == pytest.approx(2e4, abs=4 * expected / np.sqrt(150))


def test_psf_flux_at_the_border_is_flagged():
    image = gaussian(SHAPE, 25.0, 15.0, 1e5)
    catalog = measure(exposure_of(image), [(25.0, 15.0)], "base_PsfFlux")
    assert catalog["base_PsfFlux_flag_edge"][0] and catalog["base_PsfFlux_flag"][0]
    assert catalog["base_PsfFlux_flux"][0] == pytest.approx(1e5, rel=0.01)


def test_gaussian_flux_of_an_elliptical_gaussian():
    image = gaussian(SHAPE, *POSITION, 5e4, (5.0, 3.0, 1.0))
    catalog = measure(exposure_of(image, 4.0), [POSITION], "base_GaussianFlux")
    assert catalog["base_GaussianFlux_flux"][0] == pytest.approx(5e4, rel=1e-3)
    # Its shape is fitted too, which doubles the variance of a flux under a known Gaussian.
    area = 2 * 4 * np.pi * np.sqrt(5.0 * 3.0 - 1.0)
    assert catalog["base_GaussianFlux_fluxSigma"][0] == pytest.approx(2.0 * np.sqrt(area), rel=2e-3)


def test_kron_flux_of_a_round_gaussian():
    # <r> = sigma sqrt(pi/2); the aperture of 2.5 <r> holds 1 - exp(-2.5^2 pi/4) of the flux.
    sigma = 3.0
    image = gaussian(SHAPE, *POSITION, 1e6, (sigma**2, sigma**2, 0.0))
    catalog = measure(exposure_of(image), [POSITION], "ext_photometryKron_KronFlux")
    name = "ext_photometryKron_KronFlux"
    assert not catalog[f"{name}_flag"][0]
    assert catalog[f"{name}_radius"][0] == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=5e-3)
    assert catalog[f"{name}_psf_radius"][0] == pytest.approx(SIGMA * np.sqrt(np.pi / 2), rel=1e-3)
    assert catalog[f"{name}_radius_for_radius"][0] == pytest.approx(6 * sigma, rel=2e-3)
    assert catalog[f"{name}_flux"][0] == pytest.approx(1e6 * (1 - np.exp(-(2.5**2) * np.pi / 4)), rel=2e-3)


def test_kron_flux_of_an_exponential_disc():
    scale = 6.0
    image = galsim.Exponential(scale_radius=scale).drawImage(nx=401, ny=401, scale=1, dtype=float).array * 1e6
    catalog = measure(exposure_of(image), [(200.0, 200.0)], "ext_photometryKron_KronFlux")
    name = "ext_photometryKron_KronFlux"
    limit = catalog[f"{name}_radius_for_radius"][0] / scale
    # Integrals of r^2 exp(-r) and r exp(-r) up to the limit.
    second = 2 - np.exp(-limit) * (limit**2 + 2 * limit + 2)
    first = 1 - np.exp(-limit) * (limit + 1)
    radius = scale * second / first
    assert catalog[f"{name}_radius"][0] == pytest.approx(radius, rel=0.01)
    reach = 2.5 * radius / scale
    assert catalog[f"{name}_flux"][0] == pytest.approx(1e6 * (1 - np.exp(-reach) * (1 + reach)), rel=5e-3)


def test_kron_radius_of_a_compact_source_is_that_of_the_psf():
    image = gaussian(SHAPE, *POSITION, 1e5, (1.0, 1.0, 0.0))
    catalog = measure(exposure_of(image), [POSITION], "ext_photometryKron_KronFlux")
    name = "ext_photometryKron_KronFlux"
    assert catalog[f"{name}_flag_small_radius"][0] and catalog[f"{name}_flag_used_psf_radius"][0]
    assert catalog[f"{name}_radius"][0] == pytest.approx(catalog[f"{name}_psf_radius"][0])


def test_convolved_flux_is_that_of_the_convolved_gaussian():
    plugins = ("ext_photometryKron_KronFlux", "ext_convolved_ConvolvedFlux")
    catalog = measure(exposure_of(gaussian(SHAPE, *POSITION, 1e5)), [POSITION], *plugins)
    name = "ext_convolved_ConvolvedFlux"
    assert catalog[f"{name}_seeing"][0] == pytest.approx(SIGMA, rel=1e-3)
    # 3.5 px FWHM is sharper than the PSF of 3.53 px.
    assert catalog[f"{name}_0_deconv"][0] and not catalog[f"{name}_1_deconv"][0]
    for k, target in ((1, 5.0), (2, 6.5), (3, 8.0)):
        sigma = target / 2.354820045
        for label, radius in (("3_3", 3.3), ("4_5", 4.5), ("6_0", 6.0)):
            expected = 1e5 * (1 - np.exp(-(radius**2) / (2 * sigma**2)))
            assert catalog[f"{name}_{k}_{label}_flux"][0] == pytest.approx(expected, rel=2e-3)
        reach = 2.5 * catalog["ext_photometryKron_KronFlux_radius"][0]
        expected = 1e5 * (1 - np.exp(-(reach**2) / (2 * sigma**2)))
        assert catalog[f"{name}_{k}_kron_flux"][0] == pytest.approx(expected, rel=2e-3)
    assert not catalog[f"{name}_flag"][0]


def test_error_of_a_convolved_flux_contains_the_covariance():
    """Of a disc of radius r, convolved with a Gaussian of sigma s, in white noise of variance V.

    V 2 pi r^2 int J1(r k)^2 exp(-s^2 k^2) dk / k is V pi r^2 (1 - exp(-a) (I0(a) + I1(a))) with a = r^2 / (2 s^2).
    """
    name = "ext_convolved_ConvolvedFlux"
    exposure = exposure_of(gaussian(SHAPE, *POSITION, 1e5), 9.0)
    catalog = measure(exposure, [POSITION], "ext_photometryKron_KronFlux", name)
    for k, target in ((1, 5.0), (2, 6.5), (3, 8.0)):
        square = (target / 2.354820045) ** 2 - SIGMA**2
        for label, radius in (("3_3", 3.3), ("4_5", 4.5), ("6_0", 6.0)):
            a = radius**2 / (2 * square)
            expected = 3.0 * np.sqrt(np.pi * radius**2 * (1 - ive(0, a) - ive(1, a)))
            # The kernel ends at four sigmas and is sampled at whole pixels.
            assert catalog[f"{name}_{k}_{label}_fluxSigma"][0] == pytest.approx(expected, rel=0.01)


def test_errors_of_fluxes_and_centroid_match_the_scatter():
    rng = np.random.default_rng(21)
    places = [(30 + 40 * i, 30 + 40 * j) for i in range(9) for j in range(9)]
    kron, found = "ext_photometryKron_KronFlux", []
    for flux in (2e4, 2e4, 1e5, 1e5):
        positions = [tuple(np.array(place) + rng.uniform(-0.5, 0.5, 2)) for place in places]
        light = sum(gaussian((390, 390), *position, flux) for position in positions)
        variance = (light + 2000.0) / 3
        exposure = exposure_of(light + rng.normal(size=light.shape) * np.sqrt(variance))
        exposure.variance[:] = variance
        catalog = measure(exposure, positions, "base_PsfFlux", "base_GaussianFlux", kron)
        x, y = np.transpose(positions)
        pulls = []
        for axis, truth in (("x", x), ("y", y)):
            miss = catalog[f"base_SdssCentroid_{axis}"] - truth
            pulls.append(miss / catalog[f"base_SdssCentroid_{axis}Sigma"])
        for name in ("base_PsfFlux", "base_GaussianFlux", kron):
            values = catalog[f"{name}_flux"]
            pulls.append((values - values.mean()) / catalog[f"{name}_fluxSigma"])
        found.append(pulls)
    # 324 stars give the widths to 4 per cent.
    assert np.std(np.concatenate(found, axis=1), axis=1) == pytest.approx(np.ones(5), abs=0.12)
