"""Which code paths the numerical libraries of this process really take.

The environment says what was asked for; only the loaded libraries know whether it came in time. The answer decides
whether a run may claim the same bytes as any other machine (the bitwise level).
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from .environment import PINNED, cpu_flags, is_x86_64

__all__ = ["DispatchState", "cpu_level", "dispatch_state"]

# Flags of Linux for the levels of the x86-64 psABI beyond the first.
_LEVELS = (
    ("x86-64-v2", {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}),
    ("x86-64-v3", {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    ("x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
)
_BEYOND_AVX2 = ("AVX512", "X86_V4")
_AVX2 = {"AVX2", "X86_V3"}
# OpenBLAS carries a prefix in the wheels of numpy and scipy, and a suffix where its integers have 64 bits.
_BLAS_NAMES = tuple(
    f"{prefix}openblas_get_{{}}{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "", "_64", "64")
)


@dataclass(frozen=True)
class DispatchState:
    """The code paths in force, and what keeps them from being the agreed ones.

    Attributes
    ----------
    cpu_level
        ``x86-64-v1`` to ``x86-64-v4``, or the name of another kind of machine.
    numpy_features
        Dispatch targets beyond its baseline that numpy uses.
    blas
        Core type of every OpenBLAS that is loaded, in the order of their file names.
    numba_cpu
        Name of the processor that numba compiles for.
    problems
        Why the bitwise level is out of reach; empty if it is not.
    """

    cpu_level: str
    numpy_features: tuple[str, ...]
    blas: tuple[str, ...]
    numba_cpu: str
    problems: tuple[str, ...]

    @property
    def bitwise(self) -> bool:
        """Whether products may be expected to have the same bytes as on any other machine."""
        return not self.problems

    def as_dict(self) -> dict[str, object]:
        """Return the state for JSON."""
        return {**asdict(self), "bitwise": self.bitwise}

    def __str__(self) -> str:
        return (
            f"{self.cpu_level}, numpy {' '.join(self.numpy_features) or 'baseline'}, "
            f"BLAS {' '.join(self.blas) or 'unknown'}, numba {self.numba_cpu}"
        )


def dispatch_state() -> DispatchState:
    """Ask numpy, every loaded OpenBLAS and numba for the code paths they take in this process.

    Loads numpy, scipy's linear algebra and numba if they are not.
    """
    import numpy as np
    import scipy.linalg  # noqa: F401  (brings its own OpenBLAS, which is to be asked)

    level = cpu_level()
    core = np._core._multiarray_umath  # type: ignore[attr-defined]
    features = tuple(name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name))
    libraries, lost = _openblas_libraries()
    blas = tuple(_ask(library, "corename") for library in libraries)
    numba_cpu, numba_features = _numba_target()
    if not is_x86_64():
        problem = f"the recorded bytes are those of x86-64, not of {level}"
        return DispatchState(level, features, blas, numba_cpu, (problem,))
    problems = [
        *_cpu_problems(level),
        *_numpy_problems(features),
        *_blas_problems(libraries, blas, lost),
        *_numba_problems(numba_cpu, numba_features),
        *_environment_problems(),
    ]
    return DispatchState(level, features, blas, numba_cpu, tuple(problems))


def cpu_level() -> str:
    """Return the level of the x86-64 psABI that the processor reaches, or the kind of another machine."""
    if not is_x86_64():
        return platform.machine() or "unknown"
    flags, reached = cpu_flags(), "x86-64-v1"
    for name, needed in _LEVELS:
        if not needed <= flags:
            break
        reached = name
    return reached


def _cpu_problems(level: str) -> list[str]:
    if level in {"x86-64-v3", "x86-64-v4"} or not cpu_flags():
        return []
    return [f"the processor is {level}, without AVX2"]


def _numpy_problems(features: tuple[str, ...]) -> list[str]:
    problems = [f"numpy uses {name}" for name in features if name.startswith(_BEYOND_AVX2)]
    if not _AVX2 & set(features):
        problems.append("numpy does not use AVX2")
    return problems


def _openblas_libraries() -> tuple[list[ctypes.CDLL], list[str]]:
    """Return every OpenBLAS that this process has loaded, and those of them that cannot be opened any more."""
    paths: set[str] = set()
    try:
        for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            path = line.split(maxsplit=5)[-1]
            if "openblas" in Path(path).name:
                paths.add(path)
    except OSError:
        for name in ("numpy", "scipy"):
            root = Path(str(sys.modules[name].__file__)).parents[1] / f"{name}.libs"
            paths.update(str(path) for path in root.glob("*openblas*"))
    libraries, lost = [], []
    for path in sorted(paths):
        try:
            libraries.append(ctypes.CDLL(path))
        except OSError:
            # An installation that is replaced while programs run leaves them libraries without a file.
            lost.append(path)
    return libraries, lost


def _ask(library: ctypes.CDLL, question: str) -> str:
    for template in _BLAS_NAMES:
        try:
            function = getattr(library, template.format(question))
        except AttributeError:
            continue
        if question == "num_threads":
            return str(function())
        function.restype = ctypes.c_char_p
        return str((function() or b"").decode())
    return "unknown"


def _blas_problems(libraries: list[ctypes.CDLL], blas: tuple[str, ...], lost: list[str]) -> list[str]:
    if lost:
        return [f"{path}, which is loaded, cannot be asked" for path in lost]
    if not libraries:
        return ["numpy and scipy have no OpenBLAS that could be asked"]
    wanted = PINNED["OPENBLAS_CORETYPE"]
    problems = [f"OpenBLAS runs its code for {name}, not {wanted.title()}" for name in blas if name.upper() != wanted]
    threads = {_ask(library, "num_threads") for library in libraries} - {"1"}
    return problems + [f"OpenBLAS uses {count} threads" for count in sorted(threads)]


def _numba_target() -> tuple[str, str]:
    """Return name and features of the processor that numba compiles for."""
    from numba.core.registry import cpu_target

    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return str(name), str(features)


def _numba_problems(name: str, features: str) -> list[str]:
    if name != PINNED["NUMBA_CPU_NAME"]:
        return [f"numba compiles for {name}, not {PINNED['NUMBA_CPU_NAME']}"]
    if set(features.split(",")) != set(PINNED["NUMBA_CPU_FEATURES"].split(",")):
        return ["numba compiles for other processor features than the agreed ones"]
    return []


def _environment_problems() -> list[str]:
    """Return what no library can be asked about: the C library's own choice of code."""
    if "hwcaps" in os.environ.get("GLIBC_TUNABLES", ""):
        return ["GLIBC_TUNABLES changes the code that the C library takes"]
    return []
