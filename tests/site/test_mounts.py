"""Is a dangling link's target gone, or only not mounted?"""

from __future__ import annotations

from pathlib import Path

import pytest

from hscbox.errors import NotMountedError
from hscbox.machine import mounts
from hscbox.machine.mounts import bind_flags, container_engine, dangling, missing_link_error, mount_points

TABLE = r"""22 1 0:20 / / rw,relatime - overlay overlay rw
23 22 0:21 / /proc rw - proc proc rw
24 22 8:1 /x /sps/my\040data rw shared:1 master:2 - ext4 /dev/sda1 rw
25 22 0:30 / /tmp rw - tmpfs tmpfs rw
broken line
"""


def test_mount_table_is_read_with_its_escapes_and_optional_fields():
    assert mount_points(TABLE) == {"/": "overlay", "/proc": "proc", "/sps/my data": "ext4", "/tmp": "tmpfs"}


@pytest.mark.parametrize(
    ("environment", "file", "engine"),
    [
        ({"APPTAINER_NAME": "h.sif"}, None, "apptainer"),
        ({"SINGULARITY_NAME": "h.sif"}, None, "singularity"),
        ({"container": "podman"}, None, "podman"),
        ({}, "run/.containerenv", "podman"),
        ({}, ".dockerenv", "docker"),
        ({}, "image.json", "an unknown engine"),
        ({}, None, None),
    ],
)
def test_engine(tmp_path, environment, file, engine):
    if file:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert container_engine(environment, tmp_path, tmp_path / "image.json") == engine


def in_container(monkeypatch, engine="apptainer"):
    monkeypatch.setattr(mounts, "container_engine", lambda: engine)


def link_to(tmp_path: Path, target: object) -> Path:
    link = tmp_path / "CALIB"
    link.symlink_to(str(target))
    return link


def test_place_whose_top_is_missing_is_not_mounted(tmp_path, monkeypatch):
    in_container(monkeypatch)
    link = link_to(tmp_path, "/spsX/lsst/calib 1/20170105")
    found = dangling(link, points={"/": "overlay"})
    assert found is not None and not found.is_mounted and found.target == "/spsX/lsst/calib 1/20170105"
    error = missing_link_error(found)
    assert isinstance(error, NotMountedError) and error.exit_status == 4
    flag = "'/spsX/lsst/calib 1/20170105:/spsX/lsst/calib 1/20170105:ro'"
    for word in (str(link), "/spsX/lsst/calib 1/20170105", f"--bind {flag}", f"-v {flag}"):
        assert word in str(error)


def test_on_the_host_no_bind_is_asked_for(tmp_path, monkeypatch):
    in_container(monkeypatch, None)
    found = dangling(link_to(tmp_path, "/spsX/calib"), points={"/": "ext4"})
    assert found is not None and not found.is_mounted and "--bind" not in found.remedy


def test_place_on_a_bound_disk_is_gone(tmp_path, monkeypatch):
    in_container(monkeypatch)
    found = dangling(link_to(tmp_path, tmp_path / "gone"), points={"/": "overlay", str(tmp_path): "ext4"})
    assert found is not None and found.is_mounted and "does not exist" in found.problem
    assert "--bind" not in found.remedy


def test_place_beside_a_bound_directory_is_not_mounted(tmp_path, monkeypatch):
    in_container(monkeypatch, "podman")
    (tmp_path / "disk/bound").mkdir(parents=True)
    link = link_to(tmp_path, tmp_path / "disk/other")
    points = {"/": "overlay", "/tmp": "tmpfs", str(tmp_path / "disk/bound"): "ext4"}
    found = dangling(link, points=points)
    assert found is not None and not found.is_mounted


def test_the_directory_of_a_file_is_bound(tmp_path, monkeypatch):
    in_container(monkeypatch)
    link = tmp_path / "HSC-0040984-055.fits"
    link.symlink_to("/spsX/raw/HSCA04098410.fits")
    found = dangling(link, points={})
    assert found is not None and found.bind == Path("/spsX/raw")


def test_links_in_a_row_are_followed_to_the_missing_end(tmp_path, monkeypatch):
    in_container(monkeypatch)
    (tmp_path / "first").symlink_to("/spsX/end")
    found = dangling(link_to(tmp_path, "first"), points={})
    assert found is not None and found.missing == Path("/spsX/end") and "(that is /spsX/end)" in found.problem


def test_sound_links_and_files_are_no_problem(tmp_path):
    (tmp_path / "file").touch()
    assert dangling(tmp_path / "file") is None and dangling(link_to(tmp_path, "file")) is None


def test_flags():
    assert bind_flags(Path("/sps/a"))[0] == "--bind /sps/a:/sps/a:ro"
    assert bind_flags(Path("/sps/a"), read_only=False) == ("--bind /sps/a", "-v /sps/a:/sps/a")
