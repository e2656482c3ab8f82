"""Settings of the process that must be in force before numpy is imported.

Results are compared byte by byte between machines. numpy, OpenBLAS and numba choose code by the processor they
run on; pinning them to AVX2 makes every x86-64 machine since 2013 take the same path. One BLAS thread keeps the
order of sums fixed.
"""

from __future__ import annotations

import os
import platform

__all__ = ["PINNED", "pin"]

PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "HASWELL",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+cmov,+cx16,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,"
    "+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3",
}


def pin() -> None:
    """Set the pinned variables for this process and its children, on x86-64 only."""
    if platform.machine() in {"x86_64", "AMD64"}:
        os.environ.update(PINNED)
