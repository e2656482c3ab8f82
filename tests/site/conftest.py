"""A small repository of links, made by hand: no frame in it is real, and no check may open one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

FILTER_DIRECTORY = "SSP_UDEEP_SXDS/2015-10-10/01378/HSC-R"


@dataclass(frozen=True)
class Place:
    """The work directory with the repository `input`, and the disk that its links lead to."""

    work: Path
    disk: Path

    @property
    def input(self) -> Path:
        return self.work / "input"

    @property
    def raw_link(self) -> Path:
        return self.input / FILTER_DIRECTORY / "HSC-0040984-055.fits"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    result = Place(tmp_path / "my work", tmp_path / "données 1")
    for name in ("raw dir", "CALIB/BIAS/2015-10-10/NONE", "ref_cats/ps1"):
        (result.disk / name).mkdir(parents=True)
    result.raw_link.parent.mkdir(parents=True)
    (result.input / "_mapper").write_text("lsst.obs.hsc.HscMapper\n")
    (result.disk / "raw dir/HSCA04098410.fits").touch()
    result.raw_link.symlink_to(result.disk / "raw dir/HSCA04098410.fits")
    (result.input / "CALIB").symlink_to(result.disk / "CALIB")
    (result.input / "ref_cats").symlink_to("../../données 1/ref_cats")
    # The tables of the guide's registry, typed in.
    with sqlite3.connect(result.input / "registry.sqlite3") as registry:
        registry.execute(
            "CREATE TABLE raw (id integer primary key autoincrement, field text, visit int, ccd int, pointing int, "
            "filter text, dateObs text, taiObs text, expTime double, unique(visit,ccd))"
        )
        registry.execute(
            "INSERT INTO raw (field, visit, ccd, pointing, filter, dateObs, taiObs, expTime) VALUES "
            "('SSP_UDEEP_SXDS', 40984, 55, 1378, 'HSC-R', '2015-10-10', '2015-10-10', 300.0)"
        )
    with sqlite3.connect(result.disk / "CALIB/calibRegistry.sqlite3") as registry:
        registry.execute("CREATE TABLE bias (id integer)")
    return result
