"""Values for pixels lost to cosmic rays, predicted from the sound pixels around them.

The published intention of SDSS photo and lsst/meas_algorithms b99accf8 (src/CR.cc): linear prediction (Rybicki and
Press 1992, ApJ 398, 169) along four directions, of which the lowest is taken, since a star's profile or a missed
part of the track can only make a prediction too high.

Most cosmic rays hit nothing but sky. There the prediction does harm: it leans on the nearest pixels, which hold the
faint edge of the track, and a row of values that are all a little too high makes a false source. So where the
surroundings show sky, their mean is the value.
"""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import BoolArray, Float32Array, IntArray
from ..numerics.compiler import njit
from .cosmic_ray_steepness import step_of

__all__ = ["replace_pixels"]

# Weights of the nearest and next-nearest pixels on both sides of a single bad one, for a Gaussian PSF of sigma 1 px,
# with pixels 1 px (rows and columns) and sqrt(2) px (diagonals) apart.
_ROW = (0.7737, -0.2737)
_DIAGONAL = (0.7358, -0.2358)
_ROW_NOISE = float(np.sqrt(2.0 * (_ROW[0] ** 2 + _ROW[1] ** 2)))
_DIAGONAL_NOISE = float(np.sqrt(2.0 * (_DIAGONAL[0] ** 2 + _DIAGONAL[1] ** 2)))
# Mean of the smallest of 0 to 4 independent standard normal deviates.
_MEAN_OF_LEAST = (0.0, 0.0, -0.5641895835477563, -0.8462843753216345, -1.0293753730039641)
_REACH = 20
# Surroundings: pixels in a square of 9 x 9 that neither are lost nor share a side with one that is.
_AROUND = 4
_FEWEST_AROUND = 8


def replace_pixels(
    image: Float32Array,
    variance: Float32Array,
    lost: BoolArray,
    y: IntArray,
    x: IntArray,
    background: float,
    *,
    smooth_sky: bool = True,
) -> None:
    """Replace pixels of `image`, which is modified.

    Parameters
    ----------
    image, variance
        Pixels [ADU] and variances [ADU^2], shape (height, width).
    lost
        True where a pixel must not be used for predictions; the result does not depend on the order of pixels.
    y, x
        The pixels to replace.
    background
        Level of the sky [ADU]: predictions 2 sigma below it are not believed, and it is the value where there is
        nothing to predict from.
    smooth_sky
        Take the mean of the surroundings where they show sky. The search for tracks does not: beside a faint galaxy
        that mean is too low, and what is left of the galaxy would look steep.

    Notes
    -----
    Where the mean of the surroundings is within 1 sigma of the sky: that mean. Else, on stars and galaxies: the
    least of the predictions from four sound pixels in a line, plus the amount by which the least of so many
    noisy numbers falls below their mean. Where no line has four sound pixels: interpolation between the closest pair
    of sound pixels on opposite sides.
    """
    image[y, x] = _predict(image, variance, lost, y, x, background, smooth_sky)


@njit
def _predict(
    image: Float32Array,
    variance: Float32Array,
    lost: BoolArray,
    ys: IntArray,
    xs: IntArray,
    background: float,
    smooth_sky: bool,
) -> Float32Array:
    values = np.empty(len(ys), dtype=np.float32)
    for i in range(len(ys)):
        y, x = ys[i], xs[i]
        if smooth_sky:
            mean, is_sky = _surroundings(image, variance, lost, y, x, background)
            if is_sky:
                values[i] = mean
                continue
        sigma = np.sqrt(variance[y, x]) if variance[y, x] > 0.0 else 0.0
        least = np.inf
        noise = 0.0
        n = 0
        for k in range(4):
            dy, dx = step_of(k)
            if not _sound(image, lost, y, x, dy, dx):
                continue
            near, far = (_ROW[0], _ROW[1]) if k < 2 else (_DIAGONAL[0], _DIAGONAL[1])
            prediction = near * (np.float64(image[y - dy, x - dx]) + image[y + dy, x + dx]) + far * (
                np.float64(image[y - 2 * dy, x - 2 * dx]) + image[y + 2 * dy, x + 2 * dx]
            )
            if prediction > background - 2.0 * sigma:
                n += 1
                noise += _ROW_NOISE if k < 2 else _DIAGONAL_NOISE
                least = min(least, prediction)
        if n > 0:
            values[i] = least - _MEAN_OF_LEAST[n] * noise / n * sigma
        else:
            values[i] = _between_nearest(image, lost, y, x, background)
    return values


@njit
def _surroundings(
    image: Float32Array,
    variance: Float32Array,
    lost: BoolArray,
    y: int,
    x: int,
    background: float,
) -> tuple[float, bool]:
    """Return the mean of the surroundings of a pixel, and whether it is that of the sky."""
    height, width = image.shape
    total = 0.0
    noise = 0.0
    n = 0
    for j in range(max(y - _AROUND, 0), min(y + _AROUND + 1, height)):
        for i in range(max(x - _AROUND, 0), min(x + _AROUND + 1, width)):
            if lost[j, i] or not (np.isfinite(image[j, i]) and np.isfinite(variance[j, i])):
                continue
            if (j > 0 and lost[j - 1, i]) or (j + 1 < height and lost[j + 1, i]):
                continue
            if (i > 0 and lost[j, i - 1]) or (i + 1 < width and lost[j, i + 1]):
                continue
            total += image[j, i]
            noise += variance[j, i]
            n += 1
    if n < _FEWEST_AROUND:
        return 0.0, False
    mean = total / n
    return mean, (mean - background) ** 2 <= noise / n


@njit
def _sound(image: Float32Array, lost: BoolArray, y: int, x: int, dy: int, dx: int) -> bool:
    """Return whether the two pixels on either side in a direction exist and are neither lost nor NaN."""
    for k in (-2, -1, 1, 2):
        j, i = y + k * dy, x + k * dx
        if j < 0 or j >= image.shape[0] or i < 0 or i >= image.shape[1]:
            return False
        if lost[j, i] or not np.isfinite(image[j, i]):
            return False
    return True


@njit
def _between_nearest(image: Float32Array, lost: BoolArray, y: int, x: int, background: float) -> float:
    """Interpolate linearly between the closest two sound pixels on opposite sides, in any of four directions."""
    best = 2.0 * _REACH + 1.0
    value = background
    for k in range(4):
        dy, dx = step_of(k)
        before = _distance(image, lost, y, x, -dy, -dx)
        after = _distance(image, lost, y, x, dy, dx)
        if before == 0 or after == 0:
            continue
        length = (before + after) * (1.0 if k < 2 else np.sqrt(2.0))
        if length < best:
            best = length
            low = np.float64(image[y - before * dy, x - before * dx])
            high = np.float64(image[y + after * dy, x + after * dx])
            value = (low * after + high * before) / (before + after)
    return value


@njit
def _distance(image: Float32Array, lost: BoolArray, y: int, x: int, dy: int, dx: int) -> int:
    """Return the number of steps to the nearest sound pixel, 0 if there is none within reach."""
    for k in range(1, _REACH + 1):
        j, i = y + k * dy, x + k * dx
        if j < 0 or j >= image.shape[0] or i < 0 or i >= image.shape[1]:
            return 0
        if not lost[j, i] and np.isfinite(image[j, i]):
            return k
    return 0
