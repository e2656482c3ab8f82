"""Median filter of 5 x 5 pixels for small images."""

from __future__ import annotations

import numpy as np

from .arrays import BoolArray, FloatArray, IntArray
from .compiler import njit

__all__ = ["median_5x5"]

_N = 25


def _selection_network() -> IntArray:
    """Return the pairs (i, j) to be put in order, one after the other, so that value 24 ends as the median of 25.

    Forgetful selection: of any 14 of the values the least and the greatest cannot be the median; they are dropped,
    and one new value is taken in, until three are left.
    """
    pairs = []
    pool = list(range(_N // 2 + 2))
    waiting = list(range(_N // 2 + 2, _N))
    while True:
        n = len(pool)
        pairs += [(pool[i], pool[n - 1 - i]) for i in range(n // 2)]
        pairs += [(pool[0], pool[i]) for i in range(1, (n + 1) // 2)]
        pairs += [(pool[i], pool[-1]) for i in range(n // 2, n - 1)]
        pool = pool[1:-1]
        if not waiting:
            break
        pool.append(waiting.pop(0))
    return np.array([*pairs, (pool[0], _N)])


_PAIRS = _selection_network()[:-1]
_MIDDLE = int(_selection_network()[-1, 0])


@njit
def median_5x5(values: FloatArray, inside: BoolArray) -> FloatArray:
    """Return the median of 5 x 5 pixels for the pixels in `inside`; others are copied.

    So are two pixels along the sides. Whole rows go through the selection at once, without branches.
    """
    height, width = values.shape
    smooth = values.copy()
    if height < 5 or width < 5:
        return smooth
    inner = width - 4
    window = np.empty((_N, inner))
    for y in range(2, height - 2):
        for k in range(_N):
            window[k] = values[y - 2 + k // 5, k % 5 : k % 5 + inner]
        for k in range(len(_PAIRS)):
            first, second = window[_PAIRS[k, 0]], window[_PAIRS[k, 1]]
            for x in range(inner):
                a, b = first[x], second[x]
                first[x] = b if b < a else a
                second[x] = a if b < a else b
        middle = window[_MIDDLE]
        for x in range(inner):
            if inside[y, x + 2]:
                smooth[y, x + 2] = middle[x]
    return smooth
