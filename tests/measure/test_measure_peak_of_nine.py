"""The maximum of nine smoothed pixels and its error, against polynomials and derivatives by differences."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.image.psf import GaussianPsf
from hscbox.measure.plugins.sdss_centroid import _EDGE, _centroid
from hscbox.measure.quartic_peak import ALMOST_NO_SECOND, NO_SECOND, NOT_MAXIMUM, peak_of_3x3

from .fields import gaussian


def nine(a: float, b: float, x0: float, y0: float, e: float = 0.0, height: float = 100.0) -> np.ndarray:
    y, x = np.mgrid[-1:2, -1:2].astype(float)
    return height - a * (x - x0) ** 2 - b * (y - y0) ** 2 + e * x * y * (x + y)


def row_maximum(a: float, b: float, c: float) -> float:
    """Pier et al. 2003: a parabola's maximum, corrected by 1.33 times the product of both falls."""
    bend = 2 * b - a - c
    return 0.5 * (c - a) / bend * (1 + 1.33 * (b - a) * (b - c) / (bend * b))


@pytest.mark.parametrize("e", [0.0, 3.0])
def test_height_widths_and_place(e: float) -> None:
    sigma, x0, y0 = 0.6, 0.22, -0.13
    values = nine(20.0, 30.0, x0, y0, e)
    failure, x, y, size_x, size_y, peak = peak_of_3x3(values, sigma)
    # The middle row and column know nothing of the term with x y.
    assert failure == 0 and peak == pytest.approx(100.0, rel=1e-12)
    assert size_x == pytest.approx(100 / 40 - 0.25 * (1 + 6 * x0**2) - sigma**2, rel=1e-12)
    assert size_y == pytest.approx(100 / 60 - 0.25 * (1 + 6 * y0**2) - sigma**2, rel=1e-12)
    # The maxima of three rows lie on a parabola, and so do those of three columns; where they cross is found in two
    # steps.
    across = np.polyfit((-1, 0, 1), [row_maximum(*row) for row in values], 2)
    along = np.polyfit((-1, 0, 1), [row_maximum(*column) for column in values.T], 2)
    dx, dy = np.polyval(across, y0), np.polyval(along, x0)
    assert (x, y) == pytest.approx((np.polyval(across, dy), np.polyval(along, dx)), rel=1e-9)


def test_widths_are_those_of_the_psf_at_least() -> None:
    assert peak_of_3x3(nine(45.0, 40.0, 0.1, 0.2), 0.9)[3:5] == (0.9**2, 0.9**2)


def test_a_column_without_maximum_leaves_the_parabolas() -> None:
    values = nine(20.0, 30.0, 0.22, -0.13)
    values[:, 2] = [120.0, values[1, 2], 120.0]
    _, x, y, size_x, size_y, _ = peak_of_3x3(values, 0.6)
    assert (x, y) == pytest.approx((0.22, -0.13), rel=1e-9)
    assert (size_x, size_y) == pytest.approx((100 / 40 - 0.36, 100 / 60 - 0.36), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "failure"),
    [
        (np.ones((3, 3)), NO_SECOND),
        (np.full((3, 3), np.nan), NO_SECOND),
        (-nine(20.0, 30.0, 0.0, 0.0), NOT_MAXIMUM),
        (nine(20.0, -30.0, 0.0, 0.0), NOT_MAXIMUM),
        (nine(20.0, 30.0, 10.5, 0.0, height=5000.0), ALMOST_NO_SECOND),
        (nine(20.0, 30.0, 0.0, -10.5, height=5000.0), ALMOST_NO_SECOND),
        (nine(20.0, 30.0, 9.5, -9.5, height=5000.0), 0),
        (nine(20.0, 30.0, 0.0, 0.0, height=-1.0), NOT_MAXIMUM),
    ],
)
def test_what_is_no_maximum_says_why(values: np.ndarray, failure: int) -> None:
    assert peak_of_3x3(values, 1.0)[0] == failure


@pytest.mark.parametrize(("q", "bins"), [((2.2, 2.2, 0.0), 1), ((16.0, 14.0, 3.0), 2), ((90.0, 5.0, 0.0), 4)])
def test_errors_are_the_derivatives_by_every_pixel(q: tuple[float, float, float], bins: int) -> None:
    shape, sigma = (100, 104), 1.5
    image = gaussian(shape, 52.3, 49.6, 1e5, q).astype(np.float32)
    variance = np.random.default_rng(1).uniform(1.0, 9.0, shape).astype(np.float32)
    # The kernel's sum is not 1: only its form counts.
    kernel = 2.0 * GaussianPsf(11, sigma).kernel_image(0.0, 0.0)

    def centroid() -> np.ndarray:
        return np.array(_centroid(image, variance, 52, 50, kernel, sigma, 16, 1.5, -1.0))

    failure, x, y, x_error, y_error = centroid()
    assert failure == 0 and (x, y) == pytest.approx((52.3, 49.6), abs=0.05)
    half = bins * 7 + 1
    slopes = np.zeros((2, *shape))
    for v in range(50 - half, 50 + half + 1):
        for u in range(52 - half, 52 + half + 1):
            value = image[v, u]
            ends = []
            for step in (-8.0, 8.0):
                image[v, u] = value + step
                ends.append(centroid()[1:3])
            image[v, u] = value
            slopes[:, v, u] = (ends[1] - ends[0]) / 16
    # Nothing counts beyond the kernel and one (binned) pixel.
    assert np.sqrt(np.sum(slopes**2 * variance, axis=(1, 2))) == pytest.approx([x_error, y_error], rel=2e-3)


@pytest.mark.parametrize(("x", "y", "fits"), [(7, 7, True), (22, 24, True), (6, 7, False), (7, 6, False)])
def test_the_kernel_and_two_pixels_must_fit(x: int, y: int, fits: bool) -> None:
    kernel = GaussianPsf(11, 1.5).kernel_image(0.0, 0.0)
    for turned_x, turned_y in ((x, y), (29 - x, 31 - y)):
        image, ones = gaussian((32, 30), turned_x, turned_y, 1e5).astype(np.float32), np.ones((32, 30), np.float32)
        failure = _centroid(image, ones, turned_x, turned_y, kernel, 1.5, 16, 1.5, -1.0)[0]
        assert failure == (0 if fits else _EDGE)
