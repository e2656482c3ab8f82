from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from hscbox.camera.camera import load_camera
from hscbox.camera.distortion import pixel_to_sky
from hscbox.camera.visit_info import VisitInfo
from hscbox.errors import DamagedInputError
from hscbox.image.sky_wcs import SkyWcs
from hscbox.image.wcs import initial_wcs


def as_header(wcs: SkyWcs) -> fits.Header:
    return fits.Header([fits.Card(key, value) for key, value in wcs.to_cards()])


def positions() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.uniform(-50, 2100, 300), rng.uniform(-50, 4230, 300)


def without_distortion(wcs: SkyWcs) -> SkyWcs:
    return SkyWcs(wcs.crpix, wcs.crval, wcs.cd)


@pytest.mark.parametrize("distorted", [True, False])
def test_forward_agrees_with_astropy(sip_wcs: SkyWcs, distorted: bool) -> None:
    wcs = sip_wcs if distorted else without_distortion(sip_wcs)
    x, y = positions()
    ra, dec = wcs.pixel_to_sky(x, y)
    expected_ra, expected_dec = WCS(as_header(wcs)).all_pix2world(x, y, 0)
    arcsec = np.hypot((ra - expected_ra) * np.cos(np.deg2rad(dec)), dec - expected_dec) * 3600
    assert arcsec.max() < 0.168 * 1e-7


def test_inverse_returns_to_the_pixel(sip_wcs: SkyWcs) -> None:
    x, y = positions()
    back_x, back_y = sip_wcs.sky_to_pixel(*sip_wcs.pixel_to_sky(x, y))
    assert np.abs(back_x - x).max() < 1e-8 and np.abs(back_y - y).max() < 1e-8


def test_inverse_agrees_with_astropy(sip_wcs: SkyWcs) -> None:
    x, y = positions()
    ra, dec = WCS(as_header(sip_wcs)).all_pix2world(x, y, 0)
    back_x, back_y = sip_wcs.sky_to_pixel(ra, dec)
    assert np.abs(back_x - x).max() < 1e-6 and np.abs(back_y - y).max() < 1e-6


@pytest.mark.parametrize("dec", [-89.99, -45.0, 0.0, 89.9])
def test_across_ra_zero_and_near_the_poles(sip_wcs: SkyWcs, dec: float) -> None:
    wcs = SkyWcs(sip_wcs.crpix, (0.001, dec), sip_wcs.cd, sip_wcs.a, sip_wcs.b)
    x, y = positions()
    ra, dec_out = wcs.pixel_to_sky(x, y)
    assert ra.min() >= 0 and ra.max() < 360
    expected_ra, expected_dec = WCS(as_header(wcs)).all_pix2world(x, y, 0)
    assert np.abs((ra - expected_ra + 180) % 360 - 180).max() * np.cos(np.deg2rad(dec)) < 1e-11
    assert np.abs(dec_out - expected_dec).max() < 1e-11
    back_x, back_y = wcs.sky_to_pixel(ra, dec_out)
    assert np.hypot(back_x - x, back_y - y).max() < 1e-6


def test_opposite_side_of_the_sky_has_no_pixel(sip_wcs: SkyWcs) -> None:
    x, y = sip_wcs.sky_to_pixel([330.1, 150.1163], [-2.2, 2.2058])
    assert np.isnan(x[0]) and np.isnan(y[0])
    assert (x[1], y[1]) == pytest.approx(sip_wcs.crpix)


def test_pixel_area_is_that_of_the_corners_on_the_sphere(sip_wcs: SkyWcs) -> None:
    x, y = 1700.0, 3900.0
    ra, dec = sip_wcs.pixel_to_sky(
        np.array([x - 0.5, x + 0.5, x + 0.5, x - 0.5]), np.array([y - 0.5, y - 0.5, y + 0.5, y + 0.5])
    )
    east, north = (ra - ra[0]) * np.cos(np.deg2rad(dec.mean())), dec - dec[0]
    shoelace = abs(np.sum(east * np.roll(north, -1) - north * np.roll(east, -1))) / 2
    assert sip_wcs.pixel_area(x, y) == pytest.approx(shoelace * 3600**2, rel=1e-5)


def test_cards_round_trip_exactly(sip_wcs: SkyWcs) -> None:
    for wcs in (sip_wcs, without_distortion(sip_wcs)):
        assert SkyWcs.from_header(dict(wcs.to_cards())) == wcs


def test_header_spellings() -> None:
    base = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRPIX1": 11.0,
        "CRPIX2": 21.0,
        "CRVAL1": 10.0,
        "CRVAL2": 20.0,
    }
    cdelt = SkyWcs.from_header({**base, "CDELT1": -2e-5, "CDELT2": 3e-5, "PC1_2": 0.5})
    cd = SkyWcs.from_header({**base, "CD1_1": -2e-5, "CD1_2": -1e-5, "CD2_2": 3e-5})
    assert cdelt == cd
    assert cd is not None and cd.crpix == (10.0, 20.0)
    assert SkyWcs.from_header({"CRPIX1": 1.0}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"CTYPE1": "RA---SIN"},
        {"CRPIX2": "twelve"},
        {"CD1_1": 0.0},
        {"A_ORDER": 12},
        {"A_ORDER": None},
        {"CRVAL2": float("inf")},
    ],
    ids=str,
)
def test_hostile_headers(sip_wcs: SkyWcs, change: dict[str, object]) -> None:
    header: dict[str, object] = dict(
        without_distortion(sip_wcs).to_cards() if "CD1_1" in change else sip_wcs.to_cards()
    )
    header.update(change)
    if "CD1_1" in change:
        header.update({"CD1_2": 0.0})
    with pytest.raises(DamagedInputError):
        SkyWcs.from_header(header)


def test_shifted(sip_wcs: SkyWcs) -> None:
    moved = sip_wcs.shifted(-100, -200)
    assert np.array_equal(moved.pixel_to_sky(10.0, 20.0), sip_wcs.pixel_to_sky(110.0, 220.0))


@pytest.mark.parametrize("ccd", [0, 9, 50, 55, 100, 103])
def test_initial_wcs_follows_the_camera(ccd: int, visit_info: VisitInfo) -> None:
    detector = load_camera()[ccd]
    wcs = initial_wcs(detector, visit_info)
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-0.5, 2047.5, 13), np.linspace(-0.5, 4175.5, 27)))
    ra, dec = pixel_to_sky(detector, x, y, visit_info.boresight_ra, visit_info.boresight_dec, visit_info.inst_pa)
    back_x, back_y = wcs.sky_to_pixel(ra, dec)
    assert np.hypot(back_x - x, back_y - y).max() < 1e-3


def test_initial_wcs_of_the_published_example(visit_info: VisitInfo) -> None:
    # Worked example of the camera description: CCD 55 pixel (0, 0), boresight (34.5, -5), INST-PA 30.
    ra, dec = initial_wcs(load_camera()[55], visit_info).pixel_to_sky(0.0, 0.0)
    assert ra == pytest.approx(34.9429700, abs=1e-7)
    assert dec == pytest.approx(-4.5785737, abs=1e-7)
