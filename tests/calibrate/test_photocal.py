from __future__ import annotations

import logging

import numpy as np
import pytest

from hscbox.calibrate.photo_selection import PhotoCalConfig, select_matches
from hscbox.calibrate.photocal import ReferenceMagnitudes, reference_magnitudes, zero_point
from hscbox.camera.colorterms import color_term
from hscbox.errors import MagnitudeCutError, NoPhotometryMatchError, PhotometryError, ZeroPointGateError

LOG = logging.getLogger("test")
EVEN = PhotoCalConfig()
EVEN.magErrFloor = 0.0


def _reference(magnitude, error=0.0):
    return ReferenceMagnitudes(magnitude, np.full(len(magnitude), error))


def _stars(rng, n, scatter=0.02, true=33.3):
    magnitude = rng.uniform(17, 21.5, n)
    error = np.full(n, scatter)
    flux = 10 ** (-0.4 * (magnitude - true)) * 10 ** (-0.4 * rng.normal(0, scatter, n))
    return magnitude, flux, error * flux * np.log(10) / 2.5


def test_zero_point_and_its_error():
    magnitude, flux, flux_error = _stars(np.random.default_rng(1), 400)
    result = zero_point(_reference(magnitude), flux, flux_error, EVEN, LOG)
    assert result.error == pytest.approx(0.02 / np.sqrt(result.n_good), rel=1e-6)
    assert abs(result.value - 33.3) < 4 * result.error
    # 3-sigma clipping leaves 99.7 % of a Gaussian and shortens its standard deviation by 1.3 %.
    assert result.scatter == pytest.approx(0.02, rel=0.12)


def test_variable_and_mismatched_stars_are_clipped():
    rng = np.random.default_rng(2)
    magnitude, flux, flux_error = _stars(rng, 200)
    magnitude[:40] += rng.uniform(0.5, 3, 40)
    result = zero_point(_reference(magnitude), flux, flux_error, EVEN, LOG)
    assert not result.kept[:40].any()
    assert abs(result.value - 33.3) < 4 * result.error


def test_colour_term_by_hand():
    term = color_term("ps1_pv3_3pi_20170110", "r")
    # r = 20, i = 19.5 in Jy; m = r + 0.00279757 + 0.02093734*0.5 - 0.01877566*0.25 (algorithm of the 2017 table)
    flux_r, flux_i = 3631 * 10 ** (-0.4 * np.array([20.0])), 3631 * 10 ** (-0.4 * np.array([19.5]))
    expected = 20 + 0.00279757 + 0.02093734 * 0.5 - 0.01877566 * 0.25
    found = reference_magnitudes((flux_r, 0.01 * flux_r), (flux_i, 0.02 * flux_i), term)
    assert found.value[0] == pytest.approx(expected, abs=1e-12)
    # dm/dr = 1 + c1 + 2 c2 (r - i), dm/di = -(c1 + 2 c2 (r - i)); 1 % of flux is 0.010857 mag.
    slope = 0.02093734 - 2 * 0.01877566 * 0.5
    assert found.error[0] == pytest.approx(0.010857362 * np.hypot(1 + slope, 2 * slope), rel=1e-6)


def test_a_bright_star_with_a_bad_reference_does_not_decide():
    magnitude, flux, flux_error = _stars(np.random.default_rng(4), 100)
    error = np.full(100, 0.005)
    magnitude[0], flux_error[0], error[0] = magnitude[0] + 0.05, 1e-5 * flux[0], 0.05
    result = zero_point(ReferenceMagnitudes(magnitude, error), flux, flux_error, EVEN, LOG)
    assert abs(result.value - 33.3) < 4 * 0.02 / np.sqrt(100)


def _cut(error, match, *columns):
    with pytest.raises(error, match=match) as caught:
        select_matches(*columns, PhotoCalConfig())
    assert caught.value.exit_status == 20
    return caught.value


