"""Templates of blended objects: symmetric about their peaks and falling outwards.

The method of SDSS (Lupton 2005, draft "SDSS image processing I: the deblender"; Bosch et al. 2018, PASJ 70, S5,
section 4.8), with the steps of lsst/meas_deblender 8b7e8552 (src/BaselineUtils.cc).
"""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import BoolArray, ByteArray, Float32Array, FloatArray
from ..numerics.compiler import njit

__all__ = ["has_flux_at_border", "make_monotonic", "ramp_image", "symmetric_template"]

_SHADOW = 5
_CONE = 0.3


@njit
def symmetric_template(image: Float32Array, inside: ByteArray, cx: int, cy: int) -> tuple[FloatArray, BoolArray]:
    """Return a template, the least of each pixel and its mirror about the peak (cx, cy), and its members.

    Only pixels whose mirror lies inside as well are members; values are floored at 0. Both arrays have the shape
    (2 ry + 1, 2 rx + 1) of the smallest box about the peak that holds the members; its middle pixel is the peak.
    """
    height, width = image.shape
    limit_x, limit_y = min(cx, width - 1 - cx), min(cy, height - 1 - cy)
    rx = ry = 0
    for dy in range(limit_y + 1):
        for dx in range(-limit_x, limit_x + 1):
            if inside[cy + dy, cx + dx] and inside[cy - dy, cx - dx]:
                rx = max(rx, abs(dx))
                ry = max(ry, dy)
    values = np.zeros((2 * ry + 1, 2 * rx + 1))
    member = np.zeros((2 * ry + 1, 2 * rx + 1), dtype=np.bool_)
    for dy in range(ry + 1):
        for dx in range(-rx, rx + 1):
            if inside[cy + dy, cx + dx] and inside[cy - dy, cx - dx]:
                value = max(min(image[cy + dy, cx + dx], image[cy - dy, cx - dx]), 0.0)
                values[ry + dy, rx + dx] = values[ry - dy, rx - dx] = value
                member[ry + dy, rx + dx] = member[ry - dy, rx - dx] = True
    return values, member


@njit
def _is_border(inside: BoolArray, x: int, y: int) -> bool:
    """Return whether a member pixel has a neighbour (of 4) that is none."""
    height, width = inside.shape
    return (
        x == 0
        or y == 0
        or x == width - 1
        or y == height - 1
        or not (inside[y, x - 1] and inside[y, x + 1] and inside[y - 1, x] and inside[y + 1, x])
    )


@njit
def has_flux_at_border(values: FloatArray, inside: BoolArray, threshold: float) -> bool:
    """Return whether a border pixel of a template exceeds `threshold` [ADU]: the object reaches beyond it."""
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            if inside[y, x] and values[y, x] > threshold and _is_border(inside, x, y):
                return True
    return False


@njit
def ramp_image(
    image: Float32Array,
    inside: ByteArray,
    grown: ByteArray,
    values: FloatArray,
    member: BoolArray,
    cx: int,
    cy: int,
    psf: FloatArray,
    pad: int,
) -> Float32Array:
    """Return the image with the surroundings of the blend filled by the wings of a template.

    Outside the blend, within `grown` and no more than `pad` pixels from the template's box, a pixel p becomes the
    largest of t(b) psf(p - b) / psf(0) over the border pixels b of the template. `image`, `inside` and `grown` have
    one shape; `psf` is a stamp whose brightest pixel is its middle one.
    """
    filled = image.copy()
    ry, rx = values.shape[0] // 2, values.shape[1] // 2
    n = 0
    border = np.empty((values.size, 2), dtype=np.int64)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            if member[y, x] and values[y, x] > 0.0 and _is_border(member, x, y):
                border[n, 0], border[n, 1] = y, x
                n += 1
    half = psf.shape[0] // 2
    for y in range(max(cy - ry - pad, 0), min(cy + ry + pad + 1, image.shape[0])):
        for x in range(max(cx - rx - pad, 0), min(cx + rx + pad + 1, image.shape[1])):
            if inside[y, x] != 0 or grown[y, x] == 0:
                continue
            largest = 0.0
            for k in range(n):
                by, bx = border[k, 0], border[k, 1]
                dy, dx = y - (cy - ry + by), x - (cx - rx + bx)
                if abs(dy) <= half and abs(dx) <= half:
                    largest = max(largest, values[by, bx] * psf[half + dy, half + dx])
            filled[y, x] = largest / psf[half, half]
    return filled


@njit
def make_monotonic(values: FloatArray) -> None:
    """Make a template fall outwards from its middle pixel; `values` is modified.

    Rings of growing size about the peak are visited; each pixel of a ring limits the pixels behind it, within a cone
    around the radial direction, to its own value. Values that limit are taken as they were before the present group
    of 5 rings.
    """
    height, width = values.shape
    cy, cx = height // 2, width // 2
    _limit_square(values, cx, cy)
    for first in range(1, max(cx, cy) + 1, _SHADOW):
        casting = values.copy()
        for radius in range(first, first + _SHADOW):
            for k in range(-radius, radius + 1):
                # The four sides of the ring; corners belong to the upper and lower side.
                _cast(values, casting, cx, cy, k, radius)
                _cast(values, casting, cx, cy, k, -radius)
                if abs(k) < radius:
                    _cast(values, casting, cx, cy, radius, k)
                    _cast(values, casting, cx, cy, -radius, k)


@njit
def _limit_square(values: FloatArray, cx: int, cy: int) -> None:
    """Limit the pixels near the peak to its value: it lies before all of them."""
    height, width = values.shape
    for y in range(max(cy - _SHADOW, 0), min(cy + _SHADOW + 1, height)):
        for x in range(max(cx - _SHADOW, 0), min(cx + _SHADOW + 1, width)):
            values[y, x] = min(values[y, x], values[cy, cx])


@njit
def _cast(values: FloatArray, casting: FloatArray, cx: int, cy: int, dx: int, dy: int) -> None:
    """Let the pixel at (dx, dy) from the peak limit those behind it."""
    height, width = values.shape
    x, y = cx + dx, cy + dy
    if x < 0 or y < 0 or x >= width or y >= height:
        return
    limit = casting[y, x]
    steep = abs(dy) >= abs(dx)
    along, across = (dy, dx) if steep else (dx, dy)
    sign = 1 if along > 0 else -1
    slope = across / along * sign
    for step in range(1, _SHADOW + 1):
        low = int(np.floor(step * (slope - _CONE) + 0.5))
        high = int(np.floor(step * (slope + _CONE) + 0.5))
        for side in range(low, high + 1):
            px, py = (x + side, y + sign * step) if steep else (x + sign * step, y + side)
            if 0 <= px < width and 0 <= py < height and values[py, px] > limit:
                values[py, px] = limit
