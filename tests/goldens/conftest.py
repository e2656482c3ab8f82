"""One golden scene, made once per test run, and copies of it to be spoilt."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from hscbox.goldens.check import SceneCheck, Work, check_scene
from hscbox.goldens.golden import Golden, read_golden
from hscbox.goldens.places import golden_path, testdata_directory
from hscbox.goldens.runs import run_scene
from hscbox.goldens.scenes import SceneDefinition, read_scenes

SCENE = "crowded"


@pytest.fixture(scope="session")
def scene() -> SceneDefinition:
    return read_scenes(testdata_directory(), [SCENE])[0]


@pytest.fixture(scope="session")
def golden() -> Golden:
    return read_golden(golden_path(testdata_directory(), SCENE))


@pytest.fixture(scope="session")
def kept(scene: SceneDefinition, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a kept run; workers of one test run share it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "kept-scenes"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / SCENE / "run.json").exists():
            run_scene(scene, shared / SCENE)
    return shared


@pytest.fixture
def spoilt(kept: Path, tmp_path: Path) -> Path:
    """Return a copy of the kept run, free to be spoilt."""
    shutil.copytree(kept / SCENE, tmp_path / "kept" / SCENE, symlinks=True)
    return tmp_path / "kept"


@pytest.fixture
def output(spoilt: Path) -> Path:
    """Return the output repository of the copy."""
    return spoilt / SCENE / "output"


def check_again(scene: SceneDefinition, golden: Golden, directory: Path, reference: Path | None = None) -> SceneCheck:
    """Check what stands in `directory` without running anything."""
    return check_scene(scene, golden, Work(directory, again=True, reference=reference))
