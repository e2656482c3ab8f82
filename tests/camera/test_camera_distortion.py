"""Worked examples were computed with another program from the published coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from hscbox.camera.camera import load_camera
from hscbox.camera.distortion import (
    field_angle_to_focal_plane,
    field_angle_to_sky,
    focal_plane_to_field_angle,
    pixel_to_sky,
    sky_to_field_angle,
    sky_to_pixel,
)
from hscbox.camera.tables import read_table
from hscbox.camera.vignette import VIGNETTE_CENTER, VIGNETTE_RADIUS, vignette_polygon

EXAMPLES = [
    (0.0, 0.0, -0.00008, 0.0),
    (-2125.02, -10877.59, -352.14442, -1802.76720),
    (12738.00, 11277.68, 2068.47821, 1831.18824),
    (-9591.84, -14290.21, -1556.35635, -2319.09972),
    (17400.00, 100.00, 2820.48745, 15.87403),
]


@pytest.mark.parametrize(("x", "y", "field_x", "field_y"), EXAMPLES)
def test_worked_examples(x: float, y: float, field_x: float, field_y: float) -> None:
    result = focal_plane_to_field_angle(x, y)
    assert result == pytest.approx((field_x, field_y), abs=1e-5)
    assert field_angle_to_focal_plane(*result) == pytest.approx((x, y), abs=1e-8)


def test_horner_equals_plain_powers() -> None:
    x, y = np.array([3000.5, -12000.25, 15000.0]), np.array([-7000.0, 9000.75, 12000.0])
    rows = read_table("distortion")
    expected = [sum(row[name] * x ** row["nx"] * y ** row["ny"] for row in rows) for name in ("forward_x", "forward_y")]
    np.testing.assert_allclose(focal_plane_to_field_angle(x, y), 0.168 * np.array(expected), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("x", "y", "position_angle", "ra", "dec"),
    [
        (1023.5, 2087.5, 0.0, 35.00259356, -4.90199452),
        (0.0, 0.0, 0.0, 35.0951788, -4.8556737),
        (0.0, 0.0, 30.0, 34.9429700, -4.5785737),
    ],
)
def test_sky_examples(x: float, y: float, position_angle: float, ra: float, dec: float) -> None:
    result = pixel_to_sky(load_camera()[55], x, y, 34.5, -5.0, position_angle)
    assert result == pytest.approx((ra, dec), abs=1e-7)


def test_round_trip_of_all_corners() -> None:
    for detector in load_camera().values():
        x, y = np.array([-0.5, 2047.5, -0.5, 2047.5]), np.array([-0.5, -0.5, 4175.5, 4175.5])
        sky = pixel_to_sky(detector, x, y, 320.7, 88.9, 123.4)
        back = sky_to_pixel(detector, *sky, 320.7, 88.9, 123.4)
        np.testing.assert_allclose(back, (x, y), rtol=0, atol=1e-6)


def test_tangent_plane_agrees_with_wcslib() -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [359.9, 62.0]
    wcs.wcs.crpix = [1.0, 1.0]
    wcs.wcs.cdelt = [-1.0 / 3600, 1.0 / 3600]
    # INST-PA 270: the field's y axis points North, its x axis West.
    x, y = np.array([10.0, -2000.0, 1500.0]), np.array([-20.0, 1800.0, 2500.0])
    np.testing.assert_allclose(
        field_angle_to_sky(x, y, 359.9, 62.0, 270.0), wcs.wcs_pix2world(x, y, 0), rtol=0, atol=1e-10
    )


def test_position_angle_turns_by_the_tangent_point() -> None:
    center = SkyCoord(34.5, -5.0, unit="deg")
    for position_angle in (0.0, 30.0, 90.0):
        ra, dec = field_angle_to_sky(0.0, 1000.0, 34.5, -5.0, position_angle)
        angle = center.position_angle(SkyCoord(ra, dec, unit="deg")).deg
        assert angle == pytest.approx((270.0 - position_angle) % 360.0, abs=1e-8)


def test_points_far_away_are_nan() -> None:
    x, y = sky_to_pixel(load_camera()[55], [34.5, 214.5, 34.5], [-4.5, 5.0, 40.0], 34.5, -5.0, 0.0)
    assert np.isfinite(x[0])
    assert np.isnan(x[1:]).all()
    assert np.isnan(y[1:]).all()
    assert np.isnan(sky_to_field_angle(214.5, 5.0, 34.5, -5.0, 0.0)).all()


def test_vignette_is_a_circle() -> None:
    polygon = vignette_polygon()
    assert polygon.shape == (100, 2)
    radius = np.hypot(*(polygon - np.array(VIGNETTE_CENTER)).T)
    np.testing.assert_allclose(radius, VIGNETTE_RADIUS, atol=1e-3)
