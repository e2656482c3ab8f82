from __future__ import annotations

import errno
import gzip
import io
import logging
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hscbox.butler.delivery import Mode
from hscbox.butler.ingest import ingest_images
from hscbox.butler.ingest_engine import IngestOptions
from hscbox.butler.ingest_report import compact_numbers
from hscbox.errors import ExitStatus, MissingInputError, RegistryError, UsageError

GUIDE_PATH = "SSP_UDEEP_SXDS/2015-10-10/01378/HSC-R/HSC-0040984-055.fits"
GUIDE_RAW = (
    "1|SSP_UDEEP_SXDS|40984|55|1378|HSC-R|o15426|2015-10-10|2015-10-10|300.0|0.0|1|-100.65|20140306.cfg|"
    "HSCA04098410|HSCA04098400|OBJECT"
)
GUIDE_VISIT = "40984|SSP_UDEEP_SXDS|HSC-R|2015-10-10|2015-10-10"
CREATE = [
    "CREATE TABLE raw (id integer primary key autoincrement, field text,visit int,ccd int,pointing int,filter text,"
    "proposal text,dateObs text,taiObs text,expTime double,pa double,autoguider int,ccdTemp double,config text,"
    "frameId text,expId text,dataType text, unique(visit,ccd))",
    "CREATE TABLE raw_visit (visit int,field text,filter text,dateObs text,taiObs text, unique(visit))",
]


def rows(root: Path, table: str = "raw") -> list[str]:
    connection = sqlite3.connect(root / "registry.sqlite3")
    result = [
        "|".join("" if v is None else str(v) for v in row) for row in connection.execute(f"SELECT * FROM {table}")
    ]
    connection.close()
    return result


def files_in(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or p.is_file())


def test_the_guide_line_by_line(repository: Path, make_raw, caplog):
    raw = make_raw()
    (repository / "CALIB" / "calibRegistry.sqlite3").touch()
    caplog.set_level(logging.INFO)
    report = ingest_images(repository, [str(raw)])

    assert report.exit_status is ExitStatus.OK
    assert (report.ingested, report.unchanged, report.refused_count) == (1, 0, 0)
    assert [f"{r.name} {r.levelname}: {r.getMessage()}" for r in caplog.records] == [
        f"CameraMapper INFO: Loading Posix exposure registry from {repository}",
        f"CameraMapper INFO: Loading calib registry from {repository}/CALIB/calibRegistry.sqlite3",
        f"ingest INFO: {raw} --<link>--> {repository}/{GUIDE_PATH}",
    ]
    assert rows(repository) == [GUIDE_RAW]
    assert rows(repository, "raw_visit") == [GUIDE_VISIT]
    connection = sqlite3.connect(repository / "registry.sqlite3")
    stored = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    assert [sql for name, sql in stored if name != "sqlite_sequence"] == CREATE
    assert {name for name, _ in stored} == {"raw", "raw_visit", "sqlite_sequence"}
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()
    assert (repository / GUIDE_PATH).readlink() == raw
    assert (repository / "registry.sqlite3").stat().st_mode & 0o777 == 0o664
    assert sorted(p.name for p in repository.iterdir()) == ["CALIB", "SSP_UDEEP_SXDS", "_mapper", "registry.sqlite3"]


