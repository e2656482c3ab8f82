"""Least-squares fit of a PSF model to the pixels of stars.

The model is an image sampled finer than the pixels, times a polynomial in position (Bertin 2011, ASP Conf. 442, 435).
It is fitted to the pixels as they are: resampling stars to the model's grid first would broaden an undersampled PSF.
The model starts as a Moffat profile whose shape parameters vary with position. What the stars have in common beyond
that is added as a smooth correction, regularised by its expected size, and found by conjugate gradients; the mended
image then takes the place of the profile, and its size, shape and place vary with position. A correction for every
term of the polynomial would fit the noise instead: it made no residual smaller, and took three times as long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from ..numerics.arrays import BoolArray, FloatArray, IntArray
from .lanczos import gram_matrices, normal_product, project_all, resampling_taps, spread_all
from .psf_profile import N_MODES, Profile, profile_modes

__all__ = ["Stars", "correction", "fit_profile", "fluxes_and_models", "profile_components", "stamp_weights"]


# Expected change of the profile's parameters across the field, for every term in position: log radius, two
# ellipticities, 1/beta, centre in x and y [px].
_VARIATION = np.array([0.06, 0.06, 0.06, 0.02, 0.02, 0.02])


@dataclass(frozen=True)
class Stars:
    """Stars as the solver needs them; made by `Stars.make`."""

    stamps: FloatArray
    good: BoolArray
    basis: FloatArray
    taps: tuple[IntArray, FloatArray, IntArray, FloatArray]
    """The resampling along x and y as the functions of `lanczos` take it."""
    n_samples: int
    step: float

    @classmethod
    def make(
        cls,
        stamps: FloatArray,
        good: BoolArray,
        basis: FloatArray,
        offset_x: FloatArray,
        offset_y: FloatArray,
        n_samples: int,
        step: float,
    ) -> Stars:
        """Prepare stars.

        Parameters
        ----------
        stamps, good
            (n, size, size) pixels [ADU] and whether they count.
        basis
            (n, n_terms) polynomial terms in position.
        offset_x, offset_y
            (n,) centroids from the middle of the stamps [px].
        n_samples, step
            Size and sampling step [px] of the model.
        """
        size = stamps.shape[-1]
        taps = (
            *resampling_taps(offset_x, step, n_samples, size),
            *resampling_taps(offset_y, step, n_samples, size),
        )
        return cls(stamps, good, basis, taps, n_samples, step)

    def __len__(self) -> int:
        return len(self.stamps)


def fluxes_and_models(stars: Stars, components: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the stars' fluxes (n,) [ADU] for a model (n_terms, ny, nx), and the model's stamps (n, size, size)."""
    models: FloatArray = project_all(components, stars.basis, *stars.taps)
    weight = stars.good / variance
    fluxes = (weight * models * stars.stamps).sum(axis=(1, 2)) / (weight * models**2).sum(axis=(1, 2))
    return fluxes, models


def stamp_weights(
    stars: Stars, fluxes: FloatArray, models: FloatArray, background: float, gain: float, accuracy: float
) -> FloatArray:
    """Return the variance (n, size, size) [ADU^2] of the stars' pixels as the model predicts it.

    Variances of the pixels themselves would be correlated with their noise, and make the model too faint.
    """
    expected = np.maximum(models * np.maximum(fluxes, 0.0)[:, None, None], 0.0)
    return background + expected / gain + (accuracy * expected) ** 2


def fit_profile(
    stars: Stars, profile: Profile, variance: FloatArray, rounds: int, tolerance: float
) -> tuple[Profile, FloatArray]:
    """Fit one profile to all stars, each with its own flux, by damped Gauss-Newton steps.

    Stops after `rounds` steps or when no parameter changes by `tolerance`; `profile_components` takes the last step.

    Returns
    -------
    The profile, and its modes (7, n_samples, n_samples) from `profile_modes`.
    """
    modes = profile_modes(profile, stars.n_samples, stars.step)
    constant = np.ones((len(stars), 1))
    for _ in range(rounds):
        change = _solve_modes(stars, modes, variance, constant)[0]
        # Far from the solution the linear step overshoots.
        scale = 1.0 / max(1.0, float(np.max(np.abs(change) / np.array([0.3, 0.2, 0.2, 0.15, 0.3, 0.3]))))
        profile = profile.moved(change * scale)
        modes = profile_modes(profile, stars.n_samples, stars.step)
        if np.max(np.abs(change)) < tolerance:
            break
    return profile, modes


