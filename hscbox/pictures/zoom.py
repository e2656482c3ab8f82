"""Fitting an image to the screen: blocks of pixels for one point, or several points for one pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.arrays import FloatArray, Int32Array

__all__ = ["Zoom", "block_mean", "block_union"]

_MOST = 24


@dataclass(frozen=True)
class Zoom:
    """How many pixels of the image make a point of the picture, or the other way round; one of both is 1."""

    binning: int = 1
    magnification: int = 1

    @classmethod
    def whole(cls, width: int, height: int, size: int) -> Zoom:
        """Return the zoom that shows a whole frame with about `size` points on its longer side."""
        longer = max(width, height)
        return cls(binning=max(1, round(longer / size))) if longer > size else cls.cut_out(width, height, size)

    @classmethod
    def cut_out(cls, width: int, height: int, size: int) -> Zoom:
        """Return the zoom that loses no pixel and enlarges small regions to at most `size` points."""
        return cls(magnification=min(_MOST, max(1, size // max(width, height))))

    @property
    def points_per_pixel(self) -> float:
        """Points of the picture per pixel of the image."""
        return self.magnification / self.binning

    def length(self, pixels: int) -> int:
        """Return how many points a number of pixels, counted from the first, takes."""
        return -(-pixels // self.binning) * self.magnification

    def enlarge(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Repeat rows and columns as often as the magnification says."""
        m = self.magnification
        return array if m == 1 else np.repeat(np.repeat(array, m, axis=0), m, axis=1)

    def text(self) -> str:
        """Say it in words."""
        if self.binning > 1:
            return f"{self.binning} x {self.binning} pixels averaged"
        return "full resolution" if self.magnification == 1 else f"enlarged {self.magnification} times"


def block_mean(pixels: FloatArray, size: int) -> FloatArray:
    """Return the mean of the finite pixels of each block; NaN where there is none.

    Blocks at the upper and right end may be smaller.
    """
    finite = np.isfinite(pixels)
    if size == 1:
        return np.where(finite, pixels, np.nan)
    sums = _blocks(np.add, np.where(finite, pixels, 0.0), size)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / _blocks(np.add, finite.astype(np.float64), size))


def block_union(mask: Int32Array, size: int) -> Int32Array:
    """Return all mask bits that any pixel of each block has."""
    return mask if size == 1 else _blocks(np.bitwise_or, mask, size)


def _blocks(combine: np.ufunc, values: NDArray[Any], size: int) -> NDArray[Any]:
    rows = combine.reduceat(values, np.arange(0, values.shape[0], size), axis=0)
    return np.asarray(combine.reduceat(rows, np.arange(0, values.shape[1], size), axis=1))