def test_rows_through_the_sqlite3_program(repository: Path, make_raw):
    ingest_images(repository, [str(make_raw())])
    try:
        program = subprocess.run(
            ["sqlite3", repository / "registry.sqlite3", ".tables", "select * from raw;"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except FileNotFoundError:
        return  # the rows are compared above through the module
    assert program.stdout.split("\n")[0].split() == ["raw", "raw_visit"]
    assert program.stdout.split("\n")[1] == GUIDE_RAW


def test_again_is_unchanged_and_touches_nothing(repository: Path, make_raw):
    raw = str(make_raw())
    ingest_images(repository, [raw])
    before = (repository / "registry.sqlite3").read_bytes()
    report = ingest_images(repository, [raw])
    assert (report.ingested, report.unchanged, report.exit_status) == (0, 1, 0)
    assert (repository / "registry.sqlite3").read_bytes() == before


def test_relative_names_become_absolute_links_that_keep_given_links(repository: Path, make_raw, monkeypatch, tmp_path):
    make_raw("disk/HSCA04098410.fits")
    (tmp_path / "alias").symlink_to("disk")
    monkeypatch.chdir(tmp_path)
    assert ingest_images("input", ["alias/../alias/HSCA04098410.fits"]).ingested == 1
    assert (repository / GUIDE_PATH).readlink() == tmp_path / "alias" / "HSCA04098410.fits"


def test_existing_identical_link_without_row_is_adopted(repository: Path, make_raw):
    raw = make_raw()
    destination = repository / GUIDE_PATH
    destination.parent.mkdir(parents=True)
    destination.symlink_to(raw)
    report = ingest_images(repository, [str(raw)])
    assert (report.ingested, report.adopted, report.refused_count) == (1, 1, 0)
    assert rows(repository) == [GUIDE_RAW]


@pytest.mark.parametrize("kind", ["other file", "dangling link"])
def test_another_file_in_the_way_is_refused_or_replaced_on_request(repository: Path, make_raw, kind: str):
    raw = make_raw()
    destination = repository / GUIDE_PATH
    destination.parent.mkdir(parents=True)
    if kind == "other file":
        destination.write_text("mine")
    else:
        destination.symlink_to("/nowhere/at/all")
    report = ingest_images(repository, [str(raw)])
    assert report.exit_status is ExitStatus.INPUT
    assert "--clobber" in report.refused[0].reason
    assert rows(repository) == [] and destination.is_symlink() == (kind == "dangling link")

    assert ingest_images(repository, [str(raw)], IngestOptions(clobber=True)).ingested == 1
    assert destination.readlink() == raw and rows(repository) == [GUIDE_RAW]
    assert files_in(repository) == sorted([GUIDE_PATH, "_mapper", "registry.sqlite3"])


def test_same_exposure_from_another_file_or_with_another_row_is_refused(repository: Path, make_raw):
    ingest_images(repository, [str(make_raw())])
    copy = make_raw("elsewhere/HSCA04098410.fits")
    report = ingest_images(repository, [str(copy)])
    assert "from another file" in report.refused[0].reason
    other = make_raw("elsewhere/other.fits", EXPTIME=30.0)
    report = ingest_images(repository, [str(other)])
    assert "expTime 300.0, the file has 30.0" in report.refused[0].reason
    assert rows(repository) == [GUIDE_RAW]
    assert ingest_images(repository, [str(other)], IngestOptions(ignore_ingested=True)).unchanged == 1


def test_hostile_and_damaged_files_are_refused_and_the_others_go_on(repository: Path, make_raw, tmp_path: Path):
    bad = [
        make_raw("raw/no-visit.fits", EXP_ID="HSCX"),
        make_raw("raw/no-ccd.fits", DET_ID=None),
        make_raw("raw/ccd.fits", DET_ID=10**15),
        make_raw("raw/filter.fits", FILTER01="../../../etc"),
        make_raw("raw/date.fits", DATE_OBS="../../x"),
        make_raw("raw/long.fits", OBJECT="x" * 4000),
        tmp_path / "raw/text.fits",
        tmp_path / "raw/short.fits",
        tmp_path / "raw/absent.fits",
    ]
    (tmp_path / "raw/text.fits").write_text("not FITS")
    (tmp_path / "raw/short.fits").write_bytes(make_raw("raw/whole.fits").read_bytes()[:5000])
    report = ingest_images(repository, [str(p) for p in bad])
    assert report.exit_status is ExitStatus.INPUT and report.refused_count == len(bad)
    assert files_in(repository) == ["_mapper"]

    report = ingest_images(repository, [str(p) for p in [*bad, make_raw()]])
    assert (report.ingested, report.refused_count, report.exit_status) == (1, len(bad), 4)
    assert files_in(repository) == sorted([GUIDE_PATH, "_mapper", "registry.sqlite3"])
    assert {r.path for r in report.refused} == {str(p) for p in bad}


def test_odd_object_names_stay_within_the_repository(repository: Path, make_raw, tmp_path: Path):
    report = ingest_images(
        repository, [str(make_raw(OBJECT="../../escape")), str(make_raw("raw/b", DET_ID=3, OBJECT=".."))]
    )
    assert report.ingested == 2
    assert [p for p in files_in(repository) if p.endswith(".fits")] == [
        "__/2015-10-10/01378/HSC-R/HSC-0040984-003.fits",
        "______ESCAPE/2015-10-10/01378/HSC-R/HSC-0040984-055.fits",
    ]


def test_missing_optional_values_become_null_and_nothing_leaks_between_files(repository: Path, make_raw):
    first = make_raw("raw/1.fits")
    second = make_raw("raw/2.fits", DET_ID=56, T_AG=None, EXPTIME=None)
    ingest_images(repository, [str(first), str(second)])
    connection = sqlite3.connect(repository / "registry.sqlite3")
    assert connection.execute("SELECT autoguider, expTime FROM raw ORDER BY ccd").fetchall() == [
        (1, 300.0),
        (None, None),
    ]
    connection.close()


def test_ccds_of_a_visit_that_disagree_warn_and_the_first_stays(repository: Path, make_raw, caplog):
    ingest_images(repository, [str(make_raw("raw/1.fits")), str(make_raw("raw/2.fits", DET_ID=56, OBJECT="OTHER"))])
    report = ingest_images(repository, [str(make_raw("raw/3.fits", DET_ID=57, OBJECT="THIRD"))])
    assert report.exit_status is ExitStatus.OK and report.warnings == 1
    assert rows(repository, "raw_visit") == [GUIDE_VISIT]
    assert len(rows(repository)) == 3
    assert "ccd 56 has field 'OTHER' instead of 'SSP_UDEEP_SXDS'" in caplog.text


@pytest.mark.parametrize("mode", [Mode.COPY, Mode.MOVE])
def test_copy_and_move(repository: Path, make_raw, mode: Mode):
    raw = make_raw()
    content = raw.read_bytes()
    report = ingest_images(repository, [str(raw)], IngestOptions(mode=mode))
    destination = repository / GUIDE_PATH
    assert report.ingested == 1 and destination.read_bytes() == content
    assert not destination.is_symlink() and raw.exists() == (mode is Mode.COPY)
    if mode is Mode.COPY:
        assert ingest_images(repository, [str(raw)], IngestOptions(mode=mode)).unchanged == 1
    assert files_in(repository) == sorted([GUIDE_PATH, "_mapper", "registry.sqlite3"])


def test_move_over_file_systems(repository: Path, make_raw, monkeypatch):
    raw = make_raw()
    content = raw.read_bytes()
    # A hard link is what a move begins with; other file systems do not give one.
    monkeypatch.setattr("hscbox.butler.delivery.Delivery._can_link", lambda self: False)
    assert ingest_images(repository, [str(raw)], IngestOptions(mode=Mode.MOVE)).ingested == 1
    assert (repository / GUIDE_PATH).read_bytes() == content and not raw.exists()


def test_move_from_a_source_that_cannot_be_removed(repository: Path, make_raw, monkeypatch, caplog):
    files = [str(make_raw()), str(make_raw("raw/HSCA04098411.fits", DET_ID=56))]
    unlink = Path.unlink

    def read_only(self: Path, missing_ok: bool = False) -> None:
        if self.parent.name == "raw" and "98410" in self.name:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", read_only)
    report = ingest_images(repository, files, IngestOptions(mode=Mode.MOVE))
    assert (report.ingested, report.warnings, report.exit_status) == (2, 1, ExitStatus.OK)
    assert len(rows(repository)) == 2 and (repository / GUIDE_PATH).is_file()
    assert f"{files[0]} could not be removed: Permission denied" in caplog.text
    assert Path(files[0]).exists() and not Path(files[1]).exists()


def test_skip_registers_only(repository: Path, make_raw):
    options = IngestOptions(mode=Mode.SKIP)
    assert ingest_images(repository, [str(make_raw())], options).ingested == 1
    assert ingest_images(repository, [str(make_raw())], options).unchanged == 1
    assert files_in(repository) == ["_mapper", "registry.sqlite3"]


def test_dry_run_makes_nothing_and_foresees_everything(repository: Path, make_raw):
    raw = str(make_raw())
    options = IngestOptions(dry_run=True)
    report = ingest_images(repository, [raw, "absent.fits"], options)
    assert (report.ingested, report.refused_count) == (1, 1)
    assert files_in(repository) == ["_mapper"]
    ingest_images(repository, [raw])
    assert ingest_images(repository, [raw], options).unchanged == 1
    assert ingest_images(repository, [str(make_raw("x/y.fits"))], options).refused_count == 1


def test_bad_files_and_bad_ids_match_numbers(repository: Path, make_raw):
    raws = [str(make_raw("raw/HSCA90301400.fits", DET_ID=1)), str(make_raw("raw/b.fits", DET_ID=2)), str(make_raw())]
    options = IngestOptions(bad_files=("HSCA90301[45]??.fits",), bad_ids=(("visit=40984", "ccd=2..3"),))
    report = ingest_images(repository, raws, options)
    assert (report.ingested, report.skipped) == (1, 2)
    assert rows(repository) == [GUIDE_RAW]


def test_gzipped_frames(repository: Path, make_raw, tmp_path: Path):
    plain = make_raw()
    packed = tmp_path / "raw" / "packed.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    assert ingest_images(repository, [str(packed)]).ingested == 1
    assert rows(repository) == [GUIDE_RAW]


def test_tile_compressed_frames(repository: Path, make_raw, tmp_path: Path):
    from astropy.io import fits

    with fits.open(make_raw()) as hdus:
        header = hdus[0].header
        image = fits.CompImageHDU(hdus[0].data, header, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / "x.fits.fz")
    assert ingest_images(repository, [str(tmp_path / "x.fits.fz")]).ingested == 1
    assert rows(repository) == [GUIDE_RAW]


def test_names_from_lists_patterns_standard_input_and_directories(repository: Path, make_raw, tmp_path, monkeypatch):
    raws = [make_raw(f"raw/{ccd}.fits", DET_ID=ccd) for ccd in range(6)]
    make_raw("raw/deeper/9.fits", DET_ID=9)
    (tmp_path / "raw" / "notes.txt").write_text("not a frame")
    listing = tmp_path / "list.txt"
    listing.write_text(f"# frames\n{raws[0]}\n\n{raws[1]}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{raws[2]}\n"))
    assert ingest_images(repository, [f"@{listing}", "-", str(tmp_path / "raw/[3].fits")]).ingested == 4
    assert ingest_images(repository, [str(tmp_path / "raw")]).ingested == 2
    assert len(rows(repository)) == 6


def test_a_file_with_brackets_in_its_name_is_taken_literally(repository: Path, make_raw):
    assert ingest_images(repository, [str(make_raw("raw/a[1].fits"))]).ingested == 1


def test_siblings_of_a_file_are_never_listed(repository: Path, make_raw, monkeypatch):
    raw = str(make_raw())

    def forbidden(*args: object) -> None:
        raise AssertionError("a directory was listed")

    monkeypatch.setattr(os, "scandir", forbidden)
    monkeypatch.setattr(os, "listdir", forbidden)
    assert ingest_images(repository, [raw]).ingested == 1


def test_no_file_no_repository_and_outputs_are_errors(repository: Path, tmp_path: Path):
    with pytest.raises(MissingInputError, match="no file to ingest"):
        ingest_images(repository, [str(repository / "*.nothing")])
    with pytest.raises(MissingInputError, match="No such repository"):
        ingest_images(tmp_path / "absent", ["x"])
    with pytest.raises(MissingInputError, match="_mapper"):
        ingest_images(tmp_path, ["x"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "repositoryCfg.yaml").write_text("!RepositoryCfg_v1\n_parents: []\n")
    with pytest.raises(UsageError, match="output repository"):
        ingest_images(tmp_path / "out", ["x"])
    assert files_in(repository) == ["_mapper"]


def test_damaged_registry_is_named_and_no_link_stays(repository: Path, make_raw):
    registry = repository / "registry.sqlite3"
    registry.write_bytes(b"SQLite format 3\x00" + b"garbage" * 1000)
    with pytest.raises(RegistryError, match=str(registry)):
        ingest_images(repository, [str(make_raw())])
    assert files_in(repository) == ["_mapper", "registry.sqlite3"]


def test_create_keeps_the_old_registry(repository: Path, make_raw):
    ingest_images(repository, [str(make_raw("raw/1.fits", DET_ID=1))])
    ingest_images(repository, [str(make_raw())], IngestOptions(create=True))
    assert rows(repository) == [GUIDE_RAW]
    connection = sqlite3.connect(repository / "registry.sqlite3~1")
    assert connection.execute("SELECT ccd FROM raw").fetchall() == [(1,)]
    connection.close()


def test_failure_of_a_batch_undoes_links_and_rows(repository: Path, make_raw, monkeypatch):
    raws = [str(make_raw(f"raw/{ccd}.fits", DET_ID=ccd)) for ccd in range(5)]
    from hscbox.butler.ingest import _RawEngine

    def full(self: object, connection: object, items: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(_RawEngine, "end_batch", full)
    with pytest.raises(Exception, match="No space left"):
        ingest_images(repository, raws)
    assert files_in(repository) == ["_mapper", "registry.sqlite3"]
    assert rows(repository) == []
    assert not (repository / "SSP_UDEEP_SXDS").exists()


KILLED = """
import os, signal, sys
from hscbox.butler.delivery import Mode
from hscbox.butler.ingest import IngestOptions, _RawEngine, ingest_images
def die(self, *rest):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(_RawEngine, sys.argv[1], die)
ingest_images(sys.argv[2], [sys.argv[3]], IngestOptions(mode=Mode(sys.argv[4])))
"""


@pytest.mark.parametrize("mode", ["link", "copy", "move"])
@pytest.mark.parametrize("moment", ["_insert", "end_batch", "_log_delivery"])
def test_killed_at_any_moment_the_next_ingest_completes_the_work(repository: Path, make_raw, mode: str, moment: str):
    raw = make_raw()
    content = raw.read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    died = subprocess.run([sys.executable, "-c", KILLED, moment, repository, raw, mode], env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    committed = moment == "_log_delivery"
    assert rows(repository) == ([GUIDE_RAW] if committed else [])
    assert (repository / GUIDE_PATH).read_bytes() == content

    if raw.exists():
        report = ingest_images(repository, [str(raw)], IngestOptions(mode=Mode(mode)))
        assert (report.refused_count, report.adopted, report.unchanged) == (0, int(not committed), int(committed))
    assert rows(repository) == [GUIDE_RAW]
    assert (repository / GUIDE_PATH).read_bytes() == content
    assert raw.exists() == (mode != "move")


def _ingest_many(root: str, files: list[str]) -> int:
    return ingest_images(root, files).ingested


def test_two_processes_at_once_keep_all_rows(repository: Path, make_raw):
    raws = [str(make_raw(f"raw/{ccd}.fits", DET_ID=ccd)) for ccd in range(100)]
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        counts = pool.starmap(_ingest_many, [(str(repository), raws[:60]), (str(repository), raws[40:])])
    assert sum(counts) == 100
    connection = sqlite3.connect(repository / "registry.sqlite3")
    assert connection.execute("SELECT count(*), count(DISTINCT ccd) FROM raw").fetchone() == (100, 100)
    assert connection.execute("SELECT count(*) FROM raw_visit").fetchone() == (1,)
    connection.close()


def test_headers_read_by_workers_give_the_same_registry(repository: Path, make_raw, tmp_path: Path):
    raws = [str(make_raw(f"raw/{ccd}.fits", DET_ID=ccd)) for ccd in range(70)]
    report = ingest_images(repository, [*raws, "absent"], IngestOptions(processes=2))
    assert (report.ingested, report.refused_count) == (70, 1)
    assert [row.split("|")[3] for row in rows(repository)] == [str(ccd) for ccd in range(70)]


def test_completeness_names_what_is_missing(repository: Path, make_raw):
    ccds = [0, 1, 2, 50, 104, 111]
    report = ingest_images(repository, [str(make_raw(f"raw/{c}.fits", DET_ID=c)) for c in ccds])
    (visit,) = report.completeness
    assert (visit.visit, visit.science, visit.focus) == (40984, 4, 2)
    assert compact_numbers(visit.missing) == "3..49^51..103^105..110"
