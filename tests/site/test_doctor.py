"""The doctor's checks, one by one, and the fast subset before a run."""

from __future__ import annotations

import errno
import json
import logging
import os
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from played import run

from hscbox.butler import repository as repository_module
from hscbox.errors import MissingInputError, NotMountedError, OutputError, TemporaryError
from hscbox.machine import mounts
from hscbox.machine.image import image_identity
from hscbox.runs.arguments import ProcessCcdArguments
from hscbox.site import links
from hscbox.site.doctor import locks as locks_module
from hscbox.site.doctor import machine as machine_module
from hscbox.site.doctor import quick as quick_module
from hscbox.site.doctor import resources as resources_module
from hscbox.site.doctor.checks import CHECKS, run_checks
from hscbox.site.doctor.links import check_links
from hscbox.site.doctor.locks import check_locks, probe_directory
from hscbox.site.doctor.quick import preflight, quick_check
from hscbox.site.doctor.records import check_records
from hscbox.site.doctor.resources import available_memory, check_memory, check_space
from hscbox.site.doctor.temporaries import check_temporaries, is_temporary_name
from hscbox.site.finding import Context, Finding, State, exit_status

IDS = [{"visit": 40984, "ccd": 55}]


def states(findings) -> list[str]:
    return [finding.state.value for finding in findings]


# ------------------------------------------------------------------------------------------------ links


def test_good_repository_passes_every_check(place):
    findings = list(run_checks(Context(place.input, place.work / "out")))
    assert exit_status(findings) == 0, findings
    assert {"links", "locks", "space", "memory", "versions", "processor", "image"} <= {f.check for f in findings}
    assert len(CHECKS) >= 10


def test_missing_disk_gives_one_bind_for_each_place(place, monkeypatch):
    monkeypatch.setattr(mounts, "container_engine", lambda: "apptainer")
    for link, target in ((place.input / "CALIB", "/spsX/calib"), (place.raw_link, "/spsX/raw/a.fits")):
        link.unlink()
        link.symlink_to(target)
    (place.raw_link.parent / "HSC-0040984-056.fits").symlink_to("/spsX/raw/b.fits")
    findings = list(check_links(Context(place.input)))
    text = "\n".join(f"{f.what} {f.remedy}" for f in findings)
    assert "--bind /spsX/calib:/spsX/calib:ro" in text and "-v /spsX/raw:/spsX/raw:ro" in text
    assert "and 1 more links there" in text and "4 links followed" in text
    assert exit_status(findings) == 2


def test_links_are_sampled_and_raw_directories_never_listed(place, monkeypatch):
    listed: list[str] = []
    real = os.scandir

    def scandir(path):
        listed.append(os.fspath(path))
        return real(path)

    for ccd in range(104):
        link = place.raw_link.with_name(f"HSC-0041000-{ccd:03d}.fits")
        link.symlink_to(place.disk / "raw dir/HSCA04098410.fits")
    monkeypatch.setattr(links.os, "scandir", scandir)
    found = links.survey(place.input)
    assert found.looked == 2 + links.LINKS_PER_DIRECTORY
    assert str(place.disk / "raw dir") not in listed
    assert place.disk / "raw dir" in found.targets


def test_many_directories_are_sampled_over_the_whole_tree(place, monkeypatch):
    monkeypatch.setattr(links, "MOST_DIRECTORIES", 5)
    for pointing in range(20):
        (place.input / f"F/2015-10-10/{pointing:05d}/HSC-G").mkdir(parents=True)
    found = links.survey(place.input)
    assert found.directories <= 5 < 20 < found.all_directories


# ------------------------------------------------------------------------------------------------ locks


