"""Choose which peaks of a blend are objects: not noise on the wing of another one, nor rims of saturated cores."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..catalog.footprint import Footprint
from ..numerics.arrays import BoolArray, Float32Array, FloatArray, Int32Array, IntArray
from ..numerics.compiler import njit
from ..numerics.convolve import gaussian_kernel, kernel_width
from .runs import count_run_bits
from .shoulders import BROADER

__all__ = ["contrast_kernel", "join_saturated_peaks", "significant_peaks"]

_NEAR = 2
"""A peak belongs to a saturated region not farther away than this in x and y [px]."""


def contrast_kernel(sigma: float) -> FloatArray:
    """Return the kernel G(sigma) - G(1.5 sigma), shape (n, n), n odd: a PSF against its surroundings.

    It does not see a level or a slope, so that a peak is judged by what it adds to the wing that it lies on. A point
    source keeps 83 % of its signal to noise in the image smoothed by G(sigma) alone.
    """
    width = kernel_width(BROADER * sigma)
    narrow, broad = gaussian_kernel(sigma, width), gaussian_kernel(BROADER * sigma, width)
    kernel: FloatArray = np.outer(narrow, narrow) - np.outer(broad, broad)
    return kernel


def significant_peaks(
    image: Float32Array,
    variance: Float32Array,
    footprint: Footprint,
    kernel: FloatArray,
    significance: float,
) -> Footprint:
    """Return the footprint without peaks that do not stand out from their surroundings.

    Its first peak, the brightest, stays; so do others with a pixel among the 3 x 3 about them where the image
    convolved with `kernel` reaches `significance` times its noise.

    Parameters
    ----------
    image, variance
        Of the exposure [ADU, ADU^2], not modified.
    kernel
        See `contrast_kernel`.
    significance
        Least contrast [standard deviations].
    """
    peaks = footprint.peaks
    contrast = _contrast(image, variance, kernel, peaks["i_x"].astype(np.int64), peaks["i_y"].astype(np.int64))
    kept = contrast >= significance
    kept[0] = True
    return footprint if kept.all() else Footprint(footprint.spans, peaks[kept])


@njit
def _contrast(
    image: Float32Array,
    variance: Float32Array,
    kernel: FloatArray,
    peak_x: IntArray,
    peak_y: IntArray,
) -> FloatArray:
    """Return the largest contrast near each peak over its noise; infinity where the peak has no variance."""
    height, width = image.shape
    half = kernel.shape[0] // 2
    energy = np.float64((kernel * kernel).sum())
    result = np.full(len(peak_x), np.inf)
    for i in range(len(peak_x)):
        noise2 = variance[peak_y[i], peak_x[i]] * energy
        if not noise2 > 0.0:
            continue
        largest = -np.inf
        for cy in range(peak_y[i] - 1, peak_y[i] + 2):
            for cx in range(peak_x[i] - 1, peak_x[i] + 2):
                total = 0.0
                for y in range(max(cy - half, 0), min(cy + half + 1, height)):
                    for x in range(max(cx - half, 0), min(cx + half + 1, width)):
                        value = image[y, x]
                        if np.isfinite(value):
                            total += kernel[y - cy + half, x - cx + half] * value
                largest = max(largest, total)
        result[i] = largest / np.sqrt(noise2)
    return result


def join_saturated_peaks(mask: Int32Array, footprint: Footprint, saturated: int) -> Footprint:
    """Return the footprint with one peak for each saturated star.

    Interpolation over a saturated core and its trail leaves bumps at the rim of the core and at the ends of the trail.
    In each connected set of pixels with the bits `saturated`, cores are told from the trail by their width
    (`_cores`). Peaks within 2 px of one core become one peak: that of the brightest, moved to the middle of the
    core. Peaks on a trail, or at its ends, are left out. The brightest peak of all stays in any case.
    """
    if count_run_bits(mask, footprint.spans, saturated) == 0:
        return footprint
    box = footprint.bbox
    x0, y0 = max(box.x0 - _NEAR, 0), max(box.y0 - _NEAR, 0)
    area = mask[y0 : box.y0 + box.height + _NEAR, x0 : box.x0 + box.width + _NEAR] & saturated != 0
    cores = _cores(area)
    # A trail has its bumps in its own columns; a star beside it is another object.
    trail = ndimage.binary_dilation(area & (cores == 0), np.ones((2 * _NEAR + 1, 1), dtype=bool))
    peaks = footprint.peaks.copy()
    owner = np.array([_region_near(cores, peak["i_x"] - x0, peak["i_y"] - y0) for peak in peaks])
    kept = (owner > 0) | ~trail[peaks["i_y"] - y0, peaks["i_x"] - x0]
    kept[0] = True
    for core in np.unique(owner[owner > 0]):
        members = np.flatnonzero(owner == core)
        kept[members[1:]] = False
        x, y = _middle(cores == core)
        if footprint.contains(x + x0, y + y0):
            first = peaks[members[0] : members[0] + 1]
            first["i_x"], first["i_y"] = x + x0, y + y0
            first["f_x"], first["f_y"] = x + x0, y + y0
    return Footprint(footprint.spans, peaks[kept])


def _cores(saturated: BoolArray) -> Int32Array:
    """Number the cores of saturated stars from 1; 0 elsewhere, also on their trails.

    A connected set is split into its rows. Where it is longer than twice its largest width it has a trail, as wide
    as the lower quartile of the rows: rows more than half as wide again belong to cores, and so does the widest row.
    """
    regions, n_regions = ndimage.label(saturated, np.ones((3, 3), dtype=int))
    core = saturated.copy()
    for number, box in enumerate(ndimage.find_objects(regions, n_regions), start=1):
        inside = regions[box] == number
        widths = inside.sum(axis=1)
        if len(widths) > 2 * widths.max():
            is_core = (widths > 1.5 * np.percentile(widths, 25)) | (widths == widths.max())
            core[box] &= ~(inside & ~is_core[:, None])
    numbered: Int32Array = ndimage.label(core, np.ones((3, 3), dtype=int))[0]
    return numbered


def _region_near(regions: Int32Array, x: int, y: int) -> int:
    """Return the number of the closest region within `_NEAR`, 0 if there is none."""
    low, left = max(y - _NEAR, 0), max(x - _NEAR, 0)
    part = regions[low : y + _NEAR + 1, left : x + _NEAR + 1]
    ys, xs = np.nonzero(part)
    if len(ys) == 0:
        return 0
    closest = np.argmin((ys + low - y) ** 2 + (xs + left - x) ** 2)
    return int(part[ys[closest], xs[closest]])


def _middle(region: BoolArray) -> tuple[int, int]:
    """Return x and y of the pixel in the middle of the rows of a region that have half its largest width or more."""
    widths = region.sum(axis=1)
    ys, xs = np.nonzero(region & (2 * widths >= widths.max())[:, None])
    return int(np.rint(xs.mean())), int(np.rint(ys.mean()))
