"""Settings of the process that must be in force before numpy is imported.

Results are compared byte by byte between machines. numpy, OpenBLAS and numba choose code by the processor they
run on; pinning them to AVX2 makes every x86-64 machine since 2013 take the same path. One BLAS thread keeps the
order of sums fixed. What is really in force, `hscbox.machine.dispatch` asks the libraries themselves.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from pathlib import Path

__all__ = ["PINNED", "cpu_flags", "is_x86_64", "keep_freed_memory", "pin"]

_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Code for AVX2 processors: an older one would die of an illegal instruction.
_AVX2 = {
    "OPENBLAS_CORETYPE": "HASWELL",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+cmov,+cx16,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,"
    "+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3",
}
# The numbers of M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD in glibc's malloc.h.
_MALLOC = {-4: 0, -1: 2**31 - 1, -2: 64 << 20}
PINNED = {**_THREADS, **_AVX2}


def is_x86_64() -> bool:
    """Return whether this machine is one that the pinned settings are meant for."""
    return platform.machine() in {"x86_64", "AMD64"}


@cache
def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return what the first processor can do, in the words of Linux; empty where nobody says."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.startswith("flags"):
                    return frozenset(line.partition(":")[2].split())
    except OSError:
        pass
    return frozenset()


def pin() -> None:
    """Set the pinned variables for this process and its children, on x86-64 only.

    A processor without AVX2 gets one thread but keeps its own code paths, and those that were asked for are taken
    back: it works, but not to the byte.
    """
    if not is_x86_64():
        return
    flags = cpu_flags()
    if flags and "avx2" not in flags:
        os.environ.update(_THREADS)
        for name in _AVX2:
            os.environ.pop(name, None)
        return
    os.environ.update(PINNED)


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed arrays for the next ones, where it is glibc.

    By default it returns arrays of this size to the system at once, which clears every page again when the next one
    is made: one core-second of a full frame. For processes of our own only, not for those that import the package.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        # Another C library.
        return
    for parameter, value in _MALLOC.items():
        mallopt(parameter, value)
