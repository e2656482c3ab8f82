from __future__ import annotations

import logging

import numpy as np
import pytest

from hscbox.calibrate.photocal import (
    PhotoCalConfig,
    ReferenceMagnitudes,
    reference_magnitudes,
    select_matches,
    zero_point,
)
from hscbox.camera.colorterms import color_term
from hscbox.errors import PhotometryError

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


def test_each_cut_names_itself():
    config = PhotoCalConfig()
    none, one = np.zeros(0), np.ones(3)
    with pytest.raises(PhotometryError, match="No reference star"):
        select_matches(none.astype(bool), none, none, none, config)
    with pytest.raises(PhotometryError, match="bad flags"):
        select_matches(one.astype(bool), one * 0, one * 20, one, config)
    with pytest.raises(PhotometryError, match="point source"):
        select_matches(one < 0, one, one * 20, one, config)
    with pytest.raises(PhotometryError, match="brighter than magnitude 22"):
        select_matches(one < 0, one * 0, one * 23, one, config)


def test_gates():
    rng = np.random.default_rng(3)
    magnitude, flux, flux_error = _stars(rng, 2)
    with pytest.raises(PhotometryError, match="2 stars"):
        zero_point(_reference(magnitude), flux, flux_error, EVEN, LOG)
    # Differences spread evenly over 1.4 mag have a standard deviation of 0.4 mag.
    spread = 20 + np.linspace(-0.7, 0.7, 200)
    with pytest.raises(PhotometryError, match=r"scatters by 0\.\d+ mag, allowed"):
        zero_point(_reference(spread), np.full(200, 100.0), np.ones(200), EVEN, LOG)
