"""Whatever the environment asks for, products have the same bytes or the run does not claim that they have."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hscbox.goldens.products import digests, list_files
from hscbox.machine import dispatch
from hscbox.machine import environment as _environment
from hscbox.products.boost import read_boost

from .conftest import SCENE

AVX2 = "avx2" in _environment.cpu_flags()
FOREIGN = {
    "newer": {"OPENBLAS_CORETYPE": "SKYLAKEX", "NPY_DISABLE_CPU_FEATURES": "", "OPENBLAS_NUM_THREADS": "2"},
    "older": {
        "OPENBLAS_CORETYPE": "PRESCOTT",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "+sse2",
    },
    "names of older numpy": {"OPENBLAS_CORETYPE": "", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F"},
}


def process(kept: Path, output: Path, environment: dict[str, str]) -> tuple[dict[str, str], dict[str, Any], str]:
    """Process the kept scene under an environment; return digests of the products, dispatch record and log."""
    clean = {name: value for name, value in os.environ.items() if name not in _environment.PINNED}
    words = ["process-ccd", "input", "--output", str(output), "--id", "visit=40986", "ccd=55"]
    done = subprocess.run(
        [sys.executable, "-m", "hscbox", *words],
        cwd=kept / SCENE, env={**clean, **environment}, capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    record = read_boost(next(output.glob("*/*/processCcd_metadata/*.boost"))).items["processCcd.provenance"][0]
    return products(output), json.loads(str(record))["dispatch"], done.stderr


def products(output: Path) -> dict[str, str]:
    # This one file holds the relative path to the input repository.
    return {name: digest for name, digest in digests(output, list_files(output)).items() if "repositoryCfg" not in name}


@pytest.mark.parametrize("level", FOREIGN)
def test_settings_from_outside_change_nothing(kept: Path, tmp_path: Path, level: str) -> None:
    found, state, log = process(kept, tmp_path / "output", FOREIGN[level])
    if AVX2:
        assert found == products(kept / SCENE / "output")
        assert state["bitwise"] and "Results may differ" not in log
    else:
        assert not state["bitwise"] and "Results may differ" in log


def test_libraries_loaded_before_are_noticed(kept: Path, tmp_path: Path) -> None:
    """A start-up file of Python loads numpy with foreign settings before hscbox can pin any."""
    (tmp_path / "sitecustomize.py").write_text("import numpy\n")
    environment = {**FOREIGN["older"], "PYTHONPATH": str(tmp_path)}
    environment = {name: value for name, value in environment.items() if not name.startswith("NUMBA")}
    _, state, log = process(kept, tmp_path / "output", environment)
    assert not state["bitwise"]
    assert "numpy does not use AVX2" in state["problems"]
    assert any("OpenBLAS runs its code for" in problem for problem in state["problems"])
    assert "Results may differ from other machines in the last digits: numpy does not use AVX2" in log


def test_the_state_is_that_of_the_libraries() -> None:
    code = (
        "import hscbox.machine.dispatch as d; s = d.dispatch_state(); "
        "print(s.blas, s.numba_cpu, s.numpy_features, s.bitwise)"
    )
    foreign = {**os.environ, **FOREIGN["older"]}

    def ask(text: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", text], env=foreign, capture_output=True, text=True, check=True
        ).stdout

    if AVX2:
        assert ask(code) == "('Haswell', 'Haswell') haswell ('X86_V3',) True\n"
    late = ask("import numpy, scipy.linalg, numba.core.registry as r; r.cpu_target.target_context; " + code)
    assert late.endswith("() False\n") and "Haswell" not in late


def test_a_library_without_a_file_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    """As after an upgrade under a running program."""
    code = (
        "import ctypes, pathlib, shutil, sys, numpy\n"
        "copy = pathlib.Path(sys.argv[1])\n"
        "shutil.copy(next(pathlib.Path(numpy.__file__).parents[1].glob('numpy.libs/*openblas*')), copy)\n"
        "ctypes.CDLL(str(copy)); copy.unlink()\n"
        "from hscbox.machine.dispatch import dispatch_state\n"
        "print(*dispatch_state().problems, sep='\\n')\n"
    )
    copy = tmp_path / "libopenblas_old.so"
    done = subprocess.run([sys.executable, "-c", code, copy], capture_output=True, text=True, check=True)
    assert f"{copy} (deleted), which is loaded, cannot be asked" in done.stdout.splitlines()


def test_a_processor_without_avx2_is_not_given_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_environment, "is_x86_64", lambda: True)
    monkeypatch.setattr(_environment, "cpu_flags", lambda: frozenset({"sse4_2", "avx"}))
    for name in _environment.PINNED:
        monkeypatch.setenv(name, "foreign")
    _environment.pin()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert "OPENBLAS_CORETYPE" not in os.environ
    assert "NUMBA_CPU_NAME" not in os.environ


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("fpu sse2", "x86-64-v1"),
        ("cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx", "x86-64-v2"),
        ("cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave", "x86-64-v3"),
        ("avx512f avx512bw avx512cd avx512dq avx512vl", "x86-64-v1"),
    ],
)
def test_levels_of_processors(monkeypatch: pytest.MonkeyPatch, flags: str, level: str) -> None:
    monkeypatch.setattr(dispatch, "is_x86_64", lambda: True)
    monkeypatch.setattr(dispatch, "cpu_flags", lambda: frozenset(flags.split()))
    assert dispatch.cpu_level() == level
    if level != "x86-64-v3":
        assert f"the processor is {level}, without AVX2" in dispatch.dispatch_state().problems


def test_flags_are_read_from_the_first_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("model name\t: x\nflags\t\t: fpu avx2\n\nflags\t\t: other\n")
    assert _environment.cpu_flags(tmp_path / "cpuinfo") == {"fpu", "avx2"}
    assert _environment.cpu_flags(tmp_path / "absent") == frozenset()


def test_another_kind_of_machine_never_claims_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "is_x86_64", lambda: False)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    state = dispatch.dispatch_state()
    assert state.cpu_level == "aarch64"
    assert state.problems == ("the recorded bytes are those of x86-64, not of aarch64",)


def test_tunables_of_the_c_library_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2")
    assert any("GLIBC_TUNABLES" in problem for problem in dispatch.dispatch_state().problems)


def test_warnings_name_each_problem(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from hscbox.pipeline import provenance

    state = dispatch.DispatchState("x86-64-v3", (), (), "haswell", ("this", "that"))
    monkeypatch.setattr(provenance, "dispatch_state", lambda: state)
    with caplog.at_level(logging.WARNING):
        assert not provenance.verify_dispatch(logging.getLogger("test")).bitwise
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["this", "that"]
