"""Find cosmic rays: pixels that rise more steeply than the PSF allows.

The algorithm of SDSS photo (R. Lupton), described in Bosch et al. 2018, PASJ 70, S5, section 4.4, with the order of
steps of lsst/meas_algorithms b99accf8, src/CR.cc. Compiled, because a pixel found is replaced at once, which later
pixels of the same scan see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import TooManyCosmicRaysError
from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Float32Array, FloatArray, Int32Array, IntArray
from ..numerics.compiler import njit
from .cosmic_ray_steepness import Steepness, any_around, is_steep
from .cosmic_ray_tracks import follow_tracks, in_raster_order
from .cosmic_ray_values import replace_pixels
from .runs import label_runs

__all__ = ["CosmicRays", "find_cosmic_rays"]

_BAD = mask_bits("BAD", "INTRP", "SAT", "NO_DATA")


@dataclass(frozen=True, eq=False)
class CosmicRays:
    """The pixels of cosmic rays, in raster order."""

    y: IntArray
    x: IntArray
    n: int
    """Number of cosmic rays: connected groups of pixels before growth."""


def find_cosmic_rays(
    image: Float32Array,
    mask: Int32Array,
    variance: Float32Array,
    *,
    steepness: Steepness,
    background: float,
    min_sigma: float = 6.0,
    min_counts: float = 150.0,
    cond3_fac: float = 2.5,
    n_iteration: int = 3,
    track_steepness: Steepness | None = None,
    n_pixel_max: int = 1_000_000,
) -> CosmicRays:
    """Find the pixels of cosmic rays.

    Parameters
    ----------
    image, mask, variance
        Pixels [ADU], mask bits and variances [ADU^2], shape (height, width); not modified.
    steepness
        Limits from the PSF.
    background
        Level of the sky in the image [ADU].
    min_sigma
        Least height above the mean of two opposite neighbours, in standard deviations; half of it in growth.
    min_counts
        Least sum of the pixels of a cosmic ray above the background [ADU].
    cond3_fac
        Noise margin of the comparison with the PSF, in standard deviations; none in growth.
    n_iteration
        Largest number of rounds of growth.
    track_steepness
        Limits by which tracks are followed after the growth, as far as they go; None: they are not.
    n_pixel_max
        More pixels than this are an error.

    Raises
    ------
    TooManyCosmicRaysError
        More than `n_pixel_max` pixels are found in the first scan.
    """
    limits = steepness.limits
    work = np.array(image, dtype=np.float32, order="C")
    y, x = _scan(work, mask, variance, limits, background, min_sigma, cond3_fac, _BAD, mask_bits("INTRP"), n_pixel_max)
    if len(y) > n_pixel_max:
        raise TooManyCosmicRaysError(
            f"more than {n_pixel_max} pixels look like cosmic rays in an image of {image.size} pixels",
            remedy="Look at the image: a wrong PSF or gain makes noise look like cosmic rays; "
            "the limit is charImage.repair.cosmicray.nCrPixelMax",
            limit=n_pixel_max,
        )
    work[y, x] = image[y, x]
    y, x, n = _bright_groups(y, x, work, background, min_counts)
    is_ray = np.zeros(image.shape, dtype=np.bool_)
    is_ray[y, x] = True
    replace_pixels(work, variance, is_ray, y, x, background, smooth_sky=False)
    for _ in range(n_iteration):
        more_y, more_x = _grow(work, mask, variance, is_ray, y, x, limits, background, min_sigma / 2.0, _BAD)
        if not len(more_y):
            break
        y, x = in_raster_order(np.concatenate([y, more_y]), np.concatenate([x, more_x]))
    if track_steepness is not None:
        looser = min_sigma / 2.0
        y, x = follow_tracks(
            work, mask, variance, is_ray, y, x,
            steepness=track_steepness, background=background, min_sigma=looser, bad_bits=_BAD,
        )  # fmt: skip
    return CosmicRays(y, x, n)


def _bright_groups(
    y: IntArray, x: IntArray, image: Float32Array, background: float, min_counts: float
) -> tuple[IntArray, IntArray, int]:
    """Keep the pixels (in raster order) of 8-connected groups with at least `min_counts`; return their number too."""
    owner, n = label_runs(np.stack([y, x, x], axis=1).astype(np.int32))
    counts = np.bincount(owner, weights=image[y, x].astype(np.float64) - background, minlength=n)
    bright = counts >= min_counts
    kept = bright[owner]
    return y[kept], x[kept], int(bright.sum())


@njit
def _scan(
    image: Float32Array,
    mask: Int32Array,
    variance: Float32Array,
    limits: FloatArray,
    background: float,
    min_sigma: float,
    cond3_fac: float,
    bad_bits: int,
    interpolated_bit: int,
    n_pixel_max: int,
) -> tuple[IntArray, IntArray]:
    """Return the candidates in raster order, and replace them in `image`; stop beyond `n_pixel_max` of them."""
    height, width = image.shape
    capacity = 65536
    ys = np.empty(capacity, dtype=np.int64)
    xs = np.empty(capacity, dtype=np.int64)
    n = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            value = image[y, x]
            if not value >= 0.0:
                continue
            # Most pixels leave at this comparison, hence squares instead of a square root.
            lowest = np.float32(0.5) * min(
                min(image[y, x - 1] + image[y, x + 1], image[y - 1, x] + image[y + 1, x]),
                min(image[y - 1, x - 1] + image[y + 1, x + 1], image[y - 1, x + 1] + image[y + 1, x - 1]),
            )
            excess = np.float64(value) - lowest
            if not (excess >= 0.0 and excess * excess >= min_sigma * min_sigma * variance[y, x]):
                continue
            if mask[y, x] & bad_bits != 0 or any_around(mask, y, x, interpolated_bit):
                continue
            found, substitute = is_steep(image, variance, y, x, limits, background, min_sigma, cond3_fac)
            if not found:
                continue
            if n == capacity:
                if n > n_pixel_max:
                    return ys, xs
                capacity *= 2
                ys = np.concatenate((ys, np.empty(n, dtype=np.int64)))
                xs = np.concatenate((xs, np.empty(n, dtype=np.int64)))
            ys[n] = y
            xs[n] = x
            n += 1
            image[y, x] = substitute
    return ys[:n].copy(), xs[:n].copy()


@njit
def _grow(
    image: Float32Array,
    mask: Int32Array,
    variance: Float32Array,
    is_ray: BoolArray,
    ys: IntArray,
    xs: IntArray,
    limits: FloatArray,
    background: float,
    min_sigma: float,
    bad_bits: int,
) -> tuple[IntArray, IntArray]:
    """Return pixels beside known ones that are cosmic rays by looser tests; marks and replaces them.

    Pixels within 2 px of a side are not grown.
    """
    height, width = image.shape
    found = np.empty((2, 9 * len(ys)), dtype=np.int64)
    n = 0
    for i in range(len(ys)):
        if ys[i] < 2 or ys[i] >= height - 2 or xs[i] < 2 or xs[i] >= width - 2:
            continue
        for y in range(ys[i] - 1, ys[i] + 2):
            for x in range(xs[i] - 1, xs[i] + 2):
                if is_ray[y, x] or mask[y, x] & bad_bits != 0 or not image[y, x] >= 0.0:
                    continue
                steep, substitute = is_steep(image, variance, y, x, limits, background, min_sigma, 0.0)
                if steep:
                    is_ray[y, x] = True
                    image[y, x] = substitute
                    found[0, n], found[1, n] = y, x
                    n += 1
    return found[0, :n].copy(), found[1, :n].copy()
