"""Data sets that several test modules share: simulated and processed once per test run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
ROWS = 1280


def run(*words: object, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a console script of the package and return what it printed."""
    command = [str(BIN / str(words[0])), *(str(word) for word in words[1:])]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


@dataclass(frozen=True)
class Guide:
    """The user guide, played on a cut-out frame: where everything is and what was printed."""

    root: Path
    ingest_log: str
    process: subprocess.CompletedProcess[str]

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def raw(self) -> Path:
        return self.root / "sim" / "raw" / "HSCA04098410.fits"


def mount(guide: Guide, repository: Path) -> None:
    """Make an input repository with the guide's calibrations and reference catalogue."""
    sim = guide.root / "sim"
    run("hscbox", "mount", repository, "--calib", sim / "CALIB", "--ref-cats", sim / "ref_cats")


def play_guide(root: Path) -> Guide:
    """Simulate, mount, ingest and process the guide's frame, cut to fewer rows, with the guide's own words."""
    run("hscbox", "simulate", root / "sim", "--rows", ROWS)
    run("hscbox", "mount", "input", "--calib", root / "sim/CALIB", "--ref-cats", root / "sim/ref_cats", cwd=root)
    ingest = run("ingestImages.py", "input", root / "sim/raw/HSCA04098410.fits", cwd=root)
    process = run("processCcd.py", "input", "--output", "output", "--id", "visit=40984", "ccd=55", cwd=root)
    return Guide(root, ingest.stderr, process)


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