def test_locks_are_granted_and_nothing_is_left(tmp_path):
    assert probe_directory(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_locks_that_let_others_in_are_found(tmp_path, place, monkeypatch):
    assert "same exclusive lock" in probe_directory(tmp_path, lambda probe: True)
    monkeypatch.setattr(locks_module, "_other_process_gets_in", lambda probe: True)
    findings = list(check_locks(Context(place.input)))
    assert states(findings) == ["FAIL"] and exit_status(findings) == 75


def test_locks_that_are_refused_are_found(place, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks_module.fcntl, "lockf", refuse)
    assert "No locks available" in probe_directory(place.input)
    findings = list(check_locks(Context(place.input)))
    assert states(findings) == ["FAIL"] and "for reading" in findings[0].what and exit_status(findings) == 75


def test_read_only_place_is_fine_for_reading(place, monkeypatch):
    monkeypatch.setattr(locks_module.os, "access", lambda *_: False)
    findings = list(check_locks(Context(place.input)))
    assert states(findings) == ["ok"] and "read-only" in findings[0].what


# ------------------------------------------------------------------------------------------------ temporaries


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".CORR-0040984-055-ab3_9xyz.fits", True),
        (".packages-0a1b2c3d.pickle", True),
        (".HSC-0040984-055.fits-12345", True),
        (".hscbox-lock-abcdefgh.sqlite3", True),
        ("CORR-0040984-055.fits", False),
        (".bashrc", False),
        (".gitignore", False),
        ("..", False),
        (".processCcd-0a1b2c3d.py", True),
        (".packages-0a1b2c3d.pickle~1", True),
        (".HSC-0040984-055.fits.gz-ab3_9xyz", True),
        (".notes-20240101", False),
        (".backup-2024", False),
        (".my-fileabcd", False),
        (".script-20240101.py", False),
    ],
)
def test_names_of_temporaries(name, expected):
    assert is_temporary_name(name) is expected


def test_real_temporaries_of_the_writer_are_recognised(tmp_path):
    from hscbox.machine.files import atomic_path

    with atomic_path(tmp_path / "CORR-0040984-055.fits") as temporary:
        assert is_temporary_name(temporary.name)
        temporary.touch()


def test_records_of_runs_are_looked_at_beside_the_output(place, monkeypatch):
    output = place.work / "output"
    assert states(check_records(Context(output))) == []
    assert [f.what for f in check_records(Context(output=output))] == [f"{place.work}/output.runs: 0 runs"]
    run_place = place.work / "output.runs/20261129T000000.000000Z-host-1"
    run_place.mkdir(parents=True)
    output.mkdir()
    assert "1 runs" in next(check_records(Context(output))).what
    left = run_place / ".0040984-055-0123abcd.json"
    left.touch()
    os.utime(left, (time.time() - 7200,) * 2)
    assert str(left) in next(check_temporaries(Context(output))).remedy
    monkeypatch.setattr(os, "access", lambda *_: False)
    (finding,) = check_records(Context(output=output))
    assert finding.state is State.WARN and "output.runs" in finding.remedy
    assert states(check_records(Context(output))) == ["ok"]


def test_old_temporaries_are_told_with_the_command_that_clears_them(place):
    corr = place.work / "output/01378/HSC-R/corr"
    corr.mkdir(parents=True)
    old, young = corr / ".CORR-0040984-055-ab3_9xyz.fits", corr / ".CORR-0040984-055-zzzzzzzz.fits"
    for path in (old, young):
        path.write_bytes(b"x" * 1000)
    os.utime(old, (time.time() - 7200,) * 2)
    findings = list(check_temporaries(Context(place.work / "output")))
    assert states(findings) == ["warn"]
    assert f"rm '{old}'" in findings[0].remedy and young.name not in findings[0].remedy
    assert exit_status(findings) == 0


def test_last_copy_of_a_raw_frame_is_to_be_put_back_not_removed(place):
    corr = place.work / "output/01378/HSC-R/corr"
    corr.mkdir(parents=True)
    lost, replaced = corr / ".HSC-0040984-055.fits-12345", corr / ".HSC-0040984-056.fits-12345"
    (corr / "HSC-0040984-056.fits").touch()
    for path in (lost, replaced):
        path.touch()
        os.utime(path, (1, 1))
    last, useless = check_temporaries(Context(place.work / "output"))
    assert last.remedy == f"When no run is going on: mv '{lost}' '{corr}/HSC-0040984-055.fits'"
    assert useless.remedy == f"When no run is going on: rm '{replaced}'"


