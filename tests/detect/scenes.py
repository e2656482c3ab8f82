"""Small scenes with known truth for the tests of this room."""

from __future__ import annotations

import numpy as np

from hscbox.image.exposure import Exposure
from hscbox.image.psf import GaussianPsf

SIGMA = 1.3
GAIN = 3.0


def add_gaussian(image: np.ndarray, x: float, y: float, flux: float, sigma: float = SIGMA) -> None:
    """Add a star of Gaussian profile to `image` in place."""
    rows, columns = np.arange(image.shape[0]) - y, np.arange(image.shape[1]) - x
    profile = np.exp(-0.5 * (rows / sigma) ** 2)[:, None] * np.exp(-0.5 * (columns / sigma) ** 2)
    image += flux * profile / (2 * np.pi * sigma**2)


def exposure_of(truth: np.ndarray, noise: float = 25.0, seed: int = 1, sigma: float = SIGMA) -> Exposure:
    """Return a background-subtracted exposure of noiseless counts, with sky noise and Poisson noise."""
    variance = noise**2 + np.maximum(truth, 0) / GAIN
    image = truth + np.random.default_rng(seed).normal(size=truth.shape) * np.sqrt(variance)
    return Exposure(
        image=image.astype(np.float32),
        mask=np.zeros(truth.shape, np.int32),
        variance=variance.astype(np.float32),
        psf=GaussianPsf(41, sigma, (truth.shape[1] / 2, truth.shape[0] / 2)),
    )


def add_exponential(image: np.ndarray, x: float, y: float, flux: float, scale: float) -> None:
    """Add a round disc galaxy of exponential `scale` [px] to `image` in place."""
    rows, columns = np.indices(image.shape)
    image += flux / (2 * np.pi * scale**2) * np.exp(-np.hypot(rows - y, columns - x) / scale)


def add_moffat(image: np.ndarray, x: float, y: float, flux: float, scale: float = 3.0, beta: float = 2.5) -> None:
    """Add a star with broad wings to `image` in place."""
    rows, columns = np.indices(image.shape)
    profile = (1 + ((rows - y) ** 2 + (columns - x) ** 2) / scale**2) ** -beta
    image += flux * (beta - 1) / (np.pi * scale**2) * profile
