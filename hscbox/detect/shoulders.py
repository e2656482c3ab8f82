"""Find sources on the shoulders of brighter ones: peaks that smoothing turned into a bend of the profile.

Smoothing by the PSF leaves no maximum where a faint source lies on the flank of a brighter galaxy. The difference of
two Gaussians of nearly the same width is the (negative) curvature of the smoothed image (Marr & Hildreth 1980, Proc.
R. Soc. London B 207, 187); the flank is taken out of it, and the faint source is a maximum again.
"""

from __future__ import annotations

import numpy as np

from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Float32Array, FloatArray, Int32Array, IntArray
from ..numerics.compiler import njit
from ..numerics.constants import FWHM_PER_SIGMA
from ..numerics.convolve import gaussian_kernel, kernel_width, smooth
from .footprints import Detections, with_peaks

__all__ = ["BROADER", "add_shoulder_peaks", "difference_energy"]

BROADER = 1.5
"""Width of the second Gaussian in units of the first."""
_DIP = 0.6
"""Least depth of the dip between a new peak and any other one, in units of the least height."""
_BAD = ("SAT", "INTRP", "CR", "BAD", "EDGE", "NO_DATA")


def difference_energy(sigma: float) -> float:
    """Return the sum of squares of the kernel G(sigma) - G(1.5 sigma): what it makes of white noise of variance 1."""
    narrow = gaussian_kernel(sigma, kernel_width(sigma))
    broad = gaussian_kernel(BROADER * sigma, kernel_width(BROADER * sigma))
    both = broad[(len(broad) - len(narrow)) // 2 :][: len(narrow)]
    # The kernels are products of equal factors in x and y, and so are the sums over pixels.
    return float((narrow @ narrow) ** 2 - 2.0 * (narrow @ both) ** 2 + (broad @ broad) ** 2)


def add_shoulder_peaks(
    found: Detections,
    image: Float32Array,
    smoothed: Float32Array,
    variance: Float32Array,
    mask: Int32Array,
    sigma: float,
    significance: float,
) -> Detections:
    """Return the detections with additional peaks inside their footprints.

    A new peak is a pixel whose difference D of the image smoothed by Gaussians of `sigma` and 1.5 `sigma` exceeds
    its 8 neighbours and `significance` times its noise; on the straight way to any other peak of the footprint D
    must fall by 0.6 times that, so that noise on top of a smooth galaxy is no source. New peaks keep 2.35 `sigma`
    away from other ones and off pixels with SAT, INTRP, CR, BAD, EDGE or NO_DATA. Higher D goes first.

    Parameters
    ----------
    found
        Footprints and peaks of `smoothed`; not modified.
    image, smoothed, variance, mask
        Pixels [ADU, ADU, ADU^2, bits], shape (height, width); none is modified.
    sigma
        Of the Gaussian that made `smoothed` [px].
    significance
        Least D [standard deviations]; 0: `found` is returned as it is.
    """
    if significance <= 0 or found.n == 0:
        return found
    difference = smooth(image, BROADER * sigma)[0]
    np.subtract(smoothed, difference, out=difference)
    x, y, owner, noise = _candidates(
        difference,
        found.runs,
        found.run_owner,
        variance,
        mask,
        mask_bits(*_BAD),
        difference_energy(sigma),
        significance,
    )
    order = np.lexsort((y, x, -difference[y, x].astype(np.float64)))
    x, y, owner, noise = x[order], y[order], owner[order], noise[order]
    first = np.searchsorted(found.peak_owner, np.arange(found.n + 1))
    separated = _separated(
        difference,
        x,
        y,
        owner,
        _DIP * significance * noise,
        found.peaks["i_x"].astype(np.int64),
        found.peaks["i_y"].astype(np.int64),
        first,
        (FWHM_PER_SIGMA * sigma) ** 2,
    )
    x, y, owner = x[separated], y[separated], owner[separated]
    return with_peaks(found, x, y, smoothed[y, x], owner)


@njit
def _candidates(
    difference: Float32Array,
    runs: Int32Array,
    owner: IntArray,
    variance: Float32Array,
    mask: Int32Array,
    bad_bits: int,
    energy: float,
    significance: float,
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Return x, y, footprint and noise of the significant maxima of the difference in good pixels of the runs."""
    height, width = difference.shape
    n = 0
    for i in range(len(runs)):
        n += runs[i, 2] - runs[i, 1] + 1
    where = np.empty((3, n), dtype=np.int64)
    noise = np.empty(n)
    n = 0
    for i in range(len(runs)):
        y = int(runs[i, 0])
        if y < 1 or y > height - 2:
            continue
        for x in range(max(runs[i, 1], 1), min(runs[i, 2], width - 2) + 1):
            value = np.float64(difference[y, x])
            squared = np.float64(variance[y, x]) * energy
            # NaN, at the sides, is not above.
            if not (value > 0.0 and squared > 0.0 and value * value >= significance * significance * squared):
                continue
            if mask[y, x] & bad_bits == 0 and _exceeds_neighbours(difference, x, y):
                where[0, n], where[1, n], where[2, n] = x, y, owner[i]
                noise[n] = np.sqrt(squared)
                n += 1
    return where[0, :n].copy(), where[1, :n].copy(), where[2, :n].copy(), noise[:n].copy()


@njit
def _exceeds_neighbours(image: Float32Array, x: int, y: int) -> bool:
    """Return whether a pixel is above its 8 neighbours; of equal ones the first in raster order is."""
    value = image[y, x]
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            other = image[y + dy, x + dx]
            before = dy < 0 or (dy == 0 and dx < 0)
            if (dy != 0 or dx != 0) and not (value > other or (value == other and not before)):
                return False
    return True


@njit
def _separated(
    difference: Float32Array,
    x: IntArray,
    y: IntArray,
    owner: IntArray,
    depth: FloatArray,
    peak_x: IntArray,
    peak_y: IntArray,
    first: IntArray,
    least_distance2: float,
) -> BoolArray:
    """Return which candidates are far enough from, and parted by a dip from, all peaks and candidates before them.

    The peaks of footprint k are those from first[k] to first[k + 1]; `depth` is that of the dip [ADU].
    """
    separated = np.zeros(len(x), dtype=np.bool_)
    for i in range(len(x)):
        low = difference[y[i], x[i]] - depth[i]
        good = True
        for k in range(first[owner[i]], first[owner[i] + 1]):
            good = good and _apart(difference, x[i], y[i], peak_x[k], peak_y[k], low, least_distance2)
        for k in range(i):
            if separated[k] and owner[k] == owner[i]:
                good = good and _apart(difference, x[i], y[i], x[k], y[k], low, least_distance2)
        separated[i] = good
    return separated


@njit
def _apart(difference: Float32Array, x: int, y: int, to_x: int, to_y: int, low: float, least_distance2: float) -> bool:
    """Return whether two pixels are far apart and the straight way between them passes a pixel not above `low`."""
    dx, dy = to_x - x, to_y - y
    if dx * dx + dy * dy < least_distance2:
        return False
    steps = max(abs(dx), abs(dy))
    for step in range(1, steps):
        px = x + int(np.floor(step * dx / steps + 0.5))
        py = y + int(np.floor(step * dy / steps + 0.5))
        if difference[py, px] <= low:
            return True
    return False
