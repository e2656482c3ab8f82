"""Convolution with a small kernel that is even in x and in y, in chosen tiles of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiler import njit

__all__ = ["TILE_HEIGHT", "TILE_WIDTH", "add_convolution"]

TILE_HEIGHT = 32
TILE_WIDTH = 128


@njit
def add_convolution(image: Any, quadrant: Any, tiles: Any, convolved: Any) -> None:
    """Add the convolution of `image` to `convolved` in the chosen tiles, where the kernel fits into the image.

    Parameters
    ----------
    image, convolved
        float32 [y, x].
    quadrant
        float32, the kernel from its centre to its largest x and y.
    tiles
        bool [row, column] of tiles of `TILE_HEIGHT` x `TILE_WIDTH` pixels; the last ones may be smaller.
    """
    height, width = image.shape
    half = quadrant.shape[0] - 1
    folded = np.empty(width, np.float32)
    total = np.empty(width, np.float32)
    for ty in range(tiles.shape[0]):
        tx = 0
        while tx < tiles.shape[1]:
            first = tx
            while tx < tiles.shape[1] and tiles[ty, tx]:
                tx += 1
            # Neighbouring tiles are one row each: setting up a row costs as much as some hundred pixels.
            x0, x1 = max(first * TILE_WIDTH, half), min(tx * TILE_WIDTH, width - half)
            if x1 > x0:
                for y in range(max(ty * TILE_HEIGHT, half), min((ty + 1) * TILE_HEIGHT, height - half)):
                    _convolve_row(image, quadrant, y, x0, x1 - x0, folded, total[: x1 - x0])
                    _add_scaled(convolved[y, x0:x1], total[: x1 - x0], np.float32(1.0))
            tx += 1


@njit
def _convolve_row(image: Any, quadrant: Any, y: int, x0: int, n: int, folded: Any, total: Any) -> None:
    """Convolve n pixels of row y from column x0, using the kernel's symmetry in both axes.

    Slices from 0 instead of shifted indices let the compiler vectorise.
    """
    half = quadrant.shape[0] - 1
    wide = n + 2 * half
    total[:] = np.float32(0.0)
    for dy in range(half + 1):
        upper = image[y + dy, x0 - half : x0 + n + half]
        lower = image[y - dy, x0 - half : x0 + n + half]
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
