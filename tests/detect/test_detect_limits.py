"""Decisions of the cosmic-ray finder and the deblender, each by a case on either side of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hscbox.detect.cosmic_ray_steepness import steepness_of
from hscbox.detect.cosmic_rays import find_cosmic_rays
from hscbox.detect.deblend_psf import PointSourceLimits, PointSources, fit_point_sources
from hscbox.detect.deblend_templates import make_monotonic
from hscbox.image.mask import mask_bits
from hscbox.image.psf import GaussianPsf

from .scenes import SIGMA, add_gaussian


@pytest.mark.parametrize("plane", ["BAD", "INTRP", "SAT", "NO_DATA"])
def test_pixels_that_hold_no_light_are_no_cosmic_rays(plane: str) -> None:
    image = np.zeros((40, 60), np.float32)
    image[20, [10, 30]] = 5000.0
    # The second ray's faint end, which only growth reaches.
    image[20, 31:33] = 600.0, 40.0
    mask = np.zeros(image.shape, np.int32)
    limits = steepness_of(GaussianPsf(11, SIGMA).kernel_image(0.0, 0.0), 0.4)

    def found() -> list[int]:
        variance = np.full(image.shape, 100.0, np.float32)
        return find_cosmic_rays(image, mask, variance, steepness=limits, background=0.0).x.tolist()

    assert found() == [10, 30, 31, 32]
    # Beside pixels that were made up nothing is sought, but growth goes there.
    mask[20, [10, 32]] = mask_bits(plane)
    assert found() == [30, 31]


@dataclass(frozen=True)
class _Widening:
    """A Gaussian PSF whose sigma differs where it is drawn to the right of a column."""

    column: float
    sigma: float
    wider: float

    def images(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        drawn = []
        for px, py in zip(x, y, strict=True):
            psf = GaussianPsf(41, self.sigma if px <= self.column else self.wider)
            drawn.append(psf.image(float(px), float(py)))
        return np.stack([d[0] for d in drawn]), np.array([d[1] for d in drawn]), np.array([d[2] for d in drawn])


def _fit(wider: float) -> PointSources:
    truth = np.zeros((61, 61))
    add_gaussian(truth, 30.1, 30.0, 5000.0)
    peak, ones = np.array([30]), np.ones((61, 61), np.float32)
    image = (truth + np.random.default_rng(2).normal(0.0, 16.0, truth.shape)).astype(np.float32)
    psf = _Widening(30.05, SIGMA, wider)
    limits = PointSourceLimits(1e3, 1e3, 1e3)
    return fit_point_sources(image, 256 * ones, ones.astype(np.uint8), peak, peak, (0, 0), psf, 2.35 * SIGMA, limits)


def test_the_better_of_fixed_and_shifted_psf_is_taken() -> None:
    # A shift by a tenth of a pixel is no reason to refuse the PSF at the peak. The error of the shift is
    # sigma / (S/N) = 1.3 / (5000 / (16 sqrt(4 pi) 1.3)) = 0.02 px.
    better = _fit(SIGMA)
    error = 16 * np.sqrt(4 * np.pi) * SIGMA
    assert better.accepted.all() and better.x[0] == pytest.approx(30.1, abs=0.06)
    assert better.flux[0] == pytest.approx(5000.0, abs=4 * error)
    # Moved to where it is drawn too wide the PSF fits worse than it did at the peak, though well enough to pass.
    worse = _fit(1.6 * SIGMA)
    assert worse.accepted.all() and worse.x[0] == 30.0 and worse.y[0] == 30.0
    assert worse.flux[0] == pytest.approx(5000.0, abs=4 * error) and worse.flux[0] != better.flux[0]


@pytest.mark.parametrize(("dx", "dy"), [(0, 2), (0, -2), (2, 0), (-2, 0), (2, 1), (-2, 1), (1, -2)])
def test_a_pixel_limits_those_behind_it_in_a_cone_of_three_tenths(dx: int, dy: int) -> None:
    values = np.full((21, 21), 9.0)
    values[10 + dy, 10 + dx] = 1.0
    make_monotonic(values)
    steep = abs(dy) > abs(dx)
    along, across = (dy, dx) if steep else (dx, dy)
    # Behind (n, m), at s steps further out, are the pixels whose offset rounds to s (m/n - 0.3) ... s (m/n + 0.3).
    for s in (1, 2, 3):
        line = along + s * np.sign(along)
        profile = values[10 + line, :] if steep else values[:, 10 + line]
        middle = s * across / abs(along)
        low, high = (10 + across + round(middle + side * 0.3 * s) for side in (-1, 1))
        assert (np.flatnonzero(profile == 1.0) == np.arange(low, high + 1)).all()
        assert (np.delete(profile, np.arange(low, high + 1)) == 9.0).all()
