"""The images under test, named by HSCBOX_OCI and HSCBOX_SIF, and a site's read-only tree for them.

HSCBOX_ENGINE chooses podman or docker; HSCBOX_AS_USER is a command that runs another as an ordinary user.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from played import run as run_installed

from container.engines import Apptainer, Call, Podman

ROWS = 512


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("container")


def _podman() -> Podman:
    image = os.environ.get("HSCBOX_OCI", "")
    engine = os.environ.get("HSCBOX_ENGINE") or "podman"
    if not image:
        pytest.skip("NOT TESTED, the OCI image: HSCBOX_OCI names none (make image, make container-test)")
    if shutil.which(engine) is None:
        pytest.skip(f"NOT TESTED, the OCI image: no {engine} on this machine")
    if subprocess.run([engine, "image", "inspect", image], capture_output=True, check=False).returncode:
        pytest.skip(f"NOT TESTED, the OCI image: {engine} has no image {image}")
    return Podman(engine, image)


def _apptainer() -> Apptainer:
    image = os.environ.get("HSCBOX_SIF", "")
    if not image:
        pytest.skip("NOT TESTED, the SIF: HSCBOX_SIF names none (make sif, make container-test)")
    if shutil.which("apptainer") is None:
        pytest.skip("NOT TESTED, the SIF: no apptainer on this machine")
    if not Path(image).exists():
        pytest.skip(f"NOT TESTED, the SIF: no file {image}")
    return Apptainer(str(Path(image).resolve()), tuple(shlex.split(os.environ.get("HSCBOX_AS_USER", ""))))


@pytest.fixture(scope="session")
def podman() -> Podman:
    return _podman()


@pytest.fixture(scope="session")
def apptainer() -> Apptainer:
    return _apptainer()


@pytest.fixture(scope="session", params=["oci", "sif"])
def engine(request: pytest.FixtureRequest) -> Podman | Apptainer:
    """Return each engine in its turn."""
    return _podman() if request.param == "oci" else _apptainer()


@pytest.fixture(scope="session")
def room() -> Iterator[Path]:
    """Return a directory that every user can enter, unlike pytest's own."""
    place = Path(tempfile.mkdtemp(prefix="hscbox-images-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def out(room: Path) -> Path:
    """Return a new directory that every user may write."""
    place = Path(tempfile.mkdtemp(dir=room))
    place.chmod(0o777)
    return place


@dataclass(frozen=True)
class Site:
    """A site's tree of raws, calibrations and catalogues, and what the installed program makes of it."""

    sps: Path
    products: Path

    @property
    def call(self) -> Call:
        return Call(readable={self.sps: "/sps"})


@pytest.fixture(scope="session")
def site(room: Path) -> Site:
    """Return a simulated site, processed by the program that pip installed here."""
    sps, work = room / "sps", room / "installed"
    work.mkdir()
    run_installed("hscbox", "simulate", sps, "--rows", ROWS)
    run_installed("hscbox", "mount", "input", "--calib", sps / "CALIB", "--ref-cats", sps / "ref_cats", cwd=work)
    run_installed("hscbox", "ingest-images", "input", sps / "raw/HSCA04098410.fits", cwd=work)
    run_installed("hscbox", "process-ccd", "input", "--output", "output", "--id", "visit=40984", "ccd=55", cwd=work)
    return Site(sps, work / "output")
