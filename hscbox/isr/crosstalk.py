"""Crosstalk between the four amplifiers of a CCD.

Signals of pixels read at the same time leak into each other. Neighbouring amplifiers are read in opposite directions,
so that a ghost is mirrored if the numbers of the two amplifiers differ by an odd number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..camera.detector import Detector
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import FloatArray
from ..numerics.compiler import njit
from ..numerics.statistics import median

__all__ = ["subtract_crosstalk"]


def subtract_crosstalk(exposure: Exposure, detector: Detector, matrix: FloatArray, min_pixel_to_mask: float) -> float:
    """Subtract, in place, the ghosts that the amplifiers leave in each other.

    Parameters
    ----------
    exposure
        Image [ADU], linear, before gain correction; what is not finite leaves no ghost. Ghosts of pixels at or above
        `min_pixel_to_mask` get CROSSTALK, unless they are as bright themselves.
    detector
        Its amplifiers must be equally wide and side by side.
    matrix
        Coefficients [source, victim].

    Returns
    -------
    float
        The background above which ghosts are counted: the median of the pixels that are not BAD.
    """
    bad = mask_bits("BAD")
    background = median(exposure.image, exposure.mask, bad)
    alive = np.array([not np.all(exposure.mask[amp.trimmed.slices] & bad) for amp in detector.amplifiers])
    coefficients = np.where(alive[:, None], matrix, 0.0)
    _subtract(
        exposure.image,
        exposure.mask,
        exposure.variance,
        detector.amplifiers[0].trimmed.width,
        coefficients.astype(np.float32),
        np.float32(background if np.isfinite(background) else 0.0),
        np.float32(min_pixel_to_mask),
        np.int32(mask_bits("CROSSTALK")),
        alive,
    )
    return background


@njit
def _subtract(
    image: Any, mask: Any, variance: Any, width: int, matrix: Any, background: Any, bright: Any, plane: Any, alive: Any
) -> None:
    n = alive.size
    is_bright = np.zeros(image.shape[1], np.bool_)
    for y in range(image.shape[0]):
        found = False
        for x in range(n * width):
            is_bright[x] = image[y, x] >= bright
            found = found or is_bright[x]
        for i in range(n):
            for j in range(n):
                if i == j or not alive[j]:
                    continue
                mirrored = (i + j) % 2 == 1
                target = slice(i * width, (i + 1) * width)
                source = slice(j * width, (j + 1) * width)
                _subtract_row(
                    image[y, target], variance[y, target], image[y, source], variance[y, source],
                    matrix[j, i], background, mirrored,
                )  # fmt: skip
                if found:
                    _flag_row(mask[y, target], is_bright[source], plane, mirrored)
        if found:
            for x in range(n * width):
                if is_bright[x]:
                    mask[y, x] &= ~plane


@njit
def _subtract_row(
    image: Any, variance: Any, source: Any, source_variance: Any, coefficient: Any, background: Any, mirrored: bool
) -> None:
    square = coefficient * coefficient
    n = image.size
    zero = np.float32(0.0)
    for x in range(n):
        k = n - 1 - x if mirrored else x
        ghost = coefficient * (source[k] - background)
        noise = square * source_variance[k]
        # The difference of a number from itself is nan for nan and infinity.
        image[x] -= ghost if ghost - ghost == zero else zero
        variance[x] += noise if noise - noise == zero else zero


@njit
def _flag_row(mask: Any, is_bright: Any, plane: Any, mirrored: bool) -> None:
    n = mask.size
    for x in range(n):
        if is_bright[n - 1 - x if mirrored else x]:
            mask[x] |= plane
