"""Apertures at the sides of the image: what is cut is flagged, and what is left is summed."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.footprints import make_peaks
from scipy import ndimage

from hscbox.catalog.footprint import Footprint
from hscbox.measure.pixels import SourcePixels, gather_pixels
from hscbox.measure.plugins.circular_aperture_flux import COEFFS_TRUNCATED, TRUNCATED, _nested_fluxes, sinc_fluxes
from hscbox.measure.plugins.convolved_flux import _convolved_sum, _gaussian, _measure
from hscbox.measure.sinc_aperture import ellipse_weights, sinc_half_width, sine_integral_table

from .fields import disc

HEIGHT, WIDTH = 60, 64
IMAGE = np.random.default_rng(1).normal(5.0, 2.0, (HEIGHT, WIDTH)).astype(np.float32)
VARIANCE = np.random.default_rng(2).uniform(1.0, 4.0, IMAGE.shape).astype(np.float32)


def pixels(x: float, y: float) -> SourcePixels:
    work = IMAGE.copy()
    start, index, value = gather_pixels(work, [disc(IMAGE.shape, x, y, 6.0)])
    return SourcePixels(work, start, index, value, work.reshape(-1)[index])


def sides(distance: float) -> list[tuple[float, float]]:
    """Return positions at a distance from the outer edge of each side."""
    return [
        (distance - 0.5, 30.0),
        (30.0, distance - 0.5),
        (WIDTH - 0.5 - distance, 30.0),
        (30.0, HEIGHT - 0.5 - distance),
    ]


@pytest.mark.parametrize("place", range(4))
def test_an_aperture_that_touches_the_side_is_whole(place: int) -> None:
    for beyond, cut in ((0.0, 0), (0.125, TRUNCATED)):
        x, y = sides(3.5 - beyond)[place]
        args = pixels(x, y), VARIANCE, np.array([x]), np.array([y])
        assert sinc_fluxes(*args, 3.5, sine_integral_table())[2][0] & TRUNCATED == cut
        assert _nested_fluxes(*args, np.array([3.5]))[2][0, 0] == cut


@pytest.mark.parametrize(("radius", "reach"), [(3.0, 9), (12.0, 21)])
@pytest.mark.parametrize("place", range(4))
def test_weights_reach_twice_as_far_or_eight_pixels_beyond(radius: float, reach: int, place: int) -> None:
    for distance, cut in ((reach + 0.5, 0), (reach - 0.5, COEFFS_TRUNCATED)):
        x, y = sides(distance)[place]
        flags = sinc_fluxes(pixels(x, y), VARIANCE, np.array([x]), np.array([y]), radius, sine_integral_table())[2]
        assert flags[0] & COEFFS_TRUNCATED == cut


@pytest.mark.parametrize(("x", "y"), [(1.3, 30.2), (30.2, 2.4), (62.6, 29.9), (31.0, 58.7), (2.0, 2.0), (62.0, 58.0)])
def test_what_is_left_of_the_weights_is_summed(x: float, y: float) -> None:
    radius = 4.5
    half = sinc_half_width(radius)
    ix, iy = round(x), round(y)
    weights = ellipse_weights(radius**2, radius**2, 0.0, x - ix, y - iy, half, half, sine_integral_table())
    wide = np.zeros((HEIGHT + 2 * half, WIDTH + 2 * half))
    wide[iy : iy + 2 * half + 1, ix : ix + 2 * half + 1] = weights
    inner = wide[half:-half, half:-half]
    args = pixels(x, y), VARIANCE, np.array([x]), np.array([y])
    flux, error, flags = sinc_fluxes(*args, radius, sine_integral_table())
    assert flux[0] == pytest.approx(np.sum(inner * IMAGE), rel=1e-5)
    assert error[0] == pytest.approx(np.sqrt(np.sum(inner**2 * VARIANCE)), rel=1e-6)
    assert flags[0] == TRUNCATED | COEFFS_TRUNCATED


def convolved(x: float, y: float, radius: float) -> tuple[np.ndarray, int]:
    """Measure at a kernel's sigma of 0.75 px, which reaches 3 px; the convolved image lacks as many at every side."""
    table, flags = _measure(
        pixels(x, y),
        VARIANCE,
        np.array([x]),
        np.array([y]),
        np.array([0.75]),
        4.0,
        np.array([radius]),
        np.array([[4.0, 4.0, 0.0]]),
        np.array([np.nan]),
        10.0,
        sine_integral_table(),
    )
    return table[0, 0], int(flags[0, 0])


