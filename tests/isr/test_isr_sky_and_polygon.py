"""Sky numbers against numpy; valid polygon against areas and points."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from hscbox.camera.camera import load_camera
from hscbox.camera.vignette import vignette_polygon
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.sky_level import measure_sky_level
from hscbox.isr.valid_polygon import valid_polygon


def test_sky_of_a_ramp() -> None:
    height, width = 4176 // 4, 2048 // 4
    y, _ = np.mgrid[:height, :width]
    image = (1000.0 + 0.1 * y).astype(np.float32)
    exposure = Exposure(image, np.zeros(image.shape, np.int32), np.ones_like(image))
    exposure.image[:, :7] = 1e5
    exposure.mask[:, :7] = mask_bits("DETECTED")
    sky = measure_sky_level(exposure, 64, 64)
    good = image[:, 7:].astype(np.float64)
    assert (sky.n_x, sky.n_y) == (8, 16)
    assert sky.level == pytest.approx(np.median(good)) and sky.sigma == pytest.approx(good.std(ddof=1), rel=1e-6)
    cells = 1000.0 + 0.1 * (64 * np.arange(16) + 31.5)
    deviation = cells / np.median(cells) - 1.0
    assert sky.mesh_level == pytest.approx(np.median(cells), rel=1e-6)
    assert sky.flatness_pp == pytest.approx(np.ptp(deviation), rel=1e-4)
    assert sky.flatness_rms == pytest.approx(deviation.std(), rel=1e-4)


def test_sky_without_pixels_is_nan(exposure: Exposure) -> None:
    exposure.mask[:] = mask_bits("BAD")
    sky = measure_sky_level(exposure)
    assert np.isnan(sky.level) and np.isnan(sky.flatness_pp) and (sky.n_x, sky.n_y) == (8, 1)


def test_ccd_inside_the_field_keeps_its_outline() -> None:
    polygon = valid_polygon(load_camera()[49], vignette_polygon())
    assert polygon is not None
    corners = {(-0.5, -0.5), (2047.5, -0.5), (2047.5, 4175.5), (-0.5, 4175.5)}
    assert {tuple(np.round(vertex, 6)) for vertex in polygon} == corners
    assert np.array_equal(polygon[0], polygon[-1])
    assert not shapely.LinearRing(polygon).is_ccw


@pytest.mark.parametrize("ccd", [3, 9, 29, 95, 100, 103])
def test_outer_ccds_are_cut_by_the_circle(ccd: int) -> None:
    detector = load_camera()[ccd]
    polygon = valid_polygon(detector, vignette_polygon())
    assert polygon is not None
    shape = shapely.Polygon(polygon)
    rng = np.random.default_rng(ccd)
    x, y = rng.uniform(-0.5, 2047.5, 400), rng.uniform(-0.5, 4175.5, 400)
    fx, fy = detector.pixel_to_focal_plane(x, y)
    radius = np.hypot(fx + 100.0, fy - 100.0)
    # A 100-gon lies inside its circle by at most r (1 - cos(pi / 100)) = 8.6 pixels.
    for k in range(x.size):
        if radius[k] < 17491:
            assert shape.covers(shapely.Point(x[k], y[k]))
        elif radius[k] > 17500:
            assert not shape.covers(shapely.Point(x[k], y[k]))


def test_cut_out_is_cut_and_dark_detectors_have_none() -> None:
    cut = valid_polygon(load_camera()[49].for_rows(200), vignette_polygon())
    assert cut is not None and cut[:, 1].max() == pytest.approx(199.5)
    far = np.array([(30000.0, 0.0), (31000.0, 0.0), (30000.0, 1000.0)])
    assert valid_polygon(load_camera()[49], far) is None
