"""Sinc apertures: weights that integrate the band-limited image exactly over a circle or ellipse.

Bickerton & Lupton 2013, MNRAS 431, 1275. The weight of a pixel is the integral over the aperture of the sinc function
centred on that pixel. Here the integral over y is analytic (sine integral) and the one over x is a Gauss-Chebyshev
quadrature, which holds for any centre. The original transforms the aperture about a pixel centre and shifts the weights
with Lanczos's kernel; that costs as much and errs by 0.2 % of the flux at 3 px.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.special

from ..numerics.arrays import FloatArray
from ..numerics.compiler import njit

__all__ = ["ellipse_weights", "sinc_half_width", "sine_integral_table"]


_PHASES = 16
_TABLE_REACH = 160
# Farther from the aperture than this the weights, some 1e-3 and of alternating sign, change no flux by 1e-5.
_WINGS = 8


@lru_cache(maxsize=1)
def sine_integral_table() -> FloatArray:
    """Return values and derivatives (times 1/16) of Si(pi t)/pi at t = n - 160 + q/16: (2, q = 0..16, n)."""
    t = np.arange(-_TABLE_REACH, _TABLE_REACH + 1)[None, :] + np.arange(_PHASES + 1)[:, None] / _PHASES
    table: FloatArray = np.stack([scipy.special.sici(np.pi * t)[0] / np.pi, np.sinc(t) / _PHASES])
    table.setflags(write=False)
    return table


@njit
def sinc_half_width(reach: float) -> int:
    """Return how many pixels the weights of an aperture reach from the central one, for an aperture of that reach."""
    return int(min(2.0 * reach + 3.0, reach + _WINGS + 1.0))


@njit
def _add_sine_integral(origin: float, factor: float, table: Any, values: Any) -> None:
    """Add factor * Si(pi (j - origin))/pi to values[j] for all j, by cubic Hermite interpolation."""
    whole = int(np.ceil(origin))
    phase = (whole - origin) * _PHASES
    q = min(int(phase), _PHASES - 1)
    f = phase - q
    f2, f3 = f * f, f * f * f
    a, b, c, d = 2 * f3 - 3 * f2 + 1, f3 - 2 * f2 + f, 3 * f2 - 2 * f3, f3 - f2
    a, b, c, d = factor * a, factor * b, factor * c, factor * d
    # Beyond the table the integral is its limit to 1e-3.
    n_table = table.shape[2]
    first = min(max(whole - _TABLE_REACH, 0), values.size)
    last = min(max(whole - _TABLE_REACH + n_table, first), values.size)
    for j in range(first):
        values[j] -= 0.5 * factor
    shift = _TABLE_REACH - whole
    for j in range(first, last):
        n = j + shift
        values[j] += a * table[0, q, n] + b * table[1, q, n] + c * table[0, q + 1, n] + d * table[1, q + 1, n]
    for j in range(last, values.size):
        values[j] += 0.5 * factor


@njit
def _add_sinc(origin: float, factor: float, values: Any) -> None:
    """Add factor * sinc(j - origin) to values[j] for all j."""
    # The sine differs between pixels by its sign only.
    wave = factor * np.sin(np.pi * origin) / np.pi
    for j in range(values.size):
        distance = origin - j
        values[j] += wave / distance if abs(distance) > 1e-9 else factor
        wave = -wave


@njit
def ellipse_weights(xx: float, yy: float, xy: float, dx: float, dy: float, half_x: int, half_y: int, table: Any) -> Any:
    """Return the weights (2 half_y + 1, 2 half_x + 1) of an ellipse about (dx, dy) off the centre of the middle pixel.

    The ellipse is r^T Q^-1 r <= 1 with Q = ((xx, xy), (xy, yy)) [px^2]; `table` is `sine_integral_table`.
    """
    reach_x, reach_y = np.sqrt(xx), np.sqrt(yy)
    chord = np.sqrt((xx * yy - xy * xy) / xx)
    # The integrand over the angle is even, periodic and band-limited to pi (reach_x + reach_y): the midpoint rule
    # is exact but for terms beyond twice the number of nodes.
    n = int(0.5 * np.pi * (reach_x + reach_y)) + 8
    # Chords to the left and right of an upright ellipse's centre are the same but for their column.
    upright = xy == 0.0
    weights = np.zeros((2 * half_y + 1, 2 * half_x + 1))
    along_x, along_y = np.empty(2 * half_x + 1), np.empty(2 * half_y + 1)
    for k in range((n + 1) // 2 if upright else n):
        angle = np.pi * (k + 0.5) / n
        sine = np.sin(angle)
        offset = reach_x * np.cos(angle)
        x, y = dx + offset + half_x, dy + offset * xy / xx + half_y
        along_y[:] = 0.0
        _add_sine_integral(y - chord * sine, 1.0, table, along_y)
        _add_sine_integral(y + chord * sine, -1.0, table, along_y)
        factor = reach_x * sine * np.pi / n
        along_x[:] = 0.0
        _add_sinc(x, factor, along_x)
        if upright and 2 * k + 1 < n:
            _add_sinc(x - 2.0 * offset, factor, along_x)
        for j in range(along_y.size):
            value = along_y[j]
            for i in range(along_x.size):
                weights[j, i] += value * along_x[i]
    return weights