@pytest.mark.parametrize("place", range(4))
def test_convolved_apertures_need_the_kernel_beside_them(place: int) -> None:
    for beyond, cut in ((0.0, 0), (0.125, TRUNCATED)):
        assert convolved(*sides(3 + 3.5 - beyond)[place], 3.5)[1] & TRUNCATED == cut
    for distance, cut in ((3 + 9 + 0.5, 0), (3 + 9 - 0.5, COEFFS_TRUNCATED)):
        assert convolved(*sides(distance)[place], 3.0)[1] & COEFFS_TRUNCATED == cut


@pytest.mark.parametrize(("left", "bottom"), [(20, 20), (-3, 20), (20, -4), (55, 22), (21, 52), (54, 50), (-40, 20)])
def test_convolved_sums_are_those_of_the_convolved_image(left: int, bottom: int) -> None:
    kernel = _gaussian(0.75, 4.0)
    assert kernel == pytest.approx(
        np.exp(-0.5 * (np.arange(-3, 4) / 0.75) ** 2) / (0.75 * np.sqrt(2 * np.pi)), rel=1e-3
    )
    weights = np.random.default_rng(3).uniform(0.0, 1.0, (13, 15))
    box = (4, 58, 5, 55)
    wide = np.zeros((HEIGHT + 100, WIDTH + 100))
    wide[bottom + 50 : bottom + 63, left + 50 : left + 65] = weights
    counted = np.zeros(IMAGE.shape)
    counted[5:56, 4:59] = wide[55:106, 54:109]

    def smooth(plane: np.ndarray) -> np.ndarray:
        rows = ndimage.convolve1d(plane.astype(float), kernel, axis=0, mode="constant")
        return ndimage.convolve1d(rows, kernel, axis=1, mode="constant")

    flux, error = _convolved_sum(IMAGE, VARIANCE, weights, left, bottom, box, kernel)
    assert flux == pytest.approx(np.sum(counted * smooth(IMAGE)), rel=1e-5)
    assert error == pytest.approx(np.sqrt(np.sum(smooth(counted) ** 2 * VARIANCE)), rel=1e-6)


def test_no_kernel_leaves_the_image() -> None:
    assert _gaussian(0.0, 4.0).tolist() == [1.0]
    assert _gaussian(0.1, 4.0).tolist() == [1.0]
    assert len(_gaussian(2.0, 4.0)) == 17


def test_footprints_must_lie_in_the_image() -> None:
    def gather(y: int, x0: int, x1: int) -> np.ndarray:
        footprint = Footprint(np.array([[30, 1, 2], [y, x0, x1]], np.int32), make_peaks([1], [30], [1.0]))
        return gather_pixels(IMAGE, [footprint])[2]

    for y, x0, x1 in ((0, 5, 9), (HEIGHT - 1, 5, 9), (31, 0, 3), (31, 60, WIDTH - 1)):
        assert gather(y, x0, x1)[2:].tolist() == IMAGE[y, x0 : x1 + 1].tolist()
    for y, x0, x1 in ((-1, 5, 9), (HEIGHT, 5, 9), (31, -1, 3), (31, 60, WIDTH)):
        with pytest.raises(ValueError, match="leaves the image of 64 x 60"):
            gather(y, x0, x1)
