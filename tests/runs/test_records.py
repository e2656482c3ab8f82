"""Records of runs and CCDs: their form, where they are kept, and which of them count."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from hscbox.errors import ConfigError, DamagedInputError, MissingInputError, NoMatchError
from hscbox.machine import mounts
from hscbox.machine.batch import batch_job
from hscbox.machine.image import image_identity
from hscbox.pipeline.process_ccd import _interrupt
from hscbox.pipeline.record import CcdNumbers, CcdRecord, RunRecord, from_text, read_record, to_text
from hscbox.products.boost import write_boost
from hscbox.runs import execution, store
from hscbox.runs.execution import RunSetup, combined_status, run_ccds
from hscbox.runs.pool import Lost
from hscbox.runs.store import kept_run, newest_records, records_root
from hscbox.task_metadata import TaskMetadata

NUMBERS = CcdNumbers(1871.5, 24.4, 0.519, 26, 252, 139)


def record(ccd: int = 55, **changes: object) -> CcdRecord:
    begun = CcdRecord(data_id={"visit": 40984, "ccd": ccd, "filter": "HSC-R"}, numbers=NUMBERS)
    return replace(begun, **changes)  # type: ignore[arg-type]


def keep(output: Path, ccd: int, ended: str, **changes: object) -> None:
    """Keep a record in a run of its own that ended at a time."""
    place = records_root(output) / f"{ended}-{ccd}"
    place.mkdir(parents=True)
    store.write_record(place / f"0040984-{ccd:03d}.json", record(ccd, ended=ended, **changes))


def copy(output: Path, text: str, ccd: int = 55) -> None:
    metadata = TaskMetadata()
    metadata.set("processCcd.provenance", text)
    write_boost(output / f"01378/HSC-R/processCcd_metadata/0040984-{ccd:03d}.boost", metadata)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out/01378/HSC-R/processCcd_metadata").mkdir(parents=True)
    return tmp_path / "out"


# ---------------------------------------------------------------------------------------------------- the form
def test_what_is_written_is_read_back():
    full = record(
        started="2026-11-29T00:00:00+00:00",
        ended="2026-11-29T00:00:05+00:00",
        command=("hscbox", "process-ccd"),
        versions={"numpy": "2"},
        machine={"host": "a", "pid": 3},
        batch={"system": "slurm", "id": "7_1"},
        dispatch={"bitwise": True, "blas": ["Haswell"]},
        inputs={"raw": {"path": "/r.fits", "sha256": "ab"}},
        run="r",
        tries=2,
        cpu_seconds=3.5,
        wall_seconds=4.0,
        peak_memory_mib=414.0,
    )
    content = json.loads(to_text(full))
    assert content["schema"] == 1 and content["status"] == "done" and content["exitStatus"] == 0
    assert content["numbers"]["seeingArcsec"] == 0.519 and content["numbers"]["zeroPoint"] is None
    assert content["peakMemoryMiB"] == 414.0 and content["inputs"]["raw"]["sha256"] == "ab" and "error" not in content
    back = from_text(CcdRecord, to_text(full), "here")
    assert back == full and math.isnan(back.numbers.zero_point)
    failed = full.failed(NoMatchError("Unable", pairs=3))
    assert from_text(CcdRecord, to_text(failed), "here") == failed
    assert (failed.code, failed.status, failed.message, failed.numbers) == ("unable-to-match", 20, "Unable", None)
    run = RunRecord(run="r", missing=("visit=1 ccd=2",), new_output=True)
    assert from_text(RunRecord, to_text(run), "here") == run and run.status is None


def test_keys_of_the_future_are_left_out_and_what_is_no_record_is_named():
    later = {**json.loads(to_text(record())), "schema": 2, "weather": "fine"}
    assert from_text(CcdRecord, json.dumps(later), "here") == record()
    for text in ("[]", "{}", "{", '{"schema": 1}', "null"):
        with pytest.raises(DamagedInputError, match=r"in/a\.json"):
            from_text(CcdRecord, text, "in/a.json")


@pytest.mark.parametrize(
    ("statuses", "combined"),
    [((1, 20), 1), ((1, 75), 1), ((20, 4, 75), 20), ((4, 75), 4), ((75, 2), 75), ((2, 0), 2), ((0, 0), 0), ((), 0)],
)
def test_an_unexpected_error_wins(statuses, combined):
    assert combined_status([record(status=status) for status in statuses]) == combined


def test_an_interrupt_that_reached_a_compiled_loop_is_one():
    def wrapped(error: BaseException) -> BaseException:
        for _ in range(2):
            outer = SystemError("returned a result with an exception set")
            outer.__cause__ = error
            error = outer
        return error

    interrupt = KeyboardInterrupt()
    assert _interrupt(wrapped(interrupt)) is _interrupt(interrupt) is interrupt
    assert _interrupt(wrapped(ValueError())) is _interrupt(SystemError()) is _interrupt(ValueError()) is None


# ------------------------------------------------------------------------------------- where and which
def test_the_newest_record_counts_wherever_it_is(output):
    keep(output, 55, "2026-11-29T01", code="psf-fit")
    keep(output, 55, "2026-11-29T02")
    keep(output, 56, "2026-11-29T01")
    copy(output, to_text(record(ended="2026-11-29T01:30", code="stale")))
    assert [(r.data_id["ccd"], r.code) for r in newest_records(output)] == [(55, "done"), (56, "done")]
    # A run that could not keep records beside the output left its copies.
    copy(output, to_text(record(ended="2026-11-29T03", code="background")))
    assert [r.code for r in newest_records(output, {"visit": 40984, "ccd": 55})] == ["background"]
    assert newest_records(output, {"filter": "HSC-G"}) == newest_records(output, {"visit": 1}) == []
    # Through a link it is the same output.
    (output.parent / "link").symlink_to(output)
    assert newest_records(output.parent / "link/") == newest_records(output)
    with pytest.raises(MissingInputError):
        newest_records(output.parent / "none")


def test_records_of_an_output_that_is_no_more_are_history(output):
    keep(output, 55, "2020-11-29T01")
    with kept_run(output, RunRecord(run="", new_output=True)) as run:
        run.status = 0
    assert newest_records(output) == [] and len(list(records_root(output).glob("*/*.json"))) == 2
    keep(output, 55, "2999-11-29T01")
    assert [r.ended for r in newest_records(output)] == ["2999-11-29T01"]


def test_copies_from_before_the_records_are_read(output):
    """The keys are those that were written then."""
    old = {
        "dataId": {"visit": 40984, "ccd": 55},
        "status": "unable-to-match",
        "error": {"message": "Unable", "numbers": {}},
        "cpuSeconds": 6.3,
        "peakMemoryMiB": 414.0,
        "ended": "2026-11-28T00:00:00+00:00",
        "command": ["hscbox"],
    }
    copy(output, json.dumps(old))
    (found,) = newest_records(output)
    assert (found.code, found.status, found.peak_memory_mib, found.command) == (
        "unable-to-match",
        20,
        414.0,
        ("hscbox",),
    )


def test_a_run_records_how_it_ended(output):
    for raised, status in ((ConfigError("x"), 2), (KeyboardInterrupt(), 130), (ValueError(), 1)):
        with pytest.raises(type(raised)), kept_run(output, RunRecord(run="", ccds=2)) as run:
            begun = read_record(RunRecord, run.place / "run.json")
            raise raised
        assert begun.status is None and begun.ended == ""
        assert read_record(RunRecord, run.place / "run.json").status == status
    names = [path.name for path in sorted(records_root(output).iterdir())]
    assert len(names) == 3 and names == sorted(names)


@pytest.mark.parametrize("why", ["cannot be written", "would be lost with this container"])
def test_a_run_goes_on_where_no_records_can_be_kept(output, monkeypatch, caplog, why):
    if why == "cannot be written":
        monkeypatch.setattr(store.os, "access", lambda place, _: Path(place) != output.parent)
    else:
        points = {"/": "overlay", str(output): "ext4"}
        monkeypatch.setattr(mounts, "mount_points", lambda: points)
        monkeypatch.setattr(mounts, "container_engine", lambda: "podman")
    with kept_run(output, RunRecord(run="")) as run:
        run.status = 0
    assert run.place is None and not records_root(output).exists()
    (warning,) = caplog.records
    assert why in warning.message and "metadata files only" in warning.message
    # Once there is such a directory, as when it is bound on its own, nothing is in the way.
    records_root(output).mkdir()
    if why != "cannot be written":
        points[str(records_root(output))] = "ext4"
    with kept_run(output, RunRecord(run="")) as run:
        assert run.place is not None


def test_the_parent_keeps_the_records_of_lost_ccds(tmp_path, monkeypatch):
    ids = [{"visit": 40984, "ccd": ccd} for ccd in (1, 2, 3, 4)]
    results = [(2, Lost.TIMEOUT), (0, record(1)), (3, Lost.NOT_STARTED), (1, Lost.KILLED)]
    monkeypatch.setattr(execution, "run_in_pool", lambda *_, **__: results)
    setup = RunSetup(tmp_path, tmp_path, None, tmp_path, tmp_path)
    records = run_ccds(None, setup, ids, processes=2, timeout=9.0)
    assert [(r.data_id["ccd"], r.code, r.status) for r in records] == [
        (1, "done", 0),
        (2, "worker-killed", 75),
        (3, "timeout", 75),
        (4, "not-started", 75),
    ]
    assert "9 s" in records[2].message
    for lost in records[1:]:
        kept = read_record(CcdRecord, tmp_path / f"0040984-{lost.data_id['ccd']:03d}.json")
        assert (kept.code, kept.status, kept.message) == (lost.code, lost.status, lost.message)


# ------------------------------------------------------------------------------------- batch job and image
def test_ids_of_batch_jobs(tmp_path):
    (tmp_path / "ad").write_text('Owner = "me"\nClusterId = 812\nProcId = 3\n')
    found = {
        "none": {},
        "slurm": {"SLURM_JOB_ID": "41"},
        "array": {"SLURM_JOB_ID": "43", "SLURM_ARRAY_JOB_ID": "41", "SLURM_ARRAY_TASK_ID": "2"},
        "sge": {"JOB_ID": "77", "SGE_TASK_ID": "undefined"},
        "sge array": {"JOB_ID": "77", "SGE_TASK_ID": "5"},
        "condor": {"_CONDOR_JOB_AD": str(tmp_path / "ad")},
        "condor without": {"_CONDOR_JOB_AD": str(tmp_path / "gone")},
    }
    assert {name: batch_job(environment).get("id") for name, environment in found.items()} == {
        "none": None, "slurm": "41", "array": "41_2", "sge": "77", "sge array": "77.5", "condor": "812.3",
        "condor without": "unknown",
    }  # fmt: skip


def test_the_digest_of_the_image_where_podman_tells_it(tmp_path):
    share = tmp_path / "share/hscbox"
    share.mkdir(parents=True)
    (tmp_path / "mark").write_text('engine="podman-5"\nimage="hscbox"\nimageid="c0ffee"\n')
    assert image_identity(tmp_path, tmp_path / "mark") == {}
    (share / "image.json").write_text('{"revision": "abc"}')
    assert image_identity(tmp_path, tmp_path / "mark") == {"revision": "abc", "digest": "sha256:c0ffee"}
    assert image_identity(tmp_path, tmp_path / "none") == {"revision": "abc"}


def test_a_ccd_whose_worker_cannot_be_set_up_has_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup = RunSetup(tmp_path / "nowhere", tmp_path / "out", None, tmp_path / "config.py", tmp_path / "runs/one")
    record = execution._in_worker(setup, {"visit": 40984, "ccd": 55}, 1)
    assert record.code != "done" and record.status in (2, 4)
    assert read_record(CcdRecord, tmp_path / "runs/one/0040984-055.json").message == record.message
    assert "Failed on dataId={'visit': 40984, 'ccd': 55}" in capsys.readouterr().err