def test_each_cut_has_its_own_error_with_numbers():
    none, one = np.zeros(0), np.ones(3)
    error = _cut(NoPhotometryMatchError, "No input matches: 0", none.astype(bool), none, none, none)
    assert error.code == "no-input-matches" and error.numbers == {"matches": 0}
    error = _cut(NoPhotometryMatchError, "all 3 have bad flags", one.astype(bool), one * 0, one * 20, one)
    assert error.numbers == {"matches": 3}
    flagged = np.array([True, False, False])
    error = _cut(NoPhotometryMatchError, "none of 2 unflagged ones of 3", flagged, one, one * 20, one)
    assert error.numbers == {"matches": 3, "unflagged": 2}
    extended = np.array([1.0, 0.0, 0.0])
    error = _cut(
        MagnitudeCutError, "none of 2 stars of 3 matches is brighter than 22", one < 0, extended, one * 23, one
    )
    assert error.code == "empty-after-magnitude-cut"
    assert error.numbers == {"matches": 3, "stars": 2}


def test_gates_of_number_and_scatter():
    rng = np.random.default_rng(3)
    magnitude, flux, flux_error = _stars(rng, 2)
    with pytest.raises(PhotometryError, match="2 of 2 stars") as caught:
        zero_point(_reference(magnitude), flux, flux_error, EVEN, LOG)
    assert caught.value.numbers == {"stars": 2, "given": 2, "needed": 3}
    # Differences spread evenly over 1.4 mag have a standard deviation of 0.4 mag.
    spread = 20 + np.linspace(-0.7, 0.7, 200)
    with pytest.raises(ZeroPointGateError, match=r"scatters by 0\.4\d+ mag, allowed"):
        zero_point(_reference(spread), np.full(200, 100.0), np.ones(200), EVEN, LOG)
    # Stars without any scatter are one number repeated.
    with pytest.raises(ZeroPointGateError, match=r"scatters by 0\.000 mag"):
        zero_point(_reference(np.full(9, 20.0), 0.01), np.full(9, 100.0), np.ones(9), EVEN, LOG)


@pytest.mark.parametrize(
    ("typical", "passes"), [(33.2, True), (37.2, True), (37.4, False), (32.4, True), (32.2, False)]
)
def test_gate_of_the_plausible_range(typical, passes):
    """The stars give 33.3: up to 4 mag below the typical one by clouds, up to 1 above."""
    magnitude, flux, flux_error = _stars(np.random.default_rng(5), 100)
    if passes:
        zero_point(_reference(magnitude), flux, flux_error, EVEN, LOG, typical)
        return
    with pytest.raises(ZeroPointGateError, match=r"is 33\.\d+, allowed is \d+\.\d+ to") as caught:
        zero_point(_reference(magnitude), flux, flux_error, EVEN, LOG, typical)
    assert caught.value.code == "zero-point-gate" and caught.value.numbers["stars"] >= 95


def test_noise_of_the_reference_does_not_bias():
    """References whose error is that of the sky (S/N 5 to 20), stated with their noisy flux as catalogues do.

    Weighted by the stated relative errors, the mean would be -2.2 sigma^2 + 0.5 sigma^2 = 20 mmag too bright.
    """
    rng = np.random.default_rng(6)
    n = 40000
    magnitude = 20 + np.zeros(n)
    true = 3631 * 10 ** (-0.4 * magnitude)
    observed = true * (1 + 0.1 * rng.normal(size=n))
    reference = reference_magnitudes((observed, 0.1 * true), (observed, 0.1 * true), None)
    flux = np.full(n, 10 ** (0.4 * 13.3))
    result = zero_point(reference, flux, 1e-3 * flux, EVEN, LOG)
    # What is left is the logarithm's own 1.086 sigma^2 / 2 = 5.4 mmag, towards faint.
    assert result.value - 33.3 == pytest.approx(0.0054, abs=0.003)


def test_colour_terms_of_both_years():
    # By hand from the two lists, for r - i = 0.5.
    old, new = (color_term("ps1_pv3_3pi_20170110", "r", version).magnitude(20.0, 19.5) for version in (2017, 2025))
    assert old == pytest.approx(20 + 0.00279757 + 0.02093734 * 0.5 - 0.01877566 * 0.25, abs=1e-12)
    assert new == pytest.approx(20 - 0.000144 + 0.001369 * 0.5 - 0.00838 * 0.25, abs=1e-12)
    config = PhotoCalConfig()
    config.colorTermVersion = 2025
    config.validate()
