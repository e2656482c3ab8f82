"""Areas of pixels far from the tangent point, against closed forms of the sphere."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.image.sky_wcs import SkyWcs


def test_areas_of_a_square_add_up_to_its_solid_angle() -> None:
    # A square of half side tan(45 deg) about the tangent point is the face of a cube: a sixth of the sphere.
    half, n = 1.0, 200
    step = np.rad2deg(2 * half / n)
    wcs = SkyWcs(((n - 1) / 2, (n - 1) / 2), (150.0, 20.0), np.array([[-step, 0.0], [0.0, step]]))
    x, y = np.meshgrid(np.arange(n), np.arange(n))
    total = wcs.pixel_area(x, y).sum() / 3600**2
    assert total == pytest.approx(np.rad2deg(np.rad2deg(4 * np.pi / 6)), rel=1e-4)


def test_area_shrinks_as_the_cube_of_the_cosine() -> None:
    wcs = SkyWcs((0.0, 0.0), (150.0, 20.0), np.diag([-1e-3, 1e-3]))
    for degrees in (0.0, 20.0, 40.0):
        x = np.rad2deg(np.tan(np.deg2rad(degrees))) / 1e-3
        assert wcs.pixel_area(x, 0.0) == pytest.approx(3.6**2 * np.cos(np.deg2rad(degrees)) ** 3, rel=1e-9)
