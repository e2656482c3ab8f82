"""Sums under tilted, narrow and cut ellipses against plain numpy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hscbox.measure.context import MeasurementContext
from hscbox.measure.elliptical_flux import semi_minor
from hscbox.measure.pixels import SourcePixels, gather_pixels
from hscbox.measure.plugins.blendedness import _bias, _weighted
from hscbox.measure.plugins.gaussian_flux import _fluxes
from hscbox.measure.plugins.kron_flux import _measure
from hscbox.measure.plugins.variance import _medians
from hscbox.measure.shapes.kron_radius import growth, kron_radius
from hscbox.measure.sinc_aperture import sine_integral_table

from .fields import disc, gaussian

SHAPE = (50, 56)
V, U = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
IMAGE = np.random.default_rng(5).normal(8.0, 3.0, SHAPE).astype(np.float32)
VARIANCE = np.random.default_rng(6).uniform(1.0, 9.0, SHAPE).astype(np.float32)
TILTED = (9.0, 4.0, 3.0)
PLACES = [(27.3, 24.6), (1.2, 25.4), (54.4, 25.1), (27.0, 1.3), (28.2, 48.6)]


def square(x: float, y: float, q: tuple[float, float, float]) -> np.ndarray:
    """Return r^T Q^-1 r of all pixels."""
    inverse = np.linalg.inv(np.array([[q[0], q[2]], [q[2], q[1]]]))
    d = np.stack([U - x, V - y])
    return np.einsum("iyx,ij,jyx->yx", d, inverse, d)


def pixels(image: np.ndarray, x: float, y: float) -> SourcePixels:
    work = image.astype(np.float32)
    start, index, value = gather_pixels(work, [disc(SHAPE, x, y, 5.0)])
    return SourcePixels(work, start, index, value, work.reshape(-1)[index])


@pytest.mark.parametrize(("x", "y"), PLACES)
def test_median_variance_in_an_ellipse(x: float, y: float) -> None:
    mask = np.where(np.random.default_rng(7).random(SHAPE) < 0.2, 4, 8).astype(np.int32)
    args = VARIANCE, mask, np.int32(4), np.array([x]), np.array([y]), np.array([TILTED])
    value, used = _medians(*args, np.array([True]), 2.5)
    inside = (square(x, y, TILTED) <= 2.5**2) & (mask == 8)
    assert used[0] == inside.sum() and value[0] == np.median(VARIANCE[inside])
    assert _medians(*args, np.array([False]), 2.5)[1][0] == 0


@pytest.mark.parametrize(("x", "y"), PLACES)
def test_fluxes_and_moments_for_blendedness(x: float, y: float) -> None:
    result = np.zeros((2, 4))
    _weighted(IMAGE, VARIANCE, x, y, np.array(TILTED), 2.0, result)
    exponent = square(x, y, TILTED)
    w = np.where(exponent <= 4.0, np.exp(-0.5 * exponent), 0.0)
    bias = np.array(
        [[_bias(float(i), float(v)) for i, v in zip(*rows, strict=True)] for rows in zip(IMAGE, VARIANCE, strict=True)]
    )
    for k, light in enumerate((IMAGE.astype(float), np.abs(IMAGE) - bias)):
        total = np.sum(w * light)
        assert result[k, 0] == pytest.approx(total * w.sum() / np.sum(w**2), rel=1e-6)
        for t, product in enumerate(((U - x) ** 2, (V - y) ** 2, (U - x) * (V - y)), start=1):
            assert result[k, t] == pytest.approx(2 * np.sum(w * light * product) / total, rel=1e-5)


@pytest.mark.parametrize("q", [TILTED, (1.1, 0.8, -0.4), (0.3, 0.3, 0.2), (0.24, 0.5, 0.0), (0.5, 0.24, 0.0)])
@pytest.mark.parametrize(("x", "y"), PLACES)
def test_gaussian_flux_and_its_error(x: float, y: float, q: tuple[float, float, float]) -> None:
    # A weight with a moment below 1/4 px^2, or of area below that of such a one, is averaged over 4 x 4 points.
    parts = 4 if min(q[:2]) < 0.25 or q[0] * q[1] - q[2] ** 2 < 1 / 16 else 1
    offsets = (np.arange(parts) + 0.5) / parts - 0.5
    weight, influence = np.zeros(SHAPE), np.zeros(SHAPE)
    for b in offsets:
        for a in offsets:
            exponent = square(x - a, y - b, q)
            w = np.where(exponent <= 14.0, np.exp(-0.5 * exponent), 0.0) / parts**2
            weight += w
            influence += w * exponent
    arrays = np.array([x]), np.array([y]), np.array([q]), np.array([True])
    flux, error = _fluxes(pixels(IMAGE, x, y), VARIANCE, *arrays, 1.5)
    assert flux[0] == pytest.approx(2 * np.sum(weight * (IMAGE - 1.5)), rel=1e-5)
    assert error[0] == pytest.approx(2 * np.sqrt(np.sum(influence**2 * VARIANCE)), rel=1e-5)


def major_radius(x: float, y: float, q: tuple[float, float, float]) -> np.ndarray:
    """Return the elliptical radius of all pixels along the major axis."""
    return np.sqrt(square(x, y, q) * np.linalg.eigvalsh([[q[0], q[2]], [q[2], q[1]]])[1])


@pytest.mark.parametrize(("x", "y"), [(27.5, 24.5), (26.9, 25.2)])
def test_kron_radius_of_a_tilted_ellipse(x: float, y: float) -> None:
    light = gaussian(SHAPE, x, y, 1e4, TILTED).astype(np.float32)
    fits, radius, total, mean = kron_radius(light, x, y, *TILTED, 5.0)
    r = major_radius(x, y, TILTED)
    distance = np.hypot(U - x, V - y)
    # Mean radius of a unit square about its centre: (sqrt 2 + asinh 1) / 6.
    centre = (np.sqrt(2) + np.arcsinh(1.0)) / 6
    r = np.where(distance < 0.5, np.hypot(r, centre * (1 + distance / np.sqrt(2))), r)
    inside = square(x, y, TILTED) <= 25.0
    small, large = np.sqrt(np.linalg.eigvalsh([[9.0, 3.0], [3.0, 4.0]]))
    assert fits and total == pytest.approx(light[inside].sum(dtype=float))
    assert mean == pytest.approx(np.sum((r * light)[inside]) / total)
    assert radius == pytest.approx(mean / np.sqrt(large / small))
    assert semi_minor(*TILTED) == pytest.approx(small)


def test_kron_radius_says_what_fails() -> None:
    # 5 sigma are 15 px in x and 10 in y; centres of pixels within these must lie in the image.
    for x, y, fits in ((14.1, 25.0, True), (14.0, 25.0, False), (40.9, 25.0, True), (41.0, 25.0, False)):
        assert kron_radius(IMAGE, x, y, *TILTED, 5.0)[0] == fits
    for x, y, fits in ((27.0, 9.1, True), (27.0, 9.0, False), (27.0, 39.9, True), (27.0, 40.0, False)):
        assert kron_radius(IMAGE, x, y, *TILTED, 5.0)[0] == fits
    for image, q in ((-IMAGE, TILTED), (IMAGE, (4.0, 4.0, 4.0))):
        fits, radius, total, mean = kron_radius(image, 27.0, 25.0, *q, 5.0)
        assert fits and np.isnan([radius, total, mean]).all()


@pytest.mark.parametrize(("x", "y"), PLACES)
def test_growth_of_the_flux_with_the_aperture(x: float, y: float) -> None:
    q = tuple(4.0 * value for value in TILTED)
    scaled = np.sqrt(square(x, y, q))
    rim = (scaled > 0.8) & (scaled <= 1.2)
    assert growth(IMAGE, x, y, *q) == pytest.approx(IMAGE[rim].sum(dtype=float) / 0.4, rel=1e-5)
    assert growth(-IMAGE, x, y, *q) == 0.0


@pytest.mark.parametrize("q", [(0.9, 0.9, 0.0), (0.9, 1.8, 0.5), (1.8, 0.9, -0.5)])
def test_kron_fluxes_of_narrow_shapes(q: tuple[float, float, float]) -> None:
    x, y = 27.3, 24.6
    image = gaussian(SHAPE, x, y, 1e5, (1.8, 1.8, 0.0))
    arrays = np.array([x]), np.array([y]), np.array([q]), np.array([np.nan])
    table, flags = _measure(pixels(image, x, y), VARIANCE, *arrays, 6.0, 2.5, 10.0, 0.0, False, sine_integral_table())
    assert flags[0] == 0 and table[0, 3] == pytest.approx(6.0 * np.linalg.det([[q[0], q[2]], [q[2], q[1]]]) ** 0.25)
    assert table[0, 0] == pytest.approx(1e5, rel=0.05)


def test_shapes_that_are_no_ellipses_have_failed() -> None:
    shapes = [(2.0, 3.0, 2.4), (2.0, 3.0, -2.4), (2.0, 3.0, 2.5), (2.0, 3.0, -2.5), (2.0, 3.0, 0.0), (-2.0, -3.0, 0.0)]
    shapes += [(0.0, 3.0, 0.0), (3.0, 0.0, 0.0), (np.nan, 3.0, 0.0), (0.2, 0.3, 0.0)]
    flagged = np.zeros(len(shapes), bool)
    flagged[4] = True
    source = SimpleNamespace(shape=np.array(shapes), catalog={"slot_Shape_flag": flagged})
    failed = MeasurementContext.shape_failed.func(source)
    assert failed.tolist() == [False, False, True, True, True, True, True, True, True, False]