def test_a_command_is_whole_however_many_there_are(place):
    corr = place.work / "output/01378/HSC-R/corr"
    corr.mkdir(parents=True)
    for number in range(7):
        path = corr / f".CORR-0040984-055-{number:08d}.fits"
        path.touch()
        os.utime(path, (1, 1))
    (finding,) = check_temporaries(Context(place.work / "output"))
    command, _, rest = finding.remedy.partition("; ")
    assert command.count(".CORR") == 5 and "..." not in finding.remedy
    assert rest == "then hscbox doctor again, for 2 more"


def test_rooms_of_killed_builds_are_found(place):
    (place.input / "ref_cats").unlink()
    rooms = [place.input / f"ref_cats/.ps1.building-{name}" for name in ("ab3_9xyz", "12345", "atwork00")]
    for room in rooms:
        (room / "ps1").mkdir(parents=True)
        for path in (room, room / "ps1"):
            os.utime(path, (1, 1))
    os.utime(rooms[2] / "ps1")
    (finding,) = check_temporaries(Context(place.input))
    assert finding.remedy == f"When no run is going on: rm -r '{rooms[1]}' '{rooms[0]}'"


def test_journal_is_never_to_be_removed(place, monkeypatch):
    (place.input / "registry.sqlite3-journal").touch()
    first = next(iter(check_temporaries(Context(place.input))))
    assert first.state is State.WARN and "Never remove it" in first.remedy
    monkeypatch.setattr(os, "access", lambda *_: False)
    first = next(iter(check_temporaries(Context(place.input))))
    assert first.state is State.FAIL and "hscbox query" in first.remedy


# ------------------------------------------------------------------------------------------------ space, memory


def test_space_is_held_against_the_number_of_ccds(tmp_path, monkeypatch):
    monkeypatch.setattr(resources_module, "free_bytes", lambda place: (1_000_000_000, None))
    assert states(check_space(Context(output=tmp_path, ccds=8))) == ["ok"]
    findings = list(check_space(Context(output=tmp_path, ccds=9)))
    assert states(findings) == ["FAIL"] and exit_status(findings) == 75 and "1080 MB needed" in findings[0].what


