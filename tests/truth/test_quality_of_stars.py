"""Numbers of stars on made-up frames: what was put in comes out, and errors are those of the textbook."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hscbox.image.psf import GaussianPsf
from hscbox.image.sky_wcs import SkyWcs
from hscbox.truth.cramer_rao import position_bound
from hscbox.truth.levels import LIMITS
from hscbox.truth.measures import clipped_spread, mean_of, median_of, robust_scatter
from hscbox.truth.quality_fluxes import flux_residuals, trend_numbers
from hscbox.truth.quality_positions import corner_numbers, corner_residuals, position_residuals
from hscbox.truth.quality_psf import psf_residuals
from hscbox.truth.quality_pulls import pull_residuals
from hscbox.truth.residuals import pooled
from hscbox.truth.scores import table_numbers
from hscbox.truth.selection import Pairs, bright_stars, expected_snr, isolated_stars, trend_stars

from .stars import GAIN, SIGMA, VARIANCE, WCS, frame, gaussian

LN = 2500 / np.log(10)


def test_bootstrap_finds_the_standard_errors_of_normal_data():
    values = np.random.default_rng(1).normal(3.0, 2.0, 2000)
    root = 2.0 / math.sqrt(2000)
    for measure, value, error in (
        (mean_of, 3.0, root),
        (median_of, 3.0, 1.2533 * root),
        (clipped_spread, 2.0, root / math.sqrt(2)),
        (robust_scatter, 2.0, 1.166 * root),
    ):
        found = measure(values)
        assert found.value == pytest.approx(value, abs=4 * error)
        # Of 200 resamples an error is known to 5 %; errors of quantiles to 20 %.
        assert found.error == pytest.approx(error, rel=0.3)
        assert measure(values) == found


def test_what_is_not_there_is_not_measured():
    nothing = np.full(5, np.nan)
    for measure in (mean_of, median_of, clipped_spread, robust_scatter):
        found = measure(nothing)
        assert math.isnan(found.value) and math.isnan(found.error) and found.n == 0
    alone = median_of(np.array([3.0]))
    assert alone.value == 3.0 and math.isnan(alone.error)


def test_slopes_of_flux_errors_come_out():
    made = frame((110.0, 2000.0))
    truth, sources = made.truth, made.sources
    rng = np.random.default_rng(2)
    u, v = (truth.x + 0.5) / 1200 - 0.5, (truth.y + 0.5) / 1600 - 0.5
    noise = rng.normal(0, 1, len(u)) * LN * sources["psf_fluxSigma"] / truth.flux
    wrong = 12.0 + 3.0 * (truth.magnitude - 20) + 5.0 * u - 4.0 * v + noise
    wrong[::50] += 300.0
    sources["psf_flux"] = truth.flux * 10 ** (-0.4 * wrong / 1000)
    stars = trend_stars(truth, sources, made.exposure)
    assert len(stars.rows) > 1000
    numbers = trend_numbers(flux_residuals(truth, sources, made.exposure, stars))
    for name, value in (("psf_magnitude_slope", 3.0), ("psf_gradient_x", 5.0), ("psf_gradient_y", -4.0)):
        assert abs(numbers[name].value - value) < 3.5 * numbers[name].error, name
        assert numbers[name].error < 0.6


def test_apertures_against_those_of_another_program():
    made = frame((300.0, 1000.0))
    image, rng = made.exposure.image, np.random.default_rng(4)
    for x, y, flux in zip(made.truth.x, made.truth.y, made.truth.flux, strict=True):
        rows, columns = (slice(round(centre) - 15, round(centre) + 16) for centre in (y, x))
        v, u = np.mgrid[rows, columns]
        # Sampled at sigma 2 the pixels of a Gaussian add up to its integral, 1e-8 of it beyond 12 pixels.
        image[rows, columns] += flux / (2 * np.pi * SIGMA**2) * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 2 / SIGMA**2)
    made.sources["aperture_flux"] = made.truth.flux * 10 ** (-0.4 * rng.normal(4.0, 2.0, len(made.truth.x)) / 1000)
    stars = bright_stars(made.truth, made.sources, made.exposure)
    numbers = table_numbers("bright_stars", flux_residuals(made.truth, made.sources, made.exposure, stars))
    for name, value in (("aperture_against_sep", 4.0), ("aperture_against_sep_scatter", 2.0)):
        assert abs(numbers[name].value - value) < 3.5 * numbers[name].error, name
        assert numbers[name].error < 0.2
    made.sources["aperture_flux"] = made.truth.flux
    exact = flux_residuals(made.truth, made.sources, made.exposure, stars)["aperture_against_sep"]
    assert np.abs(exact).max() < 0.01


def test_zero_points_and_scatter_of_two_frames():
    made = frame((300.0, 1000.0))
    rng = np.random.default_rng(3)
    parts = []
    for zero in (5.0, -3.0):
        for column, sigma in (("psf", 2.0), ("aperture", 6.0)):
            difference = zero + rng.normal(0, sigma, len(made.truth.x))
            made.sources[f"{column}_flux"] = made.truth.flux * 10 ** (-0.4 * difference / 1000)
        stars = bright_stars(made.truth, made.sources, made.exposure)
        parts.append({"stars": flux_residuals(made.truth, made.sources, made.exposure, stars)})
    one, both = (table_numbers("bright_stars", part["stars"]) for part in (parts[0], pooled(parts)))
    assert one["psf_zero_point_error"].value == pytest.approx(5.0, abs=0.3)
    assert one["aperture_zero_point_error"].value == pytest.approx(5.0, abs=0.9)
    # The scatter of two frames is that within each of them.
    assert both["psf_scatter"].value == pytest.approx(2.0, abs=0.2)
    assert both["aperture_scatter"].value == pytest.approx(6.0, abs=0.6)
    assert both["psf_scatter"].n == 2 * one["psf_scatter"].n


def test_corners_see_an_offset_and_a_wrong_scale():
    made = frame((300.0, 1000.0))
    exposure = replace(made.exposure, wcs=SkyWcs(WCS.crpix, (150.0, 2.0 + 7e-3 / 3600), WCS.cd))
    assert corner_numbers(corner_residuals(made.truth, exposure))["astrometry_worst_corner"].value == pytest.approx(
        7.0, abs=0.02
    )
    stars = Pairs(made.stars, made.stars)
    rms = table_numbers("positions", position_residuals(made.truth, made.sources, exposure, stars))
    assert rms["astrometry_rms_dec"].value == pytest.approx(7.0, abs=0.01)
    assert rms["astrometry_rms_ra"].value == pytest.approx(0.0, abs=0.01)
    # 1e-5 of the distance from (600, 800) to the corners (0, 0), 168 mas a pixel.
    wide = replace(made.exposure, wcs=SkyWcs(WCS.crpix, WCS.crval, WCS.cd * (1 + 1e-5)))
    assert corner_numbers(corner_residuals(made.truth, wide))["astrometry_worst_corner"].value == pytest.approx(
        1.68, abs=0.02
    )


def test_cramer_rao_bound_of_a_gaussian():
    flux = 1e4
    sky = math.sqrt(8 * math.pi * VARIANCE) * SIGMA**2 / flux
    assert position_bound(gaussian(), flux, VARIANCE, 1e12) == pytest.approx((sky, sky), rel=1e-6)
    photons = SIGMA / math.sqrt(flux * GAIN)
    # A little sky keeps the weights of pixels without light finite.
    assert position_bound(gaussian(), flux, 1e-6, GAIN) == pytest.approx((photons, photons), rel=1e-3)
    # Elliptic: the information on x is F^2 / (8 pi V sx^3 sy).
    x, y = position_bound(gaussian(1.8, 2.5), flux, VARIANCE, 1e12)
    assert x == pytest.approx(math.sqrt(8 * math.pi * VARIANCE * 1.8 * 2.5) * 1.8 / flux, rel=1e-6)
    assert y / x == pytest.approx(2.5 / 1.8, rel=1e-6)


def test_pulls_of_errors_that_are_too_small():
    made = frame((25.0, 240.0))
    truth, sources, rng = made.truth, made.sources, np.random.default_rng(4)
    n = len(truth.x)
    sources["psf_flux"] = 0.98 * truth.flux + rng.normal(0, 1.25, n) * sources["psf_fluxSigma"]
    sources["ext_photometryKron_KronFlux_flux"] = 0.9 * truth.flux + rng.normal(0, 0.8, n) * sources["psf_fluxSigma"]
    bound = np.array([position_bound(gaussian(), flux, VARIANCE, GAIN)[0] for flux in truth.flux])
    for axis, factor in (("x", 1.1), ("y", 1.0)):
        sources[f"centroid_{axis}"] += rng.normal(0, factor, n) * bound
        sources[f"centroid_{axis}Sigma"] = bound
    stars = isolated_stars(truth, sources, made.exposure, (20.0, 250.0))
    assert len(stars.rows) == n
    numbers = table_numbers("pulls", pull_residuals(truth, sources, made.exposure, stars))
    for name, value in {
        "psf_pull": 1.25,
        "kron_pull": 0.8,
        "centroid_pull_x": 1.1,
        "centroid_pull_y": 1.0,
        "centroid_bound_x": 1.1,
        "centroid_bound_y": 1.0,
    }.items():
        assert numbers[name].value == pytest.approx(value, rel=3.5 / math.sqrt(2 * n)), name
        assert numbers[name].error == pytest.approx(value / math.sqrt(2 * n), rel=0.3), name


def test_neighbours_take_a_star_from_the_isolated_ones():
    made = frame((25.0, 240.0))
    flux = made.truth.flux.copy()
    # The first star gets a neighbour of 5 % of its flux; the second one far away keeps its place.
    x, y = made.truth.x.copy(), made.truth.y.copy()
    x[2], y[2], flux[2] = x[0] + 10, y[0], 0.05 * flux[0]
    truth = replace(made.truth, x=x, y=y, flux=flux)
    chosen = isolated_stars(truth, made.sources, made.exposure, (20.0, 250.0)).truth
    assert 0 not in chosen and 1 in chosen


def test_stars_of_a_blend_are_not_isolated():
    made = frame((25.0, 240.0))
    made.sources["parent"][3] = 7
    chosen = isolated_stars(made.truth, made.sources, made.exposure, (20.0, 250.0)).truth
    assert 3 not in chosen and len(chosen) == len(made.truth.x) - 1


def test_expected_signal_to_noise_counts_electrons():
    """Photon noise of 3 electrons per ADU: the fluxes were made for these limits."""
    made = frame((25.0, 2500.0))
    expected = expected_snr(made.truth, made.exposure)
    noise = made.sources["psf_fluxSigma"]
    np.testing.assert_allclose(expected, made.truth.flux / noise, rtol=2e-3)
    assert 25 * 0.99 < expected.min() < 30 and 2000 < expected.max() < 2500 * 1.01


def test_psf_model_that_is_one_per_cent_too_large():
    made = frame((300.0, 1000.0))
    stamps = np.repeat(gaussian(2.0, 2.1)[None], len(made.truth.psf_xy), axis=0)
    truth = replace(made.truth, psf_stamps=stamps)
    radius = math.sqrt(2.0 * 2.1)
    exposure = replace(made.exposure, psf=GaussianPsf(41, 1.01 * radius))
    table = psf_residuals(truth, exposure, truth.psf_xy[:3])
    numbers = table_numbers("psf", table)
    assert len(table["size"]) == len(truth.psf_xy) - 3
    assert numbers["psf_size_median"].value == pytest.approx(1.0, abs=0.02)
    assert numbers["psf_size_rms"].value == pytest.approx(1.0, abs=0.02)
    wanted = -(2.0**2 - 2.1**2) / (2.0**2 + 2.1**2)
    assert numbers["psf_e1_median"].value == pytest.approx(wanted, rel=0.01)
    assert numbers["psf_e1_rms"].value == pytest.approx(wanted, rel=0.01)
    assert numbers["psf_e2_median"].value == pytest.approx(0.0, abs=1e-6)


def test_columns_that_a_catalogue_lacks_are_not_measured():
    made = frame((25.0, 240.0), complete=False)
    stars = isolated_stars(made.truth, made.sources, made.exposure, (20.0, 250.0))
    numbers = table_numbers("pulls", pull_residuals(made.truth, made.sources, made.exposure, stars))
    assert math.isnan(numbers["kron_pull"].value) and numbers["kron_pull"].n == 0
    limit = next(limit for limit in LIMITS if limit.name == "kron_pull")
    assert limit.holds(numbers["kron_pull"], "floor") and not limit.holds(numbers["kron_pull"], "target")
