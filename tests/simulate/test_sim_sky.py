from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hscbox.camera.colorterms import color_term
from hscbox.camera.distortion import sky_to_pixel
from hscbox.simulate.effects import Effects
from hscbox.simulate.reference import position_error_mas, reference_catalog, reference_objects
from hscbox.simulate.scene import Scene
from hscbox.simulate.sky import draw_sky
from hscbox.simulate.sources import hsc_magnitudes, scene_sources, true_pixels


@pytest.fixture(scope="module")
def wide_sky() -> np.ndarray:
    return draw_sky(3, 200.0, 10.0, 0.6, faint_limit=24.2)


def in_circle(objects: np.ndarray, ra: float, dec: float, radius: float) -> np.ndarray:
    return np.hypot((objects["ra"] - ra) * np.cos(np.radians(dec)), objects["dec"] - dec) < radius


def test_counts_follow_the_formulas(wide_sky: np.ndarray) -> None:
    inside = wide_sky[in_circle(wide_sky, 200.0, 10.0, 0.55)]
    area = np.pi * 0.55**2
    stars = inside[inside["is_star"] & (inside["r"] > 19.5) & (inside["r"] < 20.5)]
    galaxies = inside[~inside["is_star"] & (inside["r"] > 21.5) & (inside["r"] < 22.5)]
    # 390 stars per square degree at r = 20; 181 galaxies per CCD at r = 22 (times the mean of the slope).
    assert len(stars) == pytest.approx(390 * area, abs=4 * np.sqrt(390 * area))
    expected = 181.0 / 0.018627 * area * 1.02
    # Clustered galaxies scatter more than Poisson's law says.
    assert len(galaxies) == pytest.approx(expected, abs=6 * np.sqrt(expected))


def test_sizes_follow_magnitude(wide_sky: np.ndarray) -> None:
    galaxies = wide_sky[~wide_sky["is_star"]]
    near_22, near_24 = (galaxies[np.abs(galaxies["r"] - m) < 0.2]["radius"] for m in (22.0, 24.0))
    assert np.median(near_22) == pytest.approx(0.60, abs=0.03)
    assert np.median(near_24) == pytest.approx(0.35, abs=0.02)
    assert np.all(wide_sky["radius"][wide_sky["is_star"]] == 0.0)


def test_pointings_that_overlap_see_the_same_objects(wide_sky: np.ndarray) -> None:
    other = draw_sky(3, 200.3, 10.1, 0.3, faint_limit=25.0)
    bright = other[other["r"] < 24.2]
    common = in_circle(bright, 200.1, 10.0, 0.15)
    index = {number: row for row, number in enumerate(wide_sky["id"])}
    twins = wide_sky[[index[number] for number in bright["id"][common]]]
    assert len(twins) > 500
    assert np.array_equal(twins, bright[common])
    assert len(np.unique(other["id"])) == len(other)


def test_color_terms_close(wide_sky: np.ndarray) -> None:
    for band in ("g", "r", "i", "z", "y"):
        term = color_term("ps1_pv3_3pi_20170110", band)
        p, s = wide_sky[term.primary], wide_sky[term.secondary]
        expected = p + term.c0 + term.c1 * (p - s) + term.c2 * (p - s) ** 2
        assert np.allclose(hsc_magnitudes(wide_sky, band), expected, atol=1e-12)


def test_sources_sit_where_the_camera_puts_them() -> None:
    scene = Scene(rows=400, faint_limit=24.2)
    sources = scene_sources(scene)
    ra, dec = scene.true_boresight
    x, y = sky_to_pixel(scene.detector, sources["ra"], sources["dec"], ra, dec, 0.0)
    assert np.allclose(sources["x"], x, atol=1e-9) and np.allclose(sources["y"], y, atol=1e-9)
    assert np.all(np.diff(sources["magnitude"]) >= 0)
    assert np.allclose(sources["flux_adu"], 10 ** (0.4 * (scene.true_zero_point - sources["magnitude"])))


def test_pointing_error_and_distortion_move_the_stars() -> None:
    ra, dec = 35.045, -4.76
    plain = Scene(effects=Effects().without("pointing_error"))
    x, y = true_pixels(plain, ra, dec)
    moved_x, moved_y = true_pixels(Scene(), ra, dec)
    # At position angle 0 the rows run East-West (0.168 arcsec a pixel, less distortion), the columns North-South.
    # The telescope looks 3.2 arcsec farther East and 2.4 farther South.
    assert moved_y - y == pytest.approx(3.2 / 0.168, rel=0.06)
    assert moved_x - x == pytest.approx(-2.4 / 0.168, rel=0.06)
    flat_x, flat_y = true_pixels(replace(plain, effects=Effects.only()), ra, dec)
    # Worked example of the distortion: at this CCD it shifts stars by about 150 pixels.
    assert np.hypot(flat_x - x, flat_y - y) == pytest.approx(149.7, abs=8.0)


def test_nearest_brighter_neighbour() -> None:
    sources = scene_sources(Scene(rows=300, faint_limit=24.2))
    number = len(sources) // 2
    distance = np.hypot(sources["x"][:number] - sources["x"][number], sources["y"][:number] - sources["y"][number])
    assert sources["brighter_distance"][number] == pytest.approx(distance.min())
    assert np.isinf(sources["brighter_distance"][0])


def test_reference_errors_have_the_size_they_claim(wide_sky: np.ndarray) -> None:
    listed, offsets, fluxes, errors = reference_objects(3, wide_sky)
    assert np.all(position_error_mas(np.array([15.0, 19.0, 21.0])) <= 20.0)
    assert (offsets / position_error_mas(listed["r"])[:, None]).std() == pytest.approx(1.0, abs=0.02)
    bright = listed["r"] < 21.0
    assert offsets[bright].std() < 20.0 and np.abs(offsets[bright].mean(axis=0)).max() < 1.0
    true_r = 3631.0 * 10 ** (-0.4 * listed["r"])
    assert ((fluxes[:, 1] - true_r) / errors[:, 1]).std() == pytest.approx(1.0, abs=0.03)
    # Complete at 22.5, gone at 24.
    assert np.count_nonzero(listed["r"] < 22.5) > 0.99 * np.count_nonzero(wide_sky["r"] < 22.5)
    assert listed["r"].max() < 24.2


def test_reference_catalogue_does_not_depend_on_what_else_is_drawn(wide_sky: np.ndarray) -> None:
    whole = reference_catalog(3, wide_sky)
    part = draw_sky(3, 200.0, 10.0, 0.1, faint_limit=24.2)
    local = reference_catalog(3, np.concatenate([part, part]))
    rows = np.searchsorted(whole["id"], local["id"])
    for name in ("id", "coord_ra", "coord_dec", "r_flux", "i_fluxSigma"):
        assert np.array_equal(whole[name][rows], local[name])
