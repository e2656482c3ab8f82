"""The test that tells cosmic rays from stars: a pixel that rises more steeply than the PSF allows.

Conditions 2 and 3 of SDSS photo (Bosch et al. 2018, PASJ 70, S5, section 4.4; lsst/meas_algorithms b99accf8,
src/CR.cc). Across the peak of a star the mean of two opposite neighbours is a certain share of the pixel between
them; anywhere else on the star it is more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics.arrays import Float32Array, FloatArray, Int32Array
from ..numerics.compiler import njit

__all__ = ["Steepness", "any_around", "is_steep", "steepness_of", "step_of"]

# A neighbour further below the sky, in standard deviations, is an artefact (the brighter-fatter correction leaves
# some at the ends of saturated trails): taken as it is, it would make everything around it look steep.
_DEEPEST = 3.0


@dataclass(frozen=True)
class Steepness:
    """Largest ratio of the mean of two opposite neighbours to the pixel between them, beyond which it is a star."""

    horizontal: float
    vertical: float
    diagonal: float

    @property
    def limits(self) -> FloatArray:
        """Limits (4,) in the order of directions: vertical, horizontal, rising diagonal, falling diagonal."""
        return np.array([self.vertical, self.horizontal, self.diagonal, self.diagonal])


def steepness_of(kernel: FloatArray, factor: float, *, largest: float = np.inf) -> Steepness:
    """Return the limits for a PSF image (odd shape, centred): `factor` times its own ratios, at most `largest`."""
    y, x = kernel.shape[0] // 2, kernel.shape[1] // 2
    around = kernel[y - 1 : y + 2, x - 1 : x + 2] * (factor / kernel[y, x])
    return Steepness(
        horizontal=min(float(around[1, 0] + around[1, 2]) / 2.0, largest),
        vertical=min(float(around[0, 1] + around[2, 1]) / 2.0, largest),
        diagonal=min(float(around[0, 0] + around[0, 2] + around[2, 0] + around[2, 2]) / 4.0, largest),
    )


@njit
def step_of(direction: int) -> tuple[int, int]:
    """Return (dy, dx) of a direction: 0 vertical, 1 horizontal, 2 rising diagonal, 3 falling diagonal."""
    if direction == 0:
        return 1, 0
    if direction == 1:
        return 0, 1
    return (1, 1) if direction == 2 else (-1, 1)


@njit
def is_steep(
    image: Float32Array,
    variance: Float32Array,
    y: int,
    x: int,
    limits: FloatArray,
    background: float,
    min_sigma: float,
    noise_factor: float,
) -> tuple[bool, float]:
    """Return whether a pixel belongs to a cosmic ray, and the mean of its neighbours in the first steep direction.

    Parameters
    ----------
    image, variance
        Pixels [ADU] and variances [ADU^2], shape (height, width).
    y, x
        The pixel; directions that leave the image are not tested.
    limits
        See `Steepness.limits`.
    background
        Level of the sky [ADU].
    min_sigma
        It must rise above the mean of two opposite neighbours by so many standard deviations, in any direction.
    noise_factor
        Noise margin of the comparison with the PSF, standard deviations.
    """
    height, width = image.shape
    value = np.float64(image[y, x])
    sigma = np.sqrt(np.float64(variance[y, x]))
    floor = background - _DEEPEST * sigma
    peak = value - background - noise_factor * sigma
    high = steep = False
    substitute = 0.0
    for direction in range(4):
        dy, dx = step_of(direction)
        if min(y - dy, y + dy) < 0 or max(y - dy, y + dy) >= height or x - dx < 0 or x + dx >= width:
            continue
        mean = 0.5 * (max(np.float64(image[y - dy, x - dx]), floor) + max(np.float64(image[y + dy, x + dx]), floor))
        if value >= mean + min_sigma * sigma:
            high = True
        if not steep:
            both = np.float64(variance[y - dy, x - dx]) + variance[y + dy, x + dx]
            if limits[direction] * peak > mean - background + noise_factor * 0.5 * np.sqrt(both):
                steep = True
                substitute = mean
    return high and steep, substitute


@njit
def any_around(mask: Int32Array, y: int, x: int, bits: int) -> bool:
    """Return whether a pixel or one of its eight neighbours has any of some mask bits."""
    height, width = mask.shape
    for j in range(max(y - 1, 0), min(y + 2, height)):
        for i in range(max(x - 1, 0), min(x + 2, width)):
            if mask[j, i] & bits != 0:
                return True
    return False
