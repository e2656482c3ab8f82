"""Elliptical Moffat profiles on the sampling grid of a PSF model: where the fit of the pixel basis starts from."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_MODES", "Profile", "profile_modes", "sampled_profile"]

FloatArray = NDArray[np.float64]

N_MODES = 6
# Gauss-Legendre nodes and weights for the mean over a pixel.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_STEPS = (0.01, 0.01, 0.01, 0.01, 0.02, 0.02)


@dataclass(frozen=True)
class Profile:
    """Parameters of an elliptical Moffat profile before it is averaged over pixels.

    Attributes
    ----------
    log_radius
        Natural logarithm of the geometric mean half width at half maximum [px].
    e1, e2
        Distortion (a^2 - b^2)/(a^2 + b^2) along x and along the diagonal.
    inverse_beta
        1/beta: 0 a Gaussian, 0.4 a typical seeing disc, larger more wings.
    x, y
        Centre [px].
    """

    log_radius: float
    e1: float = 0.0
    e2: float = 0.0
    inverse_beta: float = 0.3
    x: float = 0.0
    y: float = 0.0

    def moved(self, change: FloatArray) -> Profile:
        """Return the profile with changed parameters, kept within sensible bounds."""
        lower = (np.log(0.3), -0.7, -0.7, 0.02, -1.0, -1.0)
        upper = (np.log(12.0), 0.7, 0.7, 0.65, 1.0, 1.0)
        return Profile(*(float(v) for v in np.clip(np.array(astuple(self)) + change, lower, upper)))


def sampled_profile(profile: Profile, n_samples: int, step: float) -> FloatArray:
    """Return the profile averaged over a pixel about every sample, (n_samples, n_samples), sum 1/step^2."""
    grid = (np.arange(n_samples) - n_samples // 2) * step
    scale = np.exp(2 * profile.log_radius) / np.sqrt(max(1 - profile.e1**2 - profile.e2**2, 0.1))
    xx, yy, xy = scale * (1 + profile.e1), scale * (1 - profile.e1), scale * profile.e2
    det = xx * yy - xy * xy
    beta = 1 / profile.inverse_beta
    depth = 2**profile.inverse_beta - 1
    image = np.zeros((n_samples, n_samples))
    for node_y, weight_y in zip(_NODES, _WEIGHTS, strict=True):
        dy = (grid + node_y / 2 - profile.y)[:, None]
        for node_x, weight_x in zip(_NODES, _WEIGHTS, strict=True):
            dx = (grid + node_x / 2 - profile.x)[None, :]
            squared = (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / det
            image += weight_x * weight_y * (1 + depth * squared) ** -beta
    normalised: FloatArray = image / (image.sum() * step**2)
    return normalised


def profile_modes(profile: Profile, n_samples: int, step: float) -> FloatArray:
    """Return the profile and its derivatives by the six parameters, (7, n_samples, n_samples)."""
    images = [sampled_profile(profile, n_samples, step)]
    for k, size in enumerate(_STEPS):
        change = np.zeros(N_MODES)
        change[k] = size
        up, down = profile.moved(change), profile.moved(-change)
        # Bounds may shorten a step on one side.
        distance = astuple(up)[k] - astuple(down)[k]
        difference = sampled_profile(up, n_samples, step) - sampled_profile(down, n_samples, step)
        images.append(difference / distance)
    return np.stack(images)
