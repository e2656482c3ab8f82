"""The user guide, played by the installed commands on a cut-out frame, for the tests that look at its results."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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
