from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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
