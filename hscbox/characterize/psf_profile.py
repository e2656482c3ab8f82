"""Elliptical Moffat profiles on the sampling grid of a PSF model: where the fit of the pixel basis starts from."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import scipy.ndimage

from ..numerics.arrays import FloatArray
from ..numerics.compiler import njit

__all__ = ["N_MODES", "Profile", "image_modes", "profile_modes", "sampled_profile"]


N_MODES = 6
# Gauss-Legendre nodes and weights for the mean over a pixel.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
# Derivatives of fourth order in the step.
_FIRST = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12.0
_SECOND = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / 12.0
# Variance of a pixel [px^2].
_PIXEL_VARIANCE = 1.0 / 12.0


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
    image: FloatArray = profile_modes(profile, n_samples, step)[0]
    return image


def profile_modes(profile: Profile, n_samples: int, step: float) -> FloatArray:
    """Return the profile and its derivatives by the six parameters, (7, n_samples, n_samples)."""
    grid = (np.arange(n_samples) - n_samples // 2) * step
    modes: FloatArray = _modes(grid, np.array(astuple(profile)), _NODES, _WEIGHTS)
    sums = modes.sum(axis=(1, 2))
    modes[1:] -= (sums[1:] / sums[0])[:, None, None] * modes[0]
    modes /= sums[0] * step**2
    return modes


def image_modes(image: FloatArray, step: float, wings: FloatArray) -> FloatArray:
    """Return an image of the PSF and its derivatives by the six parameters, (7, n_samples, n_samples).

    The parameters change the PSF before it is averaged over pixels; the pixel does not stretch along, which is put
    right to second order in its size.

    Parameters
    ----------
    image
        (n_samples, n_samples) with a sample every `step` pixels, the centre in the middle one.
    wings
        (n_samples, n_samples) derivative by 1/beta, which an image does not define.
    """
    n = len(image)
    x = (np.arange(n) - n // 2) * step
    y = x[:, None]

    def derivative(taps: FloatArray, axis: int, of: FloatArray) -> FloatArray:
        result: FloatArray = scipy.ndimage.correlate1d(of, taps, axis, mode="nearest")
        return result

    by_x, by_y = derivative(_FIRST, 1, image) / step, derivative(_FIRST, 0, image) / step
    by_xx, by_yy = derivative(_SECOND, 1, image) / step**2, derivative(_SECOND, 0, image) / step**2
    by_xy = derivative(_FIRST, 0, by_x) / step
    radius = -(x * by_x + y * by_y + 2 * image) - _PIXEL_VARIANCE * (by_xx + by_yy)
    # An axis is (1 +- e/2) times as long.
    e1 = -(x * by_x - y * by_y + _PIXEL_VARIANCE * (by_xx - by_yy)) / 2
    e2 = -(x * by_y + y * by_x + 2 * _PIXEL_VARIANCE * by_xy) / 2
    return np.stack([image, radius, e1, e2, wings, -by_x, -by_y])


@njit
def _modes(grid: Any, parameters: Any, nodes: Any, weights: Any) -> Any:
    """Return I = (1 + d q)^(-1/b), d = 2^b - 1, averaged over pixels, and its derivatives, with I(0) = 1."""
    log_radius, e1, e2, b, x, y = parameters
    n = len(grid)
    modes = np.zeros((7, n, n))
    rest = 1.0 - e1 * e1 - e2 * e2
    scale = math.exp(-2.0 * log_radius) * math.sqrt(max(rest, 0.1)) / rest
    depth = 2.0**b - 1.0
    by_b = 2.0**b * math.log(2.0) / b
    for j in range(n):
        for i in range(n):
            for node_y in range(len(nodes)):
                dy = grid[j] + nodes[node_y] / 2 - y
                for node_x in range(len(nodes)):
                    dx = grid[i] + nodes[node_x] / 2 - x
                    q = scale * ((1 - e1) * dx * dx - 2 * e2 * dx * dy + (1 + e1) * dy * dy)
                    base = 1.0 + depth * q
                    logarithm = math.log(base)
                    value = weights[node_x] * weights[node_y] * math.exp(-logarithm / b)
                    slope = -depth / b * value / base
                    modes[0, j, i] += value
                    modes[1, j, i] -= 2 * q * slope
                    modes[2, j, i] += slope * (scale * (dy * dy - dx * dx) + q * e1 / rest)
                    modes[3, j, i] += slope * (q * e2 / rest - 2 * scale * dx * dy)
                    modes[4, j, i] += value * (logarithm / (b * b) - by_b * q / base)
                    modes[5, j, i] -= slope * 2 * scale * ((1 - e1) * dx - e2 * dy)
                    modes[6, j, i] -= slope * 2 * scale * ((1 + e1) * dy - e2 * dx)
    return modes