def profile_components(stars: Stars, modes: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the model (n_terms, ny, nx) whose profile parameters vary with position to first order."""
    changes = _solve_modes(stars, modes, variance, stars.basis)
    components = np.tensordot(changes, modes[1:], axes=1)
    components[0] += modes[0]
    return components


def _solve_modes(stars: Stars, modes: FloatArray, variance: FloatArray, basis: FloatArray) -> FloatArray:
    """Return the changes (n_terms, 6) of the profile's parameters that fit all stars best, fluxes being free."""
    n_terms = basis.shape[1]
    gram, data = gram_matrices(modes, np.where(stars.good, stars.stamps, 0.0), stars.good / variance, *stars.taps)
    flux = data[:, 0] / gram[:, 0, 0]
    # The flux is eliminated, so that it cannot pull the size along.
    outer = gram[:, 1:, :1] * gram[:, :1, 1:] / gram[:, :1, :1]
    reduced = (gram[:, 1:, 1:] - outer) * flux[:, None, None] ** 2
    residual = (data[:, 1:] - gram[:, 1:, 0] * flux[:, None]) * flux[:, None]
    size = n_terms * N_MODES
    matrix = np.einsum("ik,il,iab->kalb", basis, basis, reduced, optimize=False).reshape(size, size)
    right = np.einsum("ik,ia->ka", basis, residual, optimize=False).ravel()
    # A few stars cannot tell the variation of the wings: without limits its noise would enter the size.
    expected = np.tile(1.0 / _VARIATION**2, n_terms)
    expected[:N_MODES] = 0.0
    matrix[np.diag_indices(size)] += expected
    scale = 1.0 / np.sqrt(np.maximum(np.diagonal(matrix), 1e-300))
    scaled = matrix * scale[:, None] * scale[None, :] + 1e-9 * np.eye(len(right))
    solution = np.linalg.solve(scaled, right * scale) * scale
    return np.asarray(solution.reshape(n_terms, N_MODES))


def correction(
    stars: Stars,
    fluxes: FloatArray,
    models: FloatArray,
    variance: FloatArray,
    amplitude: FloatArray,
    smoothing: float,
    iterations: int,
) -> FloatArray:
    """Return what to add everywhere to the model so that it fits the stars, by conjugate gradients: (ny, nx).

    Parameters
    ----------
    fluxes, models, variance
        Of the stars: (n,) [ADU], (n, size, size), (n, size, size) [ADU^2].
    amplitude
        (ny, nx) expected size of the correction.
    smoothing
        Sigma of the Gaussian that keeps the correction smooth, in samples.
    iterations
        Number of steps.
    """
    weight = stars.good * fluxes[:, None, None] ** 2 / variance
    residual = stars.stamps / fluxes[:, None, None] - models
    gradient = spread_all(residual * weight, stars.n_samples, *stars.taps)
    # White noise of unit variance, smoothed to unit variance and scaled, has the expected size everywhere.
    gain = 2.0 * np.sqrt(np.pi) * smoothing

    def shape(white: FloatArray) -> FloatArray:
        image: FloatArray = amplitude * gain * _smoothed(white, smoothing)
        return image

    def unshape(image: FloatArray) -> FloatArray:
        white: FloatArray = gain * _smoothed(amplitude * image, smoothing)
        return white

    solution = np.zeros_like(amplitude)
    left = unshape(gradient)
    direction, power = left.copy(), float(np.sum(left * left))
    target = 1e-8 * power
    for _ in range(iterations):
        if power <= target:
            break
        product = direction + unshape(normal_product(shape(direction), weight, *stars.taps))
        length = power / float(np.sum(direction * product))
        solution += length * direction
        left -= length * product
        previous, power = power, float(np.sum(left * left))
        direction = left + power / previous * direction
    return shape(solution)


def _smoothed(image: FloatArray, sigma: float) -> FloatArray:
    # Zero beyond the border makes the filter its own transpose.
    smoothed: FloatArray = scipy.ndimage.gaussian_filter(image, sigma, mode="constant", truncate=4.0)
    return smoothed
