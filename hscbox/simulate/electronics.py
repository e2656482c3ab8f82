"""What happens to charge between silicon and file, as pure functions on arrays.

Each function is the exact inverse, or the fixed point, of the correction that the reduction applies; the order is
that of `frame.expose`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from ..camera.detector import Detector
from ..jit import njit

__all__ = ["add_crosstalk", "bleed", "brighter_fatter_change", "invert_linearity"]

Floats = NDArray[np.float64]


def brighter_fatter_change(electrons: Floats, kernel: Floats) -> Floats:
    """Return the charge that the brighter-fatter effect removes from each pixel.

    0.5 (grad I . grad q + I lap q) with q = kernel (*) I, central differences, zero within half a kernel plus one
    pixel of the border. The correction iterates I = observed + change(I), so observed = I - change(I) is undone
    exactly where it converges. Coulton et al. 2018, AJ 155, 258.
    """
    half = kernel.shape[0] // 2
    change = np.zeros_like(electrons)
    if min(electrons.shape) < 2 * half + 3:
        return change
    # Defined where the kernel fits; its neighbours are needed on each side.
    q = oaconvolve(electrons, kernel, mode="valid")
    image = electrons[half:-half, half:-half]
    center = image[1:-1, 1:-1]
    q_center = q[1:-1, 1:-1]
    result = 0.25 * (image[1:-1, 2:] - image[1:-1, :-2]) * (q[1:-1, 2:] - q[1:-1, :-2])
    result += 0.25 * (image[2:, 1:-1] - image[:-2, 1:-1]) * (q[2:, 1:-1] - q[:-2, 1:-1])
    laplacian = q[1:-1, 2:] + q[1:-1, :-2] + q[2:, 1:-1] + q[:-2, 1:-1] - 4.0 * q_center
    result += center * laplacian
    change[half + 1 : -half - 1, half + 1 : -half - 1] = 0.5 * result
    return change


def bleed(electrons: Floats, full_well: Floats) -> Floats:
    """Return the charge after what exceeds the full well has run along its column, half up and half down.

    `full_well` is one number per column. Charge that reaches the end of a column is lost.
    """
    result = electrons.copy()
    for column in np.flatnonzero((electrons > full_well).any(axis=0)):
        result[:, column] = _bleed_column(electrons[:, column], float(full_well[column]))
    return result


@njit
def _bleed_column(charge: Floats, full_well: float) -> Floats:
    n = len(charge)
    result = np.minimum(charge, full_well)
    half = 0.5 * np.maximum(charge - full_well, 0.0)
    for direction in range(2):
        carried = 0.0
        for step in range(n):
            index = step if direction == 0 else n - 1 - step
            moved = min(carried, full_well - result[index])
            result[index] += moved
            carried += half[index] - moved
    return result


def add_crosstalk(image: Floats, detector: Detector, matrix: Floats) -> Floats:
    """Return `image` (linear ADU, trimmed) with the ghosts of each amplifier in the others.

    victim += coefficient[source, victim] * (source - median); the source is mirrored in x when the amplifiers are
    read out towards opposite sides, so that simultaneous pixels meet.
    """
    result = image.copy()
    level = float(np.median(image))
    for victim in detector.amplifiers:
        for source in detector.amplifiers:
            if source.index == victim.index:
                continue
            strip = image[source.trimmed.slices]
            if (source.index + victim.index) % 2:
                strip = strip[:, ::-1]
            result[victim.trimmed.slices] += matrix[source.index, victim.index] * (strip - level)
    return result


def invert_linearity(linear: Floats, c0: float) -> Floats:
    """Return the x for which x (1 + c0 x) equals `linear`."""
    if c0 == 0.0:
        return linear
    # The stable form of the quadratic formula: no cancellation for small c0.
    return 2.0 * linear / (1.0 + np.sqrt(1.0 + 4.0 * c0 * linear))
