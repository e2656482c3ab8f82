"""Symmetric positive definite systems of equations by Cholesky's factors, the same on every machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .compiler import njit

__all__ = ["solve_positive"]


@njit
def solve_positive(matrix: Any, right: Any, least_pivot: float) -> Any:
    """Solve matrix x = right in place: `right` becomes x, the lower triangle of `matrix` its factor.

    Returns
    -------
    (n,) which terms were solved for. A term that the terms before it can make up for is left out with value 0: its
    pivot is not above `least_pivot` times its diagonal element.
    """
    n = right.size
    used = np.zeros(n, np.bool_)
    for k in range(n):
        for m in range(k):
            value = matrix[k, m]
            for p in range(m):
                value -= matrix[k, p] * matrix[m, p]
            matrix[k, m] = value / matrix[m, m] if used[m] else 0.0
        pivot = matrix[k, k]
        for p in range(k):
            pivot -= matrix[k, p] * matrix[k, p]
        used[k] = pivot > least_pivot * matrix[k, k]
        matrix[k, k] = math.sqrt(pivot) if used[k] else 1.0
        if not used[k]:
            right[k] = 0.0
    for k in range(n):
        if used[k]:
            for p in range(k):
                right[k] -= matrix[k, p] * right[p]
            right[k] /= matrix[k, k]
    for k in range(n - 1, -1, -1):
        if used[k]:
            for p in range(k + 1, n):
                if used[p]:
                    right[k] -= matrix[p, k] * right[p]
            right[k] /= matrix[k, k]
    return used
