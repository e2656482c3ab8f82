"""Footprints: the pixels and peaks of a detection, and for deblended sources the pixel values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..camera.boxes import Box

__all__ = ["PEAK_DTYPE", "Footprint", "HeavyPixels", "merge_spans"]

PEAK_DTYPE = np.dtype([("id", "i8"), ("f_x", "f4"), ("f_y", "f4"), ("i_x", "i4"), ("i_y", "i4"), ("peakValue", "f4")])
"""A peak: identity, position with fraction, position as a pixel, value of the (smoothed) image there."""


def merge_spans(spans: np.ndarray) -> np.ndarray:
    """Return spans in canonical form: sorted by row and column, overlapping and touching ones joined.

    Parameters
    ----------
    spans
        (n, 3) Rows y, x0, x1 with both ends included, in any order.
    """
    spans = np.asarray(spans, dtype=np.int64).reshape(-1, 3)
    if not len(spans):
        return np.zeros((0, 3), dtype=np.int32)
    first, width = spans[:, 1].min(), spans[:, 2].max() - spans[:, 1].min() + 1
    # On one long line with a gap of two pixels between image rows, a span never touches the next row's.
    line = spans[:, 0] * (width + 2) - first
    start, stop = line + spans[:, 1], line + spans[:, 2] + 1
    order = np.argsort(start, kind="stable")
    start, stop = start[order], np.maximum.accumulate(stop[order])
    opens = np.concatenate([[True], start[1:] > stop[:-1]])
    closes = np.concatenate([opens[1:], [True]])
    y = spans[order, 0][opens]
    offset = y * (width + 2) - first
    return np.stack([y, start[opens] - offset, stop[closes] - 1 - offset], axis=1).astype(np.int32)


@dataclass(eq=False, slots=True)
class HeavyPixels:
    """Pixel values of a footprint, one entry a pixel in the order of its spans.

    Parameters
    ----------
    image, mask, variance
        (area,) float32 counts, int32 mask bits, float32 counts squared.
    """

    image: np.ndarray
    mask: np.ndarray
    variance: np.ndarray


@dataclass(eq=False, slots=True)
class Footprint:
    """The pixels of a detection.

    Parameters
    ----------
    spans
        (n, 3) int32 rows y, x0, x1, both ends included, sorted and not overlapping (see `merge_spans`).
    peaks
        (m,) structured array, dtype `PEAK_DTYPE`.
    heavy
        The pixel values of a deblended source, else None.
    """

    spans: np.ndarray
    peaks: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=PEAK_DTYPE))
    heavy: HeavyPixels | None = None

    @property
    def area(self) -> int:
        """The number of pixels."""
        return int((self.spans[:, 2] - self.spans[:, 1] + 1).sum())

    @property
    def bbox(self) -> Box:
        """The smallest box that holds all pixels; of size 0 if there are none."""
        if not len(self.spans):
            return Box(0, 0, 0, 0)
        y0, x0, x1 = int(self.spans[0, 0]), int(self.spans[:, 1].min()), int(self.spans[:, 2].max())
        return Box(x0, y0, x1 - x0 + 1, int(self.spans[-1, 0]) - y0 + 1)

    def indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Return pixel rows and columns in span order, (area,) int64 each: use as ``image[ys, xs]``."""
        y, x0, x1 = (self.spans[:, column].astype(np.int64) for column in range(3))
        lengths = x1 - x0 + 1
        before = np.cumsum(lengths) - lengths
        xs = np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(x0 - before, lengths)
        return np.repeat(y, lengths), xs

    def contains(self, x: float | np.ndarray, y: float | np.ndarray) -> np.ndarray:
        """Return whether the pixels nearest to positions `x`, `y` belong to the footprint (bool)."""
        column = np.floor(np.asarray(x, dtype=float) + 0.5)[..., np.newaxis]
        row = np.floor(np.asarray(y, dtype=float) + 0.5)[..., np.newaxis]
        ys, x0, x1 = self.spans.T
        inside: np.ndarray = ((row == ys) & (column >= x0) & (column <= x1)).any(axis=-1)
        return inside

    def union(self, other: Footprint) -> Footprint:
        """Return the pixels of both, with the peaks of both, brightest first, and no pixel values."""
        peaks = np.concatenate([self.peaks, other.peaks])
        order = np.argsort(-peaks["peakValue"].astype(np.float64), kind="stable")
        return Footprint(merge_spans(np.concatenate([self.spans, other.spans])), peaks[order])

    def insert(self, image: np.ndarray) -> None:
        """Write the pixel values of a heavy footprint into `image` (changed in place), whose origin is (0, 0).

        Raises
        ------
        ValueError
            The footprint carries no pixel values.
        """
        if self.heavy is None:
            raise ValueError("The footprint carries no pixel values")
        image[self.indices()] = self.heavy.image

    def __repr__(self) -> str:
        kind = "heavy " if self.heavy is not None else ""
        return f"Footprint({kind}{self.area} pixels in {self.bbox}, {len(self.peaks)} peaks)"
