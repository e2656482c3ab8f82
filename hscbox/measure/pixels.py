"""The pixels that belong to each source, and the image in which everything else is noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..catalog.footprint import Footprint
from ..numerics.arrays import Float32Array, IntArray
from ..numerics.compiler import njit

__all__ = ["SourcePixels", "gather_pixels", "put_back", "take_out"]


class SourcePixels(NamedTuple):
    """A working image and the pixels of every source, as flat arrays for compiled loops.

    A compiled loop calls ``put_back(pixels, i)``, measures source i in ``pixels.work``, and calls
    ``take_out(pixels, i)``; afterwards the working image is as before.
    """

    work: Float32Array
    """(height, width) image [ADU] in which the footprints of all sources hold noise."""
    start: IntArray
    """(n + 1,) where the pixels of source i begin in the arrays below; those of i end at start[i + 1]."""
    where: IntArray
    """Flat pixel numbers y * width + x, in span order."""
    value: Float32Array
    """The source's own pixel values [ADU]: deblended ones for a child, those of the image for a parent."""
    noise: Float32Array
    """The values that the working image has there between measurements [ADU]."""


def gather_pixels(image: Float32Array, footprints: Sequence[Footprint]) -> tuple[IntArray, IntArray, Float32Array]:
    """Return `start`, `where` and `value` of `SourcePixels` for an image (height, width)."""
    height, width = image.shape
    spans = np.concatenate([f.spans for f in footprints]) if footprints else np.zeros((0, 3), np.int32)
    if len(spans) and (
        spans[:, 0].min() < 0 or spans[:, 0].max() >= height or spans[:, 1].min() < 0 or spans[:, 2].max() >= width
    ):
        raise ValueError(f"A footprint leaves the image of {width} x {height} pixels")
    lengths = spans[:, 2].astype(np.int64) - spans[:, 1] + 1
    before = np.cumsum(lengths) - lengths
    first = spans[:, 0].astype(np.int64) * width + spans[:, 1]
    index = np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(first - before, lengths)
    counts = np.array([len(f.spans) for f in footprints], dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    start = ends[np.concatenate([[0], np.cumsum(counts)])]
    value = image.reshape(-1)[index]
    for i, footprint in enumerate(footprints):
        if footprint.heavy is not None:
            value[start[i] : start[i + 1]] = footprint.heavy.image
    return start.astype(np.int64), index, value


@njit
def put_back(pixels: Any, i: int) -> None:
    """Write the pixels of source `i` into the working image."""
    flat = pixels.work.ravel()
    for k in range(pixels.start[i], pixels.start[i + 1]):
        flat[pixels.where[k]] = pixels.value[k]


@njit
def take_out(pixels: Any, i: int) -> None:
    """Replace the pixels of source `i` in the working image by noise again."""
    flat = pixels.work.ravel()
    for k in range(pixels.start[i], pixels.start[i + 1]):
        flat[pixels.where[k]] = pixels.noise[k]
