"""Brighter-fatter correction against the plain iteration with full convolutions in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.signal import fftconvolve

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.errors import DamagedInputError
from hscbox.isr.brighter_fatter import brighter_fatter_correction

KERNEL = brighter_fatter_kernel()


def displaced(image: np.ndarray, kernel: np.ndarray, conserve: bool = True) -> np.ndarray:
    """1/2 div(I grad(K * I)) by numpy's differences, where the kernel fits: through faces, or central ones."""
    half = kernel.shape[0] // 2
    inside = (slice(half, -half), slice(half, -half))
    q = convolve(image, kernel, mode="constant") if image.size < 40_000 else fftconvolve(image, kernel, mode="same")
    part, q = image[inside], q[inside]
    if conserve:
        result = np.zeros_like(image)
        rows = np.diff(0.5 * (part[1:] + part[:-1]) * np.diff(q, axis=0), axis=0)[:, 1:-1]
        columns = np.diff(0.5 * (part[:, 1:] + part[:, :-1]) * np.diff(q, axis=1), axis=1)[1:-1]
        result[half + 1 : -half - 1, half + 1 : -half - 1] = 0.5 * (rows + columns)
        return result
    first = sum(a * b for a, b in zip(np.gradient(part), np.gradient(q), strict=True))[1:-1, 1:-1]
    second = part[1:-1, 1:-1] * (np.diff(q, 2, axis=0)[:, 1:-1] + np.diff(q, 2, axis=1)[1:-1])
    result = np.zeros_like(image)
    result[half + 1 : -half - 1, half + 1 : -half - 1] = 0.5 * (first + second)
    return result


def direct(
    observed: np.ndarray, kernel: np.ndarray, threshold: float = 1000.0, conserve: bool = True
) -> tuple[np.ndarray, int]:
    image, previous = observed.copy(), np.zeros_like(observed)
    iterations = 0
    while iterations < 10:
        iterations += 1
        image = observed + displaced(image, kernel, conserve)
        if np.abs(image - previous).sum() < threshold:
            break
        previous = image
    return image - observed, iterations


