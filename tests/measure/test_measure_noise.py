"""Noise that is made and noise that is told."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.measure.noise_replacer import NoiseReplacerConfig, replace_by_noise
from hscbox.measure.shapes.kron_radius import noise_of_radius

from .fields import disc

SHAPE = (60, 64)


def replaced(exposure_id: int, multiplier: int) -> np.ndarray:
    image = np.random.default_rng(1).normal(3.0, 10.0, SHAPE).astype(np.float32)
    config = NoiseReplacerConfig()
    config.noiseSeedMultiplier = multiplier
    replace_by_noise(image, [disc(SHAPE, 30, 28)], exposure_id, config)
    return image


def test_the_multiplier_gives_another_realisation() -> None:
    assert not np.array_equal(replaced(21, 1), replaced(21, 2))
    assert np.array_equal(replaced(21, 2), replaced(42, 1))
    assert np.array_equal(replaced(21, 0), replaced(42, 0))


def test_noise_of_the_kron_radius_counts_with_that_of_the_aperture() -> None:
    """A pixel of radius r weighs w + b in the flux, b = slope (r - mean): in all its variance is sum V (w + b)^2."""
    rng = np.random.default_rng(3)
    variance = rng.uniform(1.0, 4.0, SHAPE).astype(np.float32)
    x, y, sigma, n_sigma, mean, slope = 31.4, 27.6, 2.0, 6.0, 3.1, 0.04
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(u - x, v - y)
    weights = np.zeros(SHAPE)
    weights[20:36, 24:40] = rng.uniform(0.0, 1.0, (16, 16))
    by_radius = np.where(radius <= n_sigma * sigma, slope * (radius - mean), 0.0)
    # The pixel of the centre would have the mean radius of a unit square if it were nearer than half a pixel.
    assert radius.min() > 0.5
    shape = (sigma**2, sigma**2, 0.0, n_sigma)
    extra = noise_of_radius(variance, x, y, shape, mean, slope, weights[20:36, 24:40], 24, 20)
    expected = np.sum(variance * (weights + by_radius) ** 2) - np.sum(variance * weights**2)
    assert extra == pytest.approx(expected, rel=1e-6)
