"""The shared numbers against other programs."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import stats
from astropy import units as u
from astropy.time import Time
from scipy.stats import norm

from hscbox.camera import time_scales
from hscbox.numerics import constants


def test_widths_of_a_gaussian() -> None:
    known = {
        constants.FWHM_PER_SIGMA: stats.gaussian_sigma_to_fwhm,
        constants.SIGMA_PER_IQR: 1.0 / (norm.ppf(0.75) - norm.ppf(0.25)),
        constants.SIGMA_PER_MAD: 1.0 / norm.ppf(0.75),
    }
    for ours, theirs in known.items():
        assert ours == pytest.approx(theirs, rel=1e-15, abs=0.0)
    # Of a round Gaussian, half the light lies within the radius where it has fallen to a half.
    assert np.exp(-0.5 * constants.HWHM_PER_SIGMA**2) == pytest.approx(0.5, rel=1e-15, abs=0.0)


def test_units() -> None:
    assert (1.0 * u.rad).to_value(u.arcsec) == pytest.approx(constants.ARCSEC_PER_RADIAN, rel=1e-15, abs=0.0)
    assert pytest.approx(1.0, rel=1e-15, abs=0.0) == constants.ARCSEC_PER_RADIAN * constants.RADIAN_PER_ARCSEC
    assert (0.0 * u.ABmag).to_value(u.Jy) == pytest.approx(constants.AB_ZERO_JY, rel=1e-4)
    # A flux that is one part in a million larger is that much brighter.
    assert 2.5e6 * np.log10(1.0 + 1e-6) == pytest.approx(constants.MAG_PER_RELATIVE, rel=1e-6)


def test_epochs() -> None:
    assert Time("1970-01-01", scale="utc").mjd == time_scales.UNIX_EPOCH_MJD
    assert Time("J2000", scale="tt").mjd == time_scales.J2000_MJD
    assert (Time("J2001") - Time("J2000")).to_value(u.day) == pytest.approx(time_scales.JULIAN_YEAR, rel=1e-12)
