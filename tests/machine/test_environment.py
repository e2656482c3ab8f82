from __future__ import annotations

import ast
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hscbox.machine.dispatch import dispatch_state
from hscbox.machine.environment import cpu_flags

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CODE = """
import resource
from hscbox.machine.environment import keep_freed_memory
import numpy as np
keep_freed_memory()
def faults():
    for _ in range(30):
        np.ones(10_000_000, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = faults()
print(faults() - first)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_freed_memory_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    # Pages fetched anew would be 20 faults an array, even if they are huge ones of 2 MiB.
    assert int(done.stdout) < 100


@pytest.mark.skipif("avx2" not in cpu_flags(), reason="only processors with AVX2 are pinned")
def test_the_tests_themselves_run_on_the_pinned_code_paths() -> None:
    assert dispatch_state().problems == ()


@pytest.mark.parametrize(
    "script", [path for path in sorted(BENCHMARKS.glob("*.py")) if "__main__" in path.read_text()], ids=lambda p: p.stem
)
def test_scripts_import_hscbox_before_anything_that_could_import_numpy(script: Path) -> None:
    imports = [node for node in ast.parse(script.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    # The script that tries mutants runs hscbox in processes of their own only.
    plain = {*sys.stdlib_module_names, "mutations"}
    assert next((name for name in names if name.partition(".")[0] not in plain), "hscbox") == "hscbox"
