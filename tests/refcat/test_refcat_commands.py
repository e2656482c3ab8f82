from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from played import BIN, run
from tap_server import CONE, TapTable

from hscbox.butler.mount import mount
from hscbox.cli import guarded
from hscbox.cli.app import app
from hscbox.errors import DamagedInputError, UnknownDataIdError
from hscbox.refcat import footprint
from hscbox.refcat.sky import Cone, trixels_of

_CONE = f"{CONE.ra},{CONE.dec},{CONE.radius}"


def call(*words: object) -> int:
    """Run the command in this process and return its status."""

    def command() -> int:
        app([str(word) for word in words], standalone_mode=False)
        return 0

    return guarded(command)


@pytest.mark.usefixtures("interruptible")
def test_fetch_interrupted_and_continued(knows: TapTable, service: str, tmp_path: Path) -> None:
    words = ("refcat", "fetch", "--name", "gaia", "--output", tmp_path, "--map", "gaia_dr3", "--cone", _CONE)
    words = (*words, "--url", service)
    knows.faults = deque(["", "stall"])
    process = subprocess.Popen(
        [str(BIN / "hscbox"), *(str(word) for word in words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    partial = tmp_path / ".gaia.fetch" / f"{trixels_of(CONE, 7)[1]}.part"
    end = time.monotonic() + 60
    while time.monotonic() < end and not (partial.exists() and partial.stat().st_size):
        time.sleep(0.02)
    # The first bytes are on disk; give the rest of what was sent a moment.
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "1 of 4 parts are complete" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "gaia").exists()
    done = run("hscbox", *words)
    assert "4 parts: 3 downloaded, 1 complete from an earlier call" in done.stdout
    # The part that was under way went on where it was.
    assert [seen.range is not None for seen in knows.seen] == [False, False, True, False, False]
    assert knows.seen[2].status == 206


def test_exit_statuses(
    knows: TapTable, service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hscbox.refcat.download.time.sleep", lambda seconds: None)
    words = ("refcat", "fetch", "--name", "gaia", "--output", tmp_path, "--map", "gaia_dr3")
    assert call(*words) == 2
    assert "There is no region" in capsys.readouterr().err
    assert call(*words, "--repo", tmp_path) == 2
    assert call(*words, "--cone", "1,2") == 2
    knows.faults = deque(["refused", "portal"])
    assert call(*words, "--cone", _CONE, "--url", service) == 2
    assert call(*words, "--cone", _CONE, "--url", service) == 4
    assert call(*words, "--cone", _CONE, "--url", service) == 0
    printed = capsys.readouterr().out
    assert "parts: " in printed
    assert "objects in 4 shards" in printed
    assert call(*words, "--cone", _CONE, "--url", service) == 2
    assert "never overwritten" in capsys.readouterr().err


def test_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from hscbox.refcat import fetch as module
    from hscbox.refcat.patience import Patience

    monkeypatch.setattr(module, "Patience", lambda: Patience(attempts=2, first_wait=0.01))
    words = ("refcat", "fetch", "--name", "gaia", "--output", tmp_path, "--map", "gaia_dr3", "--cone", _CONE)
    assert call(*words, "--url", "http://127.0.0.1:9/tap") == 75
    assert "Check the network" in capsys.readouterr().err


def test_build(gaia_table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaia_table.write(tmp_path / "stars.csv", format="ascii.csv")
    words = ("refcat", "build", tmp_path / "stars.csv", "--name", "gaia", "--output", tmp_path / "ref_cats")
    assert call(*words) == 4
    assert "lacks objID" in capsys.readouterr().err
    assert call(*words, "--map", "gaia_dr3") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "1500 rows, 1500 kept"
    assert printed[-1].startswith(f"{tmp_path}/ref_cats/gaia: 1500 objects in ")


class _Pointing:
    def __init__(self, ra: float, dec: float) -> None:
        self.boresight_ra, self.boresight_dec = ra, dec


class _Frames:
    """Stands for a butler with visits 2 (ccds 1, 2) and 4 (ccd 3)."""

    def __init__(self, inputs: Path, quiet: bool) -> None:
        self.frames = [(2, 1), (2, 2), (4, 3)]

    def exposures(self, data_id: dict[str, int]) -> list[dict[str, int]]:
        found = [{"visit": v, "ccd": c} for v, c in self.frames if data_id.get("visit", v) == v]
        if not found:
            raise UnknownDataIdError("no such exposure")
        return found

    def get(self, name: str, visit: int, ccd: int) -> _Pointing:
        assert name == "raw_visitInfo"
        if ccd == 1:
            raise DamagedInputError("cut")
        return _Pointing(float("nan"), 0.0) if visit == 4 else _Pointing(34.5, -5.2)


def test_footprint_of_visits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(footprint, "Butler", _Frames)
    # A frame that cannot be read does not matter while another of the visit can.
    assert footprint.visit_cones(tmp_path, ["visit=2"]) == (Cone(34.5, -5.2, footprint.FIELD_RADIUS),)
    with pytest.raises(DamagedInputError, match="visit 4 ccd 3 has no pointing"):
        footprint.visit_cones(tmp_path, ["visit=2^4"])
    with pytest.raises(UnknownDataIdError):
        footprint.visit_cones(tmp_path, ["visit=6"])


def test_every_ccd_is_within_the_field() -> None:
    from hscbox.camera.camera import load_camera
    from hscbox.camera.distortion import pixel_to_sky
    from hscbox.catalog.htm import separation

    camera = load_camera()
    for ccd in range(104):
        detector = camera[ccd]
        x = np.array([-0.5, detector.width - 0.5, -0.5, detector.width - 0.5])
        y = np.array([-0.5, -0.5, detector.height - 0.5, detector.height - 0.5])
        ra, dec = pixel_to_sky(detector, x, y, 34.5, -5.2, 17.0)
        # A run loads a circle about the CCD that holds its corners and 300 pixels more.
        ra0, dec0 = pixel_to_sky(
            detector, np.array([detector.width / 2]), np.array([detector.height / 2]), 34.5, -5.2, 17.0
        )
        circle = separation(ra, dec, ra0[0], dec0[0]).max() + 1.4143 * 300 * 0.17 / 3600
        assert separation(ra0, dec0, 34.5, -5.2)[0] + circle < footprint.FIELD_RADIUS


def test_a_repository_without_that_visit(tmp_path: Path) -> None:
    mount(tmp_path / "input")
    assert call("refcat", "fetch", "--name", "g", "--output", tmp_path, "--map", "gaia_dr3", "--repo",
                tmp_path / "input", "--id", "visit=2") == 4  # fmt: skip
