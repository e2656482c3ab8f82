"""The floor of quality on full-size frames of other CCDs and bands; minutes long."""

from __future__ import annotations

from pathlib import Path

import pytest
from played import run

FRAMES = {
    "guide": (),
    "dead amplifier": ("--ccd", 0),
    "amplifier glow": ("--ccd", 33),
    "corner, mirrored in y": ("--ccd", 100),
    "g": ("--filter", "HSC-G"),
    "i": ("--filter", "HSC-I"),
    "z": ("--filter", "HSC-Z"),
    "y with fringes": ("--filter", "HSC-Y"),
}


@pytest.mark.slow
@pytest.mark.parametrize("options", FRAMES.values(), ids=FRAMES.keys())
def test_floor(options: tuple[object, ...], tmp_path: Path) -> None:
    run("hscbox", "simulate", "sim", *options, cwd=tmp_path)
    run("hscbox", "mount", "input", "--calib", "sim/CALIB", "--ref-cats", "sim/ref_cats", cwd=tmp_path)
    run("hscbox", "ingest-images", "input", "sim/raw", cwd=tmp_path)
    run("hscbox", "process-ccd", "input", "--output", "output", "--id", cwd=tmp_path)
    done = run("hscbox", "validate", "output", "--truth", "sim/truth", cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
