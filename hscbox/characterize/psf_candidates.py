"""Stamps of PSF candidates with their neighbours masked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from ..catalog.footprint import Footprint
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, FloatArray

__all__ = ["PsfCandidates", "extract_candidates", "has_stamp"]


# Neighbours are widened by this before they are masked [px].
_NEIGHBOUR_GROWTH = 3
_EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class PsfCandidates:
    """Stars for a PSF fit.

    Attributes
    ----------
    x, y
        (n,) centroids [px].
    stamps
        (n, size, size) pixels [ADU] about the pixel nearest to the centroid; 0 where they are not finite.
    good
        (n, size, size) False for pixels that are bad or belong to neighbours.
    norm
        (n,) first guess of the fluxes [ADU].
    """

    x: FloatArray
    y: FloatArray
    stamps: FloatArray
    good: BoolArray
    norm: FloatArray

    def __len__(self) -> int:
        return len(self.x)

    @property
    def offset_x(self) -> FloatArray:
        """(n,) column of the centroid from the middle of the stamp [px]."""
        return self.x - np.floor(self.x + 0.5)

    @property
    def offset_y(self) -> FloatArray:
        """(n,) row of the centroid from the middle of the stamp [px]."""
        return self.y - np.floor(self.y + 0.5)

    def subset(self, rows: BoolArray) -> PsfCandidates:
        """Return some of the stars."""
        return PsfCandidates(self.x[rows], self.y[rows], self.stamps[rows], self.good[rows], self.norm[rows])


def has_stamp(x: FloatArray, y: FloatArray, size: int, width: int, height: int) -> BoolArray:
    """Return which positions (n,) have a whole stamp in an image of `width` x `height` pixels."""
    half = size // 2
    ix, iy = np.floor(x + 0.5), np.floor(y + 0.5)
    inside: BoolArray = (ix >= half) & (iy >= half) & (ix < width - half) & (iy < height - half)
    return inside


def extract_candidates(
    exposure: Exposure,
    x: FloatArray,
    y: FloatArray,
    footprints: list[Footprint],
    norm: FloatArray,
    size: int,
    bad_planes: tuple[str, ...] = ("INTRP", "SAT"),
) -> PsfCandidates:
    """Cut out stars and mask what is not theirs.

    Parameters
    ----------
    exposure
        Background-subtracted.
    x, y
        (n,) centroids, each with a whole stamp in the image (see `has_stamp`) [px].
    footprints
        Of the stars (n).
    norm
        (n,) fluxes [ADU].
    size
        Odd size of the stamps.
    bad_planes
        Planes whose pixels are left out.
    """
    half = size // 2
    stamps, good = np.empty((len(x), size, size)), np.empty((len(x), size, size), dtype=bool)
    bad_bits, detected = mask_bits(*bad_planes), mask_bits("DETECTED")
    for i, footprint in enumerate(footprints):
        left, bottom = int(np.floor(x[i] + 0.5)) - half, int(np.floor(y[i] + 0.5)) - half
        window = (slice(bottom, bottom + size), slice(left, left + size))
        stamps[i] = exposure.image[window]
        mask = exposure.mask[window]
        good[i] = (mask & bad_bits) == 0
        good[i] &= ~_neighbours((mask & detected) != 0)
        good[i] &= ~_other_peaks(footprint, left, bottom, size)
    finite = np.isfinite(stamps)
    good &= finite
    # Weights of zero do not silence a NaN in sums.
    stamps[~finite] = 0.0
    return PsfCandidates(
        np.asarray(x, np.float64), np.asarray(y, np.float64), stamps, good, np.asarray(norm, np.float64)
    )


def _neighbours(detected: BoolArray) -> BoolArray:
    """Return the detected regions that do not hold the centre, widened."""
    labels, count = scipy.ndimage.label(detected, structure=_EIGHT_CONNECTED)
    half = len(detected) // 2
    others = (labels > 0) & (labels != labels[half, half]) if labels[half, half] else labels > 0
    if not count or not others.any():
        return np.zeros(detected.shape, dtype=bool)
    distance = scipy.ndimage.distance_transform_edt(~others)
    result: BoolArray = distance <= _NEIGHBOUR_GROWTH
    # The star itself must not be lost to a neighbour that nearly touches it.
    return result & (labels != labels[half, half]) if labels[half, half] else result


def _other_peaks(footprint: Footprint, left: int, bottom: int, size: int) -> BoolArray:
    """Return the pixels of the footprint that are nearer to another of its peaks than to the star's."""
    masked = np.zeros((size, size), dtype=bool)
    if len(footprint.peaks) < 2:
        return masked
    px, py = footprint.peaks["f_x"].astype(float) - left, footprint.peaks["f_y"].astype(float) - bottom
    own = int(np.argmin((px - size // 2) ** 2 + (py - size // 2) ** 2))
    ys, xs = footprint.indices()
    ys, xs = ys - bottom, xs - left
    inside = (xs >= 0) & (ys >= 0) & (xs < size) & (ys < size)
    ys, xs = ys[inside], xs[inside]
    squared = (xs[:, None] - px) ** 2 + (ys[:, None] - py) ** 2
    masked[ys, xs] = squared.min(axis=1) < squared[:, own]
    return masked
