"""Find footprints: connected pixels above a threshold, their peaks, and their growth by a disc.

The rules are those of lsst/afw e0459d59 (src/detection/FootprintSet.cc, src/geom/SpanSet.cc). Everything works on
runs of pixels in raster order, so that the cost is that of one look at every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..catalog.footprint import PEAK_DTYPE, Footprint
from ..numerics.arrays import Float32Array, Int32Array, IntArray
from .runs import label_runs, paint_disc, peak_pixels, runs_above, set_run_bits

__all__ = ["Detections", "disc_half_widths", "find_footprints", "grow_footprints", "with_peaks"]


@dataclass(frozen=True, eq=False)
class Detections:
    """Footprints as flat arrays: runs of pixels and peaks with the number of their footprint.

    Footprints are numbered from 0 in the order of their first pixel in raster order (lowest row first).
    """

    runs: Int32Array
    """(n, 3): row, first and last column, in raster order."""
    run_owner: IntArray
    """(n,): footprint of each run."""
    peaks: NDArray[np.void]
    """(m,): peaks (`PEAK_DTYPE`), sorted by footprint, then decreasing value, then x, then y."""
    peak_owner: IntArray
    """(m,): footprint of each peak."""
    n: int
    """Number of footprints."""

    def footprints(self) -> list[Footprint]:
        """Return one `Footprint` each."""
        order = np.argsort(self.run_owner, kind="stable")
        spans = self.runs[order]
        span_ends = np.searchsorted(self.run_owner[order], np.arange(self.n), side="right")
        peak_ends = np.searchsorted(self.peak_owner, np.arange(self.n), side="right")
        result = []
        first_span = first_peak = 0
        for last_span, last_peak in zip(span_ends.tolist(), peak_ends.tolist(), strict=True):
            result.append(Footprint(spans[first_span:last_span], self.peaks[first_peak:last_peak]))
            first_span, first_peak = last_span, last_peak
        return result

    def set_bits(self, mask: Int32Array, bits: int) -> None:
        """Set `bits` in the pixels of all footprints; `mask` is modified."""
        set_run_bits(mask, self.runs, bits)


def find_footprints(
    image: Float32Array,
    threshold: float,
    *,
    include_multiplier: float = 1.0,
    min_pixels: int = 1,
    border: int = 0,
    negative: bool = False,
) -> Detections:
    """Find the 8-connected sets of pixels at or above a threshold.

    Parameters
    ----------
    image
        Shape (height, width), not modified. NaN is never above the threshold.
    threshold
        Positive, in the unit of the image.
    include_multiplier
        A footprint is kept only if a pixel reaches this times the threshold.
    min_pixels
        Smallest number of pixels of a footprint.
    border
        Pixels within this distance of a side are not looked at.
    negative
        Look for pixels at or below -threshold; peaks are then minima.

    Returns
    -------
    Peaks are pixels not below any of their 8 neighbours and not in the outermost rows and columns looked at; a
    footprint without such a pixel has its brightest one as peak.
    """
    sign = -1.0 if negative else 1.0
    runs, run_max = runs_above(image, np.float32(threshold), border, np.float32(sign))
    owner, n = label_runs(runs)
    brightest = np.full(n, -np.inf)
    np.maximum.at(brightest, owner, run_max)
    area = np.bincount(owner, weights=runs[:, 2] - runs[:, 1] + 1, minlength=n)
    kept = (area >= min_pixels) & (brightest >= include_multiplier * threshold)
    if not kept.all():
        runs, owner = runs[kept[owner]], (np.cumsum(kept) - 1)[owner[kept[owner]]]
        n = int(kept.sum())
    x, y, peak_owner = peak_pixels(image, runs, owner, n, border, np.float32(sign))
    return _sorted_peaks(runs, owner, x, y, image[y, x], peak_owner, n, sign)


def grow_footprints(found: Detections, radius: int, shape: tuple[int, int], *, isotropic: bool = True) -> Detections:
    """Grow footprints by a disc and merge those that then touch.

    Parameters
    ----------
    found
        Not modified.
    radius
        Of the disc {dy in -radius..radius, |dx| <= floor(sqrt(radius^2 - dy^2))} [px].
    shape
        (height, width) of the image: footprints end there.
    isotropic
        False: a diamond |dx| + |dy| <= radius instead of the disc.
    """
    if radius <= 0 or found.n == 0:
        return found
    painted = np.zeros(shape, dtype=np.uint8)
    paint_disc(painted, found.runs, disc_half_widths(radius, isotropic=isotropic))
    runs, _ = runs_above(painted, np.float32(1.0), 0, np.float32(1.0))
    owner, n = label_runs(runs)
    peaks = found.peaks
    # The run that holds a peak is the last one that starts at or before it in raster order.
    starts = runs[:, 0].astype(np.int64) * shape[1] + runs[:, 1]
    position = peaks["i_y"].astype(np.int64) * shape[1] + peaks["i_x"]
    peak_owner = owner[np.searchsorted(starts, position, side="right") - 1]
    return _sorted_peaks(runs, owner, peaks["i_x"], peaks["i_y"], peaks["peakValue"], peak_owner, n)


def with_peaks(
    found: Detections,
    x: IntArray,
    y: IntArray,
    values: Float32Array,
    owner: IntArray,
) -> Detections:
    """Return positive detections with more peaks, all in the usual order.

    Parameters
    ----------
    found
        Not modified.
    x, y, values, owner
        Pixels of the new peaks, their values and footprints, (n,).
    """
    peaks = found.peaks
    return _sorted_peaks(
        found.runs,
        found.run_owner,
        np.concatenate([peaks["i_x"], x]),
        np.concatenate([peaks["i_y"], y]),
        np.concatenate([peaks["peakValue"], values]),
        np.concatenate([found.peak_owner, owner]),
        found.n,
    )


def disc_half_widths(radius: int, *, isotropic: bool = True) -> IntArray:
    """Return the half width of each row of a disc (or diamond), rows -radius to radius, shape (2 radius + 1,)."""
    dy = np.arange(-radius, radius + 1)
    if not isotropic:
        return (radius - np.abs(dy)).astype(np.int64)
    return np.floor(np.sqrt((radius * radius - dy * dy).astype(np.float64))).astype(np.int64)


def _sorted_peaks(
    runs: Int32Array,
    owner: IntArray,
    x: IntArray,
    y: IntArray,
    values: Float32Array,
    peak_owner: IntArray,
    n: int,
    sign: float = 1.0,
) -> Detections:
    # Negative peaks: the most negative first.
    order = np.lexsort((y, x, -sign * values.astype(np.float64), peak_owner))
    peaks = np.zeros(len(order), dtype=PEAK_DTYPE)
    peaks["id"] = np.arange(1, len(order) + 1)
    peaks["f_x"] = peaks["i_x"] = x[order]
    peaks["f_y"] = peaks["i_y"] = y[order]
    peaks["peakValue"] = values[order]
    return Detections(runs, owner, peaks, peak_owner[order], n)
