"""Compilation of hot loops: one place for the options that keep results reproducible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["njit"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def njit(function: _Function) -> _Function:
    """Compile `function` with numba, cached on disk.

    No fastmath: it lets the compiler reorder sums, so that results differ between processors. Division by zero
    gives inf or nan as in numpy.
    """
    compiled: _Function = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return compiled