def star_field(shape: tuple[int, int], seed: int = 0, peak: float = 150_000.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = rng.poisson(6400.0, shape).astype(np.float64)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for k in range(12):
        x0, y0 = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        flux = peak * 0.5**k
        image += flux * (1 + ((x - x0) ** 2 + (y - y0) ** 2) / 9.0) ** -3
    return image


@pytest.mark.parametrize("conserve", [True, False])
@pytest.mark.parametrize("shape", [(90, 150), (263, 311)])
def test_same_result_and_iterations_as_full_convolutions(shape: tuple[int, int], conserve: bool) -> None:
    observed = star_field(shape, 3)
    expected, iterations = direct(observed, KERNEL, conserve=conserve)
    fit = brighter_fatter_correction(observed.astype(np.float32), KERNEL, conserve=conserve)
    assert fit.iterations == iterations and fit.converged and fit.difference < 1000
    error = fit.correction - expected
    # ADU are a third of an electron: 0.03 e- are 0.01 ADU.
    assert np.sqrt(np.mean(error**2)) < 0.003 and np.max(np.abs(error)) < 0.1
    assert np.max(np.abs(expected)) > 500


def test_a_bright_sky_costs_no_precision() -> None:
    observed = star_field((90, 150), 3) + 60_000.0
    fit = brighter_fatter_correction(observed.astype(np.float32), KERNEL)
    # Of single precision 60,000 electrons have 0.004; their mean pushes nothing.
    assert np.sqrt(np.mean((fit.correction - direct(observed, KERNEL)[0]) ** 2)) < 0.001


def test_tiles_at_rest_lose_nothing_when_iterated_to_the_end() -> None:
    observed = star_field((200, 400), 4)
    expected = direct(observed, KERNEL, threshold=1.0)[0]
    fit = brighter_fatter_correction(observed.astype(np.float32), KERNEL, threshold=1.0)
    assert np.sqrt(np.mean((fit.correction - expected) ** 2)) < 0.002


def test_correction_inverts_the_effect() -> None:
    truth = star_field((120, 160), 5, peak=100_000.0)
    observed = truth - displaced(truth, KERNEL)
    fit = brighter_fatter_correction(observed.astype(np.float32), KERNEL, threshold=1.0)
    inside = (slice(20, -20), slice(20, -20))
    recovered = observed + fit.correction
    assert np.max(np.abs(observed - truth)[inside]) > 200
    assert np.max(np.abs(recovered - truth)[inside]) < 0.2


def star(peak: float, sky: float = 6400.0, n: int = 81) -> np.ndarray:
    """A star as narrow as in seeing of 0.5 arcseconds, off the centre of its pixel."""
    y, x = np.mgrid[:n, :n] - n // 2
    return sky + peak * np.exp(-((x - 0.3) ** 2 + (y + 0.2) ** 2) / (2 * 1.3**2))


def test_charge_is_conserved_and_border_untouched() -> None:
    image = star(150_000.0)
    fit = brighter_fatter_correction(image.astype(np.float32), KERNEL, threshold=0.1)
    assert fit.correction[40, 40] > 5000  # charge returns to the peak
    moved = np.abs(fit.correction).sum(dtype=np.float64)
    assert abs(fit.correction.sum(dtype=np.float64)) < 1e-5 * moved
    border = np.ones(image.shape, bool)
    border[9:-9, 9:-9] = False
    assert not fit.correction[border].any()
    # Central differences invent charge: 0.3 per cent of the star.
    fit = brighter_fatter_correction(image.astype(np.float32), KERNEL, threshold=0.1, conserve=False)
    assert fit.correction.sum(dtype=np.float64) > 2e-3 * (image - 6400.0).sum()


def test_full_pixels_keep_their_charge_and_leave_nothing_false_beside_them() -> None:
    # A star five times brighter than the well: a plateau and a trail, whose charge acts on the pixels around it.
    well = 180_000.0
    arriving = star(5 * well, n=101)
    arriving[30:71, 50] = np.maximum(arriving[30:71, 50], well)
    held = np.minimum(arriving, well)
    full = held == well
    observed = np.where(full, well, held - displaced(held, KERNEL))
    fit = brighter_fatter_correction(observed.astype(np.float32), KERNEL, full, threshold=0.1)
    assert fit.converged and not fit.correction[full].any()
    recovered = observed + fit.correction
    # Ten thousand electrons had moved next to the trail; two per cent of a sky noise of 80 are left.
    assert np.max(np.abs(observed - held)) > 5000
    assert np.max(np.abs(recovered - held)) < 2.0
    # Treated as any other, the full pixels grow beyond their well and take from their neighbours.
    wrong = observed + brighter_fatter_correction(observed.astype(np.float32), KERNEL, threshold=0.1).correction
    assert np.max(np.abs(wrong - held)[~full]) > 100.0


def test_no_convergence_is_reported_and_frames_too_small_are_left() -> None:
    image = star_field((60, 60), 1).astype(np.float32)
    fit = brighter_fatter_correction(image, KERNEL, max_iter=2, threshold=1e-6)
    assert not fit.converged and fit.iterations == 2 and fit.difference > 0
    small = brighter_fatter_correction(image[:18], KERNEL)
    assert not small.correction.any() and small.converged


def test_kernel_must_be_square_odd_finite_and_even() -> None:
    image = np.zeros((40, 40), np.float32)
    skew = KERNEL.copy()
    skew[0, 0] *= 1e3
    for kernel in (KERNEL[:16], KERNEL[:16, :16], KERNEL[0], skew, np.full((3, 3), np.nan)):
        with pytest.raises(DamagedInputError):
            brighter_fatter_correction(image, kernel)


@pytest.mark.parametrize("half", [1, 2, 6])
def test_other_kernel_sizes(half: int) -> None:
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    kernel = -3e-7 / (1.0 + x**2 + 1.5 * y**2)
    observed = star_field((70, 150), 9)
    expected = direct(observed, kernel)[0]
    fit = brighter_fatter_correction(observed.astype(np.float32), kernel)
    assert np.sqrt(np.mean((fit.correction - expected) ** 2)) < 0.002