def test_memory_of_the_control_group_counts(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable:    8000000 kB\n")
    assert available_memory(tmp_path) == (8_192_000_000, "the machine")
    (tmp_path / "proc/self/cgroup").write_text("0::/job/step\n")
    group = tmp_path / "sys/fs/cgroup/job"
    (group / "step").mkdir(parents=True)
    (group / "memory.max").write_text("2000000000\n")
    (group / "memory.current").write_text("900000000\n")
    (group / "memory.stat").write_text("anon 500000000\ninactive_file 400000000\n")
    assert available_memory(tmp_path) == (1_500_000_000, "the control group")


@pytest.mark.parametrize(("left", "processes", "state"), [(1.6e9, 2, "ok"), (1.6e9, 4, "warn"), (7e8, 1, "FAIL")])
def test_memory_is_held_against_the_number_of_processes(monkeypatch, left, processes, state):
    monkeypatch.setattr(resources_module, "available_memory", lambda: (int(left), "the machine"))
    findings = list(check_memory(Context(processes=processes)))
    assert states(findings) == [state]
    assert state != "warn" or findings[0].remedy == "Use -j 2"


# ------------------------------------------------------------------------------------------------ the rest


def test_status_of_mixed_findings():
    wrong, busy = Finding("a", State.FAIL, ""), Finding("b", State.FAIL, "", temporary=True)
    assert [exit_status(f) for f in ([], [busy], [busy, wrong], [Finding("c", State.WARN, "")])] == [0, 75, 2, 0]


def test_identity_of_the_image(tmp_path):
    assert image_identity(tmp_path) == {}
    (tmp_path / "share/hscbox").mkdir(parents=True)
    (tmp_path / "share/hscbox/image.json").write_text('{"name": "hscbox", "revision": "abc"}')
    assert image_identity(tmp_path) == {"name": "hscbox", "revision": "abc"}


@pytest.mark.parametrize(
    ("identity", "engine", "said"),
    [
        ({}, None, "not an image"),
        ({}, "docker", "not an image of hscbox; marks of docker are here"),
        ({"name": "hscbox"}, "docker", "name hscbox; run by docker"),
    ],
)
def test_an_engine_is_only_named_where_it_is_known(monkeypatch, identity, engine, said):
    monkeypatch.setattr(machine_module, "image_identity", lambda: identity)
    monkeypatch.setattr(machine_module, "container_engine", lambda: engine)
    assert [finding.what for finding in machine_module.check_image(Context())] == [said]


def test_command_writes_json_and_exits_with_the_status(place):
    (place.input / "ref_cats").unlink()
    (place.input / "ref_cats").symlink_to("/spsX/refcats")
    done = run("hscbox", "doctor", place.input, "--json", place.work / "d.json", "--site", "local", check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    content = json.loads((place.work / "d.json").read_text())
    assert content["exitStatus"] == 2
    assert any(f["state"] == "FAIL" and "/spsX/refcats" in f["what"] for f in content["findings"])


def test_no_such_repository(tmp_path):
    findings = list(run_checks(Context(tmp_path / "nothing")))
    assert exit_status(findings) == 2


# ------------------------------------------------------------------------------------------------ before a run


def test_quick_check_lists_no_directory(place, monkeypatch):
    """What makes it slow on a large or remote disk is listing, so that it must do without."""

    def refuse(*_):
        raise AssertionError("a directory is listed")

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refuse)
    quick_check(place.input, place.work / "out", ids=IDS)


@pytest.mark.parametrize("name", ["CALIB", "ref_cats", "raw"])
def test_quick_check_stops_with_link_target_and_flag(place, monkeypatch, name):
    monkeypatch.setattr(mounts, "container_engine", lambda: "apptainer")
    link = place.raw_link if name == "raw" else place.input / name
    link.unlink()
    link.symlink_to(f"/spsX/{name}/x.fits" if name == "raw" else f"/spsX/{name}")
    with pytest.raises(NotMountedError) as caught:
        quick_check(place.input, place.work / "out", ids=IDS)
    for word in (str(link), f"/spsX/{name}", f"--bind /spsX/{name}:/spsX/{name}:ro"):
        assert word in str(caught.value)


def test_quick_check_follows_parents(place, monkeypatch):
    monkeypatch.setattr(mounts, "container_engine", lambda: "podman")
    output = place.work / "output"
    output.mkdir()
    (output / "repositoryCfg.yaml").write_text(
        "!RepositoryCfg_v1\n_mapper: &id001 !!python/name:lsst.obs.hsc.hscMapper.HscMapper ''\n_mapperArgs: {}\n"
        "_parents: [../input]\n_policy: null\n_root: null\ndirty: true\n"
    )
    quick_check(output, None)
    (place.input / "ref_cats").unlink()
    (place.input / "ref_cats").symlink_to("/spsX/refcats")
    with pytest.raises(NotMountedError, match="/spsX/refcats"):
        quick_check(output, None)


def test_one_lost_raw_of_several_does_not_stop_the_others(place):
    with sqlite3.connect(place.input / "registry.sqlite3") as registry:
        registry.execute(
            "INSERT INTO raw (field, visit, ccd, pointing, filter, dateObs, taiObs, expTime) VALUES "
            "('SSP_UDEEP_SXDS', 40984, 56, 1378, 'HSC-R', '2015-10-10', '2015-10-10', 300.0)"
        )
    place.raw_link.with_name("HSC-0040984-056.fits").symlink_to(place.disk / "raw dir/lost.fits")
    quick_check(place.input, None, ids=[{"visit": 40984}])
    with pytest.raises(MissingInputError, match=r"lost\.fits"):
        quick_check(place.input, None, ids=[{"visit": 40984, "ccd": 56}])


def test_a_raw_that_one_of_the_repositories_has_is_not_lost(place):
    """The link of the rerun dangles, the one of its parent does not; of the other raw it is the other way round."""
    output = place.work / "output"
    (output / place.raw_link.parent.relative_to(place.input)).mkdir(parents=True)
    (output / "repositoryCfg.yaml").write_text(
        "!RepositoryCfg_v1\n_mapper: &id001 !!python/name:lsst.obs.hsc.hscMapper.HscMapper ''\n_mapperArgs: {}\n"
        "_parents: [../input]\n_policy: null\n_root: null\ndirty: true\n"
    )
    link = output / place.raw_link.relative_to(place.input)
    link.symlink_to(place.disk / "raw dir/lost.fits")
    quick_check(output, None, ids=IDS)
    place.raw_link.unlink()
    place.raw_link.symlink_to(place.disk / "raw dir/lost.fits")
    with pytest.raises(MissingInputError, match=r"lost\.fits"):
        quick_check(output, None, ids=IDS)


def test_registries_are_closed_whatever_happens(place, monkeypatch):
    closed = []
    monkeypatch.setattr(quick_module.Lookup, "exposures", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("hscbox.butler.registry.Registry.close", lambda registry: closed.append(registry))
    with pytest.raises(ZeroDivisionError):
        quick_check(place.input, None, ids=IDS)
    assert len(closed) == 1


def test_needless_links_may_dangle(place):
    (place.input / "CALIB").unlink()
    (place.input / "CALIB").symlink_to("/spsX/calib")
    quick_check(place.input, None, calib=place.disk / "CALIB", ids=IDS)
    ids = [["visit=40984", "ccd=55"]]
    root, out = str(place.input), str(place.work / "out")
    preflight(ProcessCcdArguments(root, out, ids=ids, overrides=[("-c", "isr.doBias=False")]))
    preflight(ProcessCcdArguments(root, out, ids=ids, overrides=[("-C", "my.py")]))
    preflight(ProcessCcdArguments(root, ids=ids, show=["config"]))
    with pytest.raises(NotMountedError):
        preflight(ProcessCcdArguments(root, out, ids=ids, show=["config", "run"]))
    with pytest.raises(NotMountedError):
        preflight(ProcessCcdArguments(root, rerun="test", ids=ids))


def test_full_disk_and_small_memory_stop_the_run(place, monkeypatch, caplog):
    out = place.work / "out"
    monkeypatch.setattr(quick_module, "free_bytes", lambda path: (200_000_000, None))
    with caplog.at_level(logging.WARNING):
        quick_check(place.input, out, ids=IDS * 3)
    assert "has space for 1 CCDs; 3 are wanted" in caplog.text
    monkeypatch.setattr(quick_module, "free_bytes", lambda path: (100_000_000, None))
    with pytest.raises(TemporaryError, match="100 MB of free space"):
        quick_check(place.input, out)
    monkeypatch.setattr(quick_module, "available_memory", lambda: (200_000_000, "the control group"))
    with pytest.raises(TemporaryError, match="control group"):
        quick_check(place.input, None)


def test_output_that_cannot_be_written_stops_the_run(place, monkeypatch):
    monkeypatch.setattr(quick_module.os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="not writable"):
        quick_check(place.input, place.work / "out")


@pytest.mark.parametrize("command", [("hscbox", "process-ccd"), ("processCcd.py",)])
def test_both_commands_stop_early(place, command):
    (place.input / "CALIB").unlink()
    (place.input / "CALIB").symlink_to("/spsX/calib")
    output = place.work / "output"
    done: subprocess.CompletedProcess[str] = run(
        *command, place.input, "--output", output, "--id", "visit=40984", "ccd=55", check=False
    )
    assert done.returncode == 4 and not output.exists()
    assert f"{place.input / 'CALIB'} is a symbolic link to /spsX/calib" in done.stderr
    assert done.stderr.count("hscbox: error") == 1 and "Traceback" not in done.stderr


def test_mount_takes_the_directories_of_a_site(tmp_path):
    run("hscbox", "mount", tmp_path / "input", "--site", "ccin2p3", "--calib", tmp_path)
    assert (tmp_path / "input/CALIB").readlink() == tmp_path
    assert (tmp_path / "input/ref_cats").readlink() == Path("/sps/lsst/data/refcats/htm/htm_baseline")
    assert repository_module.find_mapper(tmp_path / "input") == "lsst.obs.hsc.HscMapper"
    done = run("hscbox", "mount", tmp_path / "other", "--site", "local", check=False)
    assert done.returncode == 2 and "repository.calib" in done.stderr and not (tmp_path / "other").exists()
