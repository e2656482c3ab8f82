"""Small grey previews of CCDs.

The asinh stretch is that of Lupton et al. 2004, PASP 116, 133, with the constants of the HSC pipeline.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..numerics.arrays import BoolArray, ByteArray, Float32Array, FloatArray, Int32Array
from ..numerics.statistics import clipped_mean, median
from .mask import mask_bits

__all__ = ["bin_image", "make_thumbnail", "stretch"]

_BINNING = 4
_Q = 20.0
_RANGE = 5.0
_BORDER = 2


def bin_image(image: Float32Array, mask: Int32Array, binning: int) -> tuple[FloatArray, Int32Array]:
    """Return the mean of blocks of `binning` x `binning` pixels and the union of their mask bits; drop a rest."""
    height, width = image.shape[0] // binning, image.shape[1] // binning
    shape = (height, binning, width, binning)
    blocks = image[: height * binning, : width * binning].reshape(shape)
    bits = mask[: height * binning, : width * binning].reshape(shape)
    sums = np.zeros((height, width))
    union = np.zeros((height, width), dtype=np.int32)
    for j in range(binning):
        for i in range(binning):
            sums += blocks[:, j, :, i]
            union |= bits[:, j, :, i]
    return sums / binning**2, union


def make_thumbnail(image: Float32Array, mask: Int32Array) -> ByteArray:
    """Return a preview, uint8 (height // 4, width // 4), row 0 first.

    The level 3 sigma below the median is black. Saturated regions take the value of the brightest good pixel if
    their surroundings are bright.
    """
    pixels, bits = bin_image(image, mask, _BINNING)
    saturated = (bits & mask_bits("SAT")) != 0
    good = ((bits & mask_bits("SAT", "BAD", "INTRP")) == 0) & np.isfinite(pixels)
    if not good.any():
        return np.zeros(pixels.shape, dtype=np.uint8)
    values = pixels[good]
    level, sigma, brightest = median(values), clipped_mean(values).std, float(values.max())
    return stretch(_fill_saturated(pixels, saturated, brightest), level - 3.0 * sigma)


def stretch(pixels: FloatArray, black: float) -> ByteArray:
    """Map pixels to grey levels by 25.5 / asinh(0.1 Q) asinh(Q (I - black) / R), cut to 0..255 and truncated."""
    slope = 25.5 / np.arcsinh(0.1 * _Q)
    grey = slope * np.arcsinh(_Q * (np.asarray(pixels, dtype=np.float64) - black) / _RANGE)
    return np.asarray(np.clip(np.nan_to_num(grey, nan=0.0), 0.0, 255.0), dtype=np.uint8)


def _fill_saturated(pixels: FloatArray, saturated: BoolArray, brightest: float) -> FloatArray:
    labels, count = ndimage.label(saturated, structure=np.ones((3, 3)))
    result = pixels.copy()
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels, count), start=1):
        window = (
            slice(max(rows.start - _BORDER, 0), rows.stop + _BORDER),
            slice(max(columns.start - _BORDER, 0), columns.stop + _BORDER),
        )
        region = labels[window] == number
        near = ndimage.binary_dilation(region, structure=np.ones((3, 3)), iterations=_BORDER)
        around = pixels[window][near & ~saturated[window]]
        around = around[np.isfinite(around)]
        result[window][region] = brightest if around.size and around.mean() > 0 else 0.0
    return result
