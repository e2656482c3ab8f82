"""Filters, colour terms, defects, crosstalk, brighter-fatter kernel, bad channels."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.boxes import Box
from hscbox.camera.colorterms import ColorTerm, color_term
from hscbox.camera.crosstalk import crosstalk_matrix
from hscbox.camera.defects import bad_amplifiers, defects_for, defects_version
from hscbox.camera.filters import (
    all_filters,
    canonical_name,
    filter_by_canonical_name,
    filter_by_header_name,
    refcat_band,
    registry_name,
    rough_zero_point,
)
from hscbox.errors import CalibNotFoundError, ConfigError, UnsafeInputError


@pytest.mark.parametrize(
    ("header", "canonical", "band"),
    [
        ("HSC-G", "g", "g"),
        ("hsc-r", "r", "r"),
        ("HSC-R2", "r2", "r"),
        ("HSC-I2", "i2", "i"),
        ("HSC-Y", "y", "y"),
        ("NB0387", "N387", "g"),
        ("NB0816", "N816", "i"),
        ("NB0921", "N921", "z"),
        ("NB1010", "N1010", "y"),
        ("IB0945", "I945", "z"),
        ("W-S-R+", "r", "r"),
    ],
)
def test_filter_names(header: str, canonical: str, band: str) -> None:
    assert canonical_name(header) == canonical
    assert refcat_band(canonical) == band


def test_every_filter_is_found_by_its_names() -> None:
    for item in all_filters():
        assert filter_by_canonical_name(item.name) is item
        for name in (item.registry_name, *item.aliases):
            assert filter_by_header_name(name) is item
        assert registry_name(item.registry_name) == item.registry_name


def test_filter_numbers() -> None:
    assert rough_zero_point("r") == 29.0
    assert rough_zero_point("N656") == 28.0
    r = filter_by_canonical_name("r")
    assert (r.fiducial_zero_point, r.fiducial_sky, r.fiducial_psf_sigma, r.wavelength) == (
        27.1,
        6.26,
        1.86,
        623,
    )


def test_unknown_filters() -> None:
    with pytest.raises(ConfigError, match=r"'HSC-Q' is unknown, known are .*HSC-R2"):
        canonical_name("HSC-Q")
    with pytest.raises(ConfigError, match="'HSC-R' is unknown"):
        refcat_band("HSC-R")
    with pytest.raises(ConfigError, match="No reference catalogue band"):
        refcat_band("SH")
    with pytest.raises(UnsafeInputError):
        registry_name("a/b")


def test_color_terms() -> None:
    term = color_term("ps1_pv3_3pi_20170110", "r")
    assert term == ColorTerm("r", "i", 0.00279757, 0.02093734, -0.01877566)
    # 18.5 + 0.00279757 + 0.02093734 * 0.5 - 0.01877566 * 0.25, by hand
    assert term.magnitude(18.5, 18.0) == pytest.approx(18.508572325, abs=1e-9)
    assert color_term("sdss-dr9-fink-v5b", "y").primary == "z"
    assert color_term("hsc_udeep", "z") == ColorTerm("z", "z", 0.0, 0.0, 0.0)
    assert color_term("ps1_pv3", "i2", version=2025).c1 == -0.200406
    with pytest.raises(ConfigError, match="filter 'N656' with catalogue 'ps1_pv3'"):
        color_term("ps1_pv3", "N656")
    with pytest.raises(ConfigError, match="catalogue 'gaia_dr2'"):
        color_term("gaia_dr2", "r")


def test_defects_by_date() -> None:
    assert defects_for(0, "2013-01-31") == [Box(512, 0, 512, 4176)]
    assert defects_for(0, "2014-04-02") == defects_for(0, "2013-01-31")
    assert defects_version("2014-04-03") == "2014-04-03"
    assert defects_version("2040-01-01") == "2016-12-23"
    assert defects_for(55, "2015-10-10") == []
    # A whole channel of CCD 33 died on 2016-11-22, the next on 2016-12-23.
    assert Box(0, 0, 512, 4176) not in defects_for(33, "2016-11-21")
    assert Box(0, 0, 512, 4176) in defects_for(33, "2016-11-22")


def test_defects_are_clipped() -> None:
    assert Box(103, 2033, 1, 2143) in defects_for(17, "2013-11-02")
    for ccd in range(112):
        for box in defects_for(ccd, "2013-11-02"):
            assert 0 <= box.x0 <= box.x1 < 2048
            assert 0 <= box.y0 <= box.y1 < 4176
    assert defects_for(17, "2013-11-02", height=2033) == []
    assert defects_for(17, "2013-11-02", height=2035) == [Box(103, 2033, 1, 2)]


def test_no_defects_before_the_first_list() -> None:
    with pytest.raises(CalibNotFoundError, match="2012-12-31: the first begins on 2013-01-31"):
        defects_for(55, "2012-12-31")
    with pytest.raises(ValueError, match="not a date"):
        defects_for(55, "yesterday")


def test_crosstalk() -> None:
    expected = [[0, -125, -149, -156], [-124, 0, -132, -157], [-171, -134, 0, -153], [-157, -151, -137, 0]]
    np.testing.assert_allclose(crosstalk_matrix(), 1e-6 * np.array(expected), rtol=1e-12)


def test_brighter_fatter_kernel() -> None:
    kernel = brighter_fatter_kernel()
    assert kernel.shape == (17, 17)
    assert kernel[8, 8] == kernel.min() == pytest.approx(-4.653174e-07, rel=1e-6)
    assert kernel.sum() == pytest.approx(-4.606247e-06, rel=1e-6)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-22)
    # Charge repels along columns differently than along rows: rows of the table are rows of the image.
    assert kernel[7, 8] == pytest.approx(-1.372098e-07, rel=1e-6)
    assert kernel[8, 7] == pytest.approx(-1.584012e-07, rel=1e-6)


def test_bad_channels_agree_with_defects() -> None:
    for ccd, amplifier in ((9, 3), (9, 2), (33, 1), (33, 0), (43, 0)):
        assert amplifier in bad_amplifiers(ccd, "2017-09-22")
        channel = Box(512 * amplifier, 0, 512, 4176)
        assert any(channel.clip(box) == channel for box in defects_for(ccd, "2017-09-22"))
    assert bad_amplifiers(33, "2016-11-21") == []
    assert bad_amplifiers(55, "2020-01-01") == []
