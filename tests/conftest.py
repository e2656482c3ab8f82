"""Data sets that several test modules share: simulated and processed once per test run."""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before a test or fixture imports numpy)

# isort: split
import fcntl
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from played import Guide, mount, play_guide, run

pytest_plugins = ("fixtures.catalogs", "fixtures.exposures", "fixtures.headers")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Let no test leave its log handlers, bound to a stream that is closed by then, to the next one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let programs that a test starts be interrupted, also where the test run cannot be.

    A shell has what it puts into the background ignore SIGINT, and a program keeps what it inherits.
    """
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Guide:
    """Return the played guide; workers of one test run share it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "guide"
    with (shared.parent / "guide.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = shared / "record"
        if not record.exists():
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir(parents=True)
            played = play_guide(shared)
            (shared / "ingest.log").write_text(played.ingest_log)
            (shared / "stdout").write_text(played.process.stdout)
            (shared / "stderr").write_text(played.process.stderr)
            record.touch()
    process = subprocess.CompletedProcess([], 0, (shared / "stdout").read_text(), (shared / "stderr").read_text())
    return Guide(shared, (shared / "ingest.log").read_text(), process)


@pytest.fixture
def fresh_input(guide: Guide, tmp_path: Path) -> Path:
    """Return a new input repository with the guide's frame ingested, free to be spoilt."""
    mount(guide, tmp_path / "input")
    run("hscbox", "ingest-images", tmp_path / "input", guide.raw)
    return tmp_path / "input"
