"""Brighter-fatter correction: put back the charge that collected charge has pushed across pixel borders.

Coulton et al. 2018 (AJ 155, 258), after Antilogus et al. 2014 (JINST 9, C03048): with the kernel K and the image I in
electrons, I = I0 + D, D = 1/2 div(I grad(K (x) I)), solved by fixed-point iteration. The change of D shrinks by a
factor of about the local brightness times K, some hundred on the sky and three in a bright star, so that after two
rounds only the surroundings of stars still move. The convolution is linear: each round convolves the change only, tile
by tile, and tiles at rest are left out. The result is that of full convolutions to single precision.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DamagedInputError
from ..jit import njit

__all__ = ["BrighterFatterFit", "brighter_fatter_correction"]

_TILE_HEIGHT = 32
_TILE_WIDTH = 128
_REST = 0.1
"""A tile is at rest if the change expected of it is below this fraction of its share of the tolerance."""
_CCD_AREA = 2048 * 4176
"""Pixels over which the tolerance is shared, also in a cut-out."""


class BrighterFatterFit(NamedTuple):
    """Result of `brighter_fatter_correction`."""

    correction: npt.NDArray[np.float32]
    """To be added to the image, electrons."""
    iterations: int
    converged: bool
    difference: float
    """Sum over the image of the absolute change in the last iteration, electrons."""


def brighter_fatter_correction(
    electrons: npt.NDArray[np.float32],
    kernel: npt.NDArray[np.float64],
    *,
    max_iter: int = 10,
    threshold: float = 1000.0,
) -> BrighterFatterFit:
    """Return the charge to add to an image so that brighter stars are no wider than faint ones.

    Parameters
    ----------
    electrons
        Image in electrons, [y, x], finite.
    kernel
        Square with an odd number of rows, even in x and in y; 1/electron.
    max_iter, threshold
        Stop after so many iterations, or when the sum of the absolute changes is below the threshold [electrons] and
        at least two iterations are done.

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
    correction = np.zeros_like(electrons)
    height, width = electrons.shape
    if min(height, width) <= 2 * half + 2 or max_iter < 1:
        return BrighterFatterFit(correction, 0, True, 0.0)
    # Only derivatives of the convolved image matter; without its mean, single precision loses nothing.
    change = electrons - np.float32(electrons.mean(dtype=np.float64))
    convolved = np.zeros_like(electrons)
    n_tiles = (-(-height // _TILE_HEIGHT), -(-width // _TILE_WIDTH))
    moving = np.ones(n_tiles, np.bool_)
    limit = _REST * threshold * _TILE_HEIGHT * _TILE_WIDTH / _CCD_AREA
    previous = np.zeros(n_tiles)
    difference = float("inf")
    for iteration in range(1, max_iter + 1):
        touched = _with_neighbours(moving)
        _convolve_tiles(change, quadrant, touched, convolved)
        sums = _correct_tiles(electrons, convolved, half, touched, correction, change)
        # The first change is the whole correction and says nothing about convergence.
        difference = float(sums.sum()) if iteration > 1 else difference
        if difference < threshold:
            return BrighterFatterFit(correction, iteration, True, difference)
        # Changes shrink geometrically, so the last two tell the next one.
        ratio = np.divide(sums, previous, out=np.ones(n_tiles), where=previous > sums)
        moving = sums * ratio > limit
        previous = sums
        _silence_tiles(change, touched & ~moving)
    return BrighterFatterFit(correction, max_iter, False, difference)


def _half_width(kernel: npt.NDArray[np.float64]) -> int:
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


def _with_neighbours(tiles: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    padded = np.pad(tiles, 1)
    columns = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    grown: npt.NDArray[np.bool_] = columns[:-2] | columns[1:-1] | columns[2:]
    return grown


@njit
def _convolve_tiles(change: Any, quadrant: Any, tiles: Any, convolved: Any) -> None:
    """Add the convolution of `change` to `convolved` in the chosen tiles, where the kernel fits into the image."""
    height, width = change.shape
    half = quadrant.shape[0] - 1
    folded = np.empty(_TILE_WIDTH + 2 * half, np.float32)
    total = np.empty(_TILE_WIDTH, np.float32)
    for ty in range(tiles.shape[0]):
        for tx in range(tiles.shape[1]):
            if not tiles[ty, tx]:
                continue
            x0 = max(tx * _TILE_WIDTH, half)
            n = min((tx + 1) * _TILE_WIDTH, width - half) - x0
            for y in range(max(ty * _TILE_HEIGHT, half), min((ty + 1) * _TILE_HEIGHT, height - half)):
                _convolve_row(change, quadrant, y, x0, n, folded, total[:n])
                _add_scaled(convolved[y, x0 : x0 + n], total[:n], np.float32(1.0))


@njit
def _convolve_row(change: Any, quadrant: Any, y: int, x0: int, n: int, folded: Any, total: Any) -> None:
    """Convolve n pixels of row y from column x0, using the kernel's symmetry in both axes.

    Slices from 0 instead of shifted indices let the compiler vectorise.
    """
    half = quadrant.shape[0] - 1
    wide = n + 2 * half
    total[:] = np.float32(0.0)
    for dy in range(half + 1):
        upper = change[y + dy, x0 - half : x0 + n + half]
        lower = change[y - dy, x0 - half : x0 + n + half]
        if dy == 0:
            for x in range(wide):
                folded[x] = upper[x]
        else:
            for x in range(wide):
                folded[x] = upper[x] + lower[x]
        _add_scaled(total, folded[half : half + n], quadrant[dy, 0])
        dx = 1
        while dx + 3 <= half:
            _add_four_pairs(total, folded, half, dx, quadrant[dy])
            dx += 4
        while dx <= half:
            _add_pair(total, folded[half + dx : half + dx + n], folded[half - dx : half - dx + n], quadrant[dy, dx])
            dx += 1


@njit
def _add_scaled(total: Any, values: Any, weight: Any) -> None:
    for x in range(values.size):
        total[x] += weight * values[x]


@njit
def _add_pair(total: Any, right: Any, left: Any, weight: Any) -> None:
    for x in range(right.size):
        total[x] += weight * (right[x] + left[x])


@njit
def _add_four_pairs(total: Any, folded: Any, half: int, dx: int, weights: Any) -> None:
    """Do four columns of the kernel at once: a quarter of the loads and stores of the total."""
    n = total.size
    right_1, left_1 = folded[half + dx : half + dx + n], folded[half - dx : half - dx + n]
    right_2, left_2 = folded[half + dx + 1 : half + dx + 1 + n], folded[half - dx - 1 : half - dx - 1 + n]
    right_3, left_3 = folded[half + dx + 2 : half + dx + 2 + n], folded[half - dx - 2 : half - dx - 2 + n]
    right_4, left_4 = folded[half + dx + 3 : half + dx + 3 + n], folded[half - dx - 3 : half - dx - 3 + n]
    w_1, w_2, w_3, w_4 = weights[dx], weights[dx + 1], weights[dx + 2], weights[dx + 3]
    for x in range(n):
        near = w_1 * (right_1[x] + left_1[x]) + w_2 * (right_2[x] + left_2[x])
        far = w_3 * (right_3[x] + left_3[x]) + w_4 * (right_4[x] + left_4[x])
        total[x] += near + far


@njit
def _correct_tiles(electrons: Any, convolved: Any, half: int, tiles: Any, correction: Any, change: Any) -> Any:
    """Evaluate the correction anew in the chosen tiles; return the summed absolute change of each tile.

    All tiles are evaluated before any value of `correction` is replaced, since the stencil looks at neighbours.
    """
    height, width = electrons.shape
    border = half + 1
    sums = np.zeros(tiles.shape, np.float64)
    for ty in range(tiles.shape[0]):
        for tx in range(tiles.shape[1]):
            if not tiles[ty, tx]:
                continue
            x0 = max(tx * _TILE_WIDTH, border)
            x1 = min((tx + 1) * _TILE_WIDTH, width - border)
            for y in range(max(ty * _TILE_HEIGHT, border), min((ty + 1) * _TILE_HEIGHT, height - border)):
                _evaluate_row(electrons, correction, convolved, y, x0, x1, change[y, x0:x1])
    for ty in range(tiles.shape[0]):
        for tx in range(tiles.shape[1]):
            if not tiles[ty, tx]:
                continue
            x0, x1 = tx * _TILE_WIDTH, min((tx + 1) * _TILE_WIDTH, width)
            for y in range(ty * _TILE_HEIGHT, min((ty + 1) * _TILE_HEIGHT, height)):
                if y < border or y >= height - border:
                    change[y, x0:x1] = np.float32(0.0)
                    continue
                change[y, x0 : max(x0, border)] = np.float32(0.0)
                change[y, min(x1, width - border) : x1] = np.float32(0.0)
                left, right = max(x0, border), min(x1, width - border)
                _replace(correction[y, left:right], change[y, left:right])
                sums[ty, tx] += _sum_of_absolutes(change[y, left:right])
    return sums


@njit
def _evaluate_row(electrons: Any, correction: Any, convolved: Any, y: int, x0: int, x1: int, out: Any) -> None:
    """Write D = 1/2 [grad I . grad q + I lap q] of the current image I = electrons + correction to `out`."""
    quarter, half, four = np.float32(0.25), np.float32(0.5), np.float32(4.0)
    here, right, left = electrons[y, x0:x1], electrons[y, x0 + 1 : x1 + 1], electrons[y, x0 - 1 : x1 - 1]
    above, below = electrons[y + 1, x0:x1], electrons[y - 1, x0:x1]
    d, d_right, d_left = correction[y, x0:x1], correction[y, x0 + 1 : x1 + 1], correction[y, x0 - 1 : x1 - 1]
    d_above, d_below = correction[y + 1, x0:x1], correction[y - 1, x0:x1]
    q, q_right, q_left = convolved[y, x0:x1], convolved[y, x0 + 1 : x1 + 1], convolved[y, x0 - 1 : x1 - 1]
    q_above, q_below = convolved[y + 1, x0:x1], convolved[y - 1, x0:x1]
    for x in range(x1 - x0):
        slope_x = (right[x] - left[x]) + (d_right[x] - d_left[x])
        slope_y = (above[x] - below[x]) + (d_above[x] - d_below[x])
        gradient = slope_x * (q_right[x] - q_left[x]) + slope_y * (q_above[x] - q_below[x])
        curvature = q_right[x] + q_left[x] + q_above[x] + q_below[x] - four * q[x]
        out[x] = half * (quarter * gradient + (here[x] + d[x]) * curvature)


@njit
def _replace(correction: Any, change: Any) -> None:
    """Turn new values in `change` into differences from `correction`, which becomes the new values."""
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


@njit
def _silence_tiles(change: Any, tiles: Any) -> None:
    height, width = change.shape
    for ty in range(tiles.shape[0]):
        for tx in range(tiles.shape[1]):
            if tiles[ty, tx]:
                y1 = min((ty + 1) * _TILE_HEIGHT, height)
                x1 = min((tx + 1) * _TILE_WIDTH, width)
                change[ty * _TILE_HEIGHT : y1, tx * _TILE_WIDTH : x1] = np.float32(0.0)
