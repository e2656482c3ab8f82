"""Brighter-fatter correction: put back the charge that collected charge has pushed across pixel borders.

Coulton et al. 2018 (AJ 155, 258), after Antilogus et al. 2014 (JINST 9, C03048): with the kernel K and the image I in
electrons, I = I0 + D, D = 1/2 div(I grad(K (x) I)), solved by fixed-point iteration. The change of D shrinks by a
factor of about the local brightness times K, some hundred on the sky and three in a bright star, so that after two
rounds only the surroundings of stars still move. The convolution is linear: each round convolves the change only, tile
by tile, and tiles at rest are left out. The result is that of full convolutions to single precision.

The divergence is that of fluxes through the faces between pixels: what one pixel gains its neighbour loses. The form
with central differences (lsst/ip_isr 0af5a6cf) is not conservative where a star is narrow: it adds 0.3 per cent to
one of 160,000 electrons in its brightest pixel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation

from ..camera.geometry import CCD_AREA
from ..errors import DamagedInputError
from ..numerics.arrays import BoolArray, Float32Array, FloatArray
from ..numerics.compiler import njit
from ..numerics.symmetric_convolution import TILE_HEIGHT, TILE_WIDTH, add_convolution
from .frame import Frame
from .gains import add_electrons, column_gains, electrons_of
from .saturation import full_wells

__all__ = ["BrighterFatterFit", "brighter_fatter_correction", "correct_brighter_fatter"]

_REST = 0.1
"""A tile is at rest if the change expected of it is below this fraction of its share of the tolerance."""


class BrighterFatterFit(NamedTuple):
    """Result of `brighter_fatter_correction`."""

    correction: Float32Array
    """To be added to the image, electrons."""
    iterations: int
    converged: bool
    difference: float
    """Sum over the image of the absolute change in the last iteration, electrons."""


def brighter_fatter_correction(
    electrons: Float32Array,
    kernel: FloatArray,
    full: BoolArray | None = None,
    *,
    max_iter: int = 10,
    threshold: float = 1000.0,
    conserve: bool = True,
) -> BrighterFatterFit:
    """Return the charge to add to an image so that brighter stars are no wider than faint ones.

    Parameters
    ----------
    electrons
        Image in electrons, [y, x], finite.
    kernel
        Square with an odd number of rows, even in x and in y; 1/electron.
    full
        Pixels that hold what their well can hold, [y, x]. Their charge acts on others as it is; they get no
        correction, because what was pushed out of them or ran into them is not known.
    max_iter, threshold
        Stop after so many iterations, or when the sum of the absolute changes is below the threshold [electrons] and
        at least two iterations are done.
    conserve
        Fluxes through faces; otherwise central differences as in the original.

    Returns
    -------
    BrighterFatterFit
        The correction is zero in a border of half the kernel plus one pixel, where it cannot be computed.

    Raises
    ------
    DamagedInputError
        The kernel has another shape or symmetry.
    """
    half = _half_width(kernel)
    quadrant = np.ascontiguousarray(kernel[half:, half:], dtype=np.float32)
    correction = np.zeros(electrons.shape, np.float32)
    height, width = electrons.shape
    if min(height, width) <= 2 * half + 2 or max_iter < 1:
        return BrighterFatterFit(correction, 0, True, 0.0)
    untouched = np.nonzero(full) if full is not None else (np.zeros(0, np.int64),) * 2
    # Only derivatives of the convolved image matter; without its mean, single precision loses nothing.
    change = electrons - np.float32(electrons.mean(dtype=np.float64))
    convolved = np.zeros(electrons.shape, np.float32)
    n_tiles = (-(-height // TILE_HEIGHT), -(-width // TILE_WIDTH))
    moving = np.ones(n_tiles, np.bool_)
    # The tolerance is shared over a whole CCD, also in a cut-out.
    limit = _REST * threshold * TILE_HEIGHT * TILE_WIDTH / CCD_AREA
    previous = np.zeros(n_tiles)
    difference = float("inf")
    share = np.float32(1.0 if conserve else 0.0)
    for iteration in range(1, max_iter + 1):
        touched = binary_dilation(moving, np.ones((3, 3), np.bool_))
        add_convolution(change, quadrant, touched, convolved)
        _evaluate_tiles(electrons, convolved, correction, half + 1, touched, share, change)
        change[untouched] = 0.0
        sums = _replace_tiles(correction, change, half + 1, touched)
        # The first change is the whole correction and says nothing about convergence.
        difference = float(sums.sum()) if iteration > 1 else difference
        if difference < threshold:
            return BrighterFatterFit(correction, iteration, True, difference)
        # Changes shrink geometrically, so the last two tell the next one.
        ratio = np.divide(sums, previous, out=np.ones(n_tiles), where=previous > sums)
        moving = sums * ratio > limit
        previous = sums
        for ty, tx in np.argwhere(touched & ~moving):
            y, x = ty * TILE_HEIGHT, tx * TILE_WIDTH
            change[y : y + TILE_HEIGHT, x : x + TILE_WIDTH] = 0.0
    return BrighterFatterFit(correction, max_iter, False, difference)


def _half_width(kernel: FloatArray) -> int:
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.shape[0] % 2 == 0:
        raise DamagedInputError(
            f"Brighter-fatter kernel has shape {kernel.shape}; it must be square with an odd number of rows"
        )
    scale = float(np.max(np.abs(kernel)))
    asymmetry = max(float(np.max(np.abs(kernel - kernel[::-1]))), float(np.max(np.abs(kernel - kernel[:, ::-1]))))
    if not asymmetry <= 1e-6 * scale:
        raise DamagedInputError(
            f"Brighter-fatter kernel differs from its mirror image by {asymmetry:.3g}, centre value {scale:.3g}; "
            "it must be finite and even in x and in y",
            asymmetry=asymmetry,
        )
    return int(kernel.shape[0]) // 2


@njit
def _evaluate_tiles(
    electrons: Any, convolved: Any, correction: Any, border: int, tiles: Any, share: Any, out: Any
) -> None:
    """Write the correction that follows from the current image to `out` in the chosen tiles; zero in the border."""
    height, width = electrons.shape
    for ty in range(tiles.shape[0]):
        tx = 0
        while tx < tiles.shape[1]:
            first = tx
            while tx < tiles.shape[1] and tiles[ty, tx]:
                tx += 1
            left, right = first * TILE_WIDTH, min(tx * TILE_WIDTH, width)
            x0, x1 = max(left, border), min(right, width - border)
            for y in range(ty * TILE_HEIGHT, min((ty + 1) * TILE_HEIGHT, height)) if right > left else range(0):
                if y < border or y >= height - border or x1 <= x0:
                    out[y, left:right] = np.float32(0.0)
                    continue
                out[y, left:x0] = np.float32(0.0)
                out[y, x1:right] = np.float32(0.0)
                _evaluate_row(electrons, correction, convolved, y, x0, x1, share, out[y, x0:x1])
            tx += 1


@njit
def _evaluate_row(
    electrons: Any, correction: Any, convolved: Any, y: int, x0: int, x1: int, share: Any, out: Any
) -> None:
    """Write D of the current image I = electrons + correction to `out`.

    Central differences give D = 1/2 [grad I . grad q + I lap q]. The fluxes (I_0 + I_1)/2 (q_1 - q_0) through the
    faces have the same divergence plus a quarter of the product of the second differences of I and q along each axis.
    """
    quarter, half, two = np.float32(0.25), np.float32(0.5), np.float32(2.0)
    here, right, left = electrons[y, x0:x1], electrons[y, x0 + 1 : x1 + 1], electrons[y, x0 - 1 : x1 - 1]
    above, below = electrons[y + 1, x0:x1], electrons[y - 1, x0:x1]
    d, d_right, d_left = correction[y, x0:x1], correction[y, x0 + 1 : x1 + 1], correction[y, x0 - 1 : x1 - 1]
    d_above, d_below = correction[y + 1, x0:x1], correction[y - 1, x0:x1]
    q, q_right, q_left = convolved[y, x0:x1], convolved[y, x0 + 1 : x1 + 1], convolved[y, x0 - 1 : x1 - 1]
    q_above, q_below = convolved[y + 1, x0:x1], convolved[y - 1, x0:x1]
    for x in range(x1 - x0):
        value = here[x] + d[x]
        slope_x = (right[x] - left[x]) + (d_right[x] - d_left[x])
        slope_y = (above[x] - below[x]) + (d_above[x] - d_below[x])
        bend_x = (right[x] + d_right[x]) + (left[x] + d_left[x]) - two * value
        bend_y = (above[x] + d_above[x]) + (below[x] + d_below[x]) - two * value
        bend_q_x = q_right[x] + q_left[x] - two * q[x]
        bend_q_y = q_above[x] + q_below[x] - two * q[x]
        product = slope_x * (q_right[x] - q_left[x]) + slope_y * (q_above[x] - q_below[x])
        product += share * (bend_x * bend_q_x + bend_y * bend_q_y)
        out[x] = half * (quarter * product + value * (bend_q_x + bend_q_y))


@njit
def _replace_tiles(correction: Any, change: Any, border: int, tiles: Any) -> Any:
    """Turn new values in `change` into differences from `correction`, which becomes the new values.

    Return the summed absolute change of each tile.
    """
    height, width = correction.shape
    sums = np.zeros(tiles.shape, np.float64)
    for ty in range(tiles.shape[0]):
        for tx in range(tiles.shape[1]):
            if not tiles[ty, tx]:
                continue
            x0, x1 = tx * TILE_WIDTH, min((tx + 1) * TILE_WIDTH, width)
            for y in range(max(ty * TILE_HEIGHT, border), min((ty + 1) * TILE_HEIGHT, height - border)):
                _replace(correction[y, x0:x1], change[y, x0:x1])
                sums[ty, tx] += _sum_of_absolutes(change[y, x0:x1])
    return sums


@njit
def _replace(correction: Any, change: Any) -> None:
    for x in range(change.size):
        new = change[x]
        change[x] = new - correction[x]
        correction[x] = new


@njit
def _sum_of_absolutes(values: Any) -> float:
    """Sum in double precision; four partial sums because one would wait for itself."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    n = values.size // 4 * 4
    for x in range(0, n, 4):
        a += abs(values[x])
        b += abs(values[x + 1])
        c += abs(values[x + 2])
        d += abs(values[x + 3])
    for x in range(n, values.size):
        a += abs(values[x])
    return (a + b) + (c + d)


def correct_brighter_fatter(frame: Frame) -> None:
    """Correct a frame in place; log and record the number of iterations."""
    config, exposure = frame.config, frame.exposure
    assert frame.inputs.bf_kernel is not None
    gains = column_gains(frame.detector) if config.brighterFatterApplyGain else np.ones(exposure.width, np.float32)
    fit = brighter_fatter_correction(
        electrons_of(exposure.image, gains),
        frame.inputs.bf_kernel,
        full_wells(exposure.mask),
        max_iter=config.brighterFatterMaxIter,
        threshold=config.brighterFatterThreshold,
        conserve=config.brighterFatterConserveCharge,
    )
    if not fit.converged:
        frame.log.warning("Brighter fatter correction did not converge, final difference %f", fit.difference)
    add_electrons(exposure.image, fit.correction, gains)
    frame.log.info("Finished brighter fatter in %d iterations", fit.iterations)
    exposure.metadata.set("BFITER", fit.iterations, "iterations of the brighter-fatter correction")
