"""Share the flux of a blend among its objects in proportion to their templates."""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import BoolArray, ByteArray, Float32Array, FloatArray, IntArray
from ..numerics.compiler import njit

__all__ = ["apportion", "stamp_pixels", "template_pixels"]


@njit
def template_pixels(values: FloatArray, member: BoolArray, x0: int, y0: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Return y, x and value of the pixels of a template in raster order; zeros at the ends of its runs are cut off.

    (x0, y0) is the first pixel of the template's box.
    """
    height, width = values.shape
    ys = np.empty(values.size, dtype=np.int64)
    xs = np.empty(values.size, dtype=np.int64)
    flux = np.empty(values.size)
    n = 0
    for y in range(height):
        x = 0
        while x < width:
            if not (member[y, x] and values[y, x] > 0.0):
                x += 1
                continue
            last = end = x
            while end < width and member[y, end]:
                if values[y, end] > 0.0:
                    last = end
                end += 1
            for k in range(x, last + 1):
                ys[n], xs[n], flux[n] = y + y0, k + x0, values[y, k]
                n += 1
            x = end
    return ys[:n].copy(), xs[:n].copy(), flux[:n].copy()


@njit
def stamp_pixels(
    stamp: FloatArray, flux: float, inside: ByteArray, x0: int, y0: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return y, x and value of a PSF of given flux inside a blend; (x0, y0) is the place of the stamp's first pixel.

    The zeros and negative ripples of the PSF at the ends of its runs are cut off.
    """
    top, left = max(y0, 0), max(x0, 0)
    bottom = min(y0 + stamp.shape[0], inside.shape[0])
    right = min(x0 + stamp.shape[1], inside.shape[1])
    if bottom <= top or right <= left:
        return template_pixels(np.zeros((0, 0)), np.zeros((0, 0), dtype=np.bool_), 0, 0)
    part = stamp[top - y0 : bottom - y0, left - x0 : right - x0] * flux
    return template_pixels(part, inside[top:bottom, left:right] != 0, left, top)


@njit
def apportion(
    image: Float32Array,
    ys: IntArray,
    xs: IntArray,
    values: FloatArray,
) -> Float32Array:
    """Return the flux of each template pixel: image * max(0, t) / (sum of max(0, t) over all templates there).

    Parameters
    ----------
    image
        Cut-out of the exposure [ADU].
    ys, xs, values
        Pixels in the cut-out and values of all templates of the blend, one after the other, (n,).
    """
    total = np.zeros(image.shape)
    for i in range(len(values)):
        total[ys[i], xs[i]] += max(values[i], 0.0)
    flux = np.zeros(len(values), dtype=np.float32)
    for i in range(len(values)):
        if values[i] > 0.0:
            flux[i] = image[ys[i], xs[i]] * (values[i] / total[ys[i], xs[i]])
    return flux
