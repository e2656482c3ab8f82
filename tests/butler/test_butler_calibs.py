from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from hscbox.butler.calib_registry import CalibRegistry, create_statements, validity_ranges
from hscbox.butler.delivery import Mode
from hscbox.butler.ingest_calibs import ingest_calibs
from hscbox.butler.ingest_engine import IngestOptions
from hscbox.errors import CalibNotFoundError, ExitStatus, RegistryError, UsageError

COPY = IngestOptions(mode=Mode.COPY)


def table(root: Path, name: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(root / "CALIB" / "calibRegistry.sqlite3")
    columns = "filter, ccd, calibDate, validStart, validEnd"
    rows = connection.execute(f"SELECT {columns} FROM {name} ORDER BY ccd, filter, calibDate").fetchall()
    connection.close()
    return rows


def test_validity_of_the_worked_example():
    days = [date(2015, 1, 1), date(2015, 1, 4), date(2015, 3, 1), date(2015, 8, 1)]
    ranges = validity_ranges(days, 40)
    assert [tuple(d.isoformat() for d in ranges[day]) for day in days] == [
        ("2014-11-22", "2015-01-02"),
        ("2015-01-03", "2015-02-01"),
        ("2015-02-02", "2015-04-10"),
        ("2015-06-22", "2015-09-10"),
    ]


def test_validity_of_180_days_as_in_a_real_registry():
    (bounds,) = validity_ranges([date(2013, 11, 3)], 180).values()
    assert [d.isoformat() for d in bounds] == ["2013-05-07", "2014-05-02"]


def test_ingest_moves_files_and_registers_them(repository: Path, make_calib):
    files = [
        make_calib("bias", 55, "2015-10-01"),
        make_calib("DARK", 55, "2015-10-02"),
        make_calib("flat", 55, "2015-10-03", "HSC-R"),
        make_calib("fringe", 55, "2015-10-04", "HSC-Y"),
    ]
    report = ingest_calibs(repository, map(str, files), validity=180, options=IngestOptions(mode=Mode.MOVE))
    assert (report.ingested, report.exit_status) == (4, ExitStatus.OK)
    calib = repository / "CALIB"
    assert sorted(str(p.relative_to(calib)) for p in calib.rglob("*.fits")) == [
        "BIAS/2015-10-01/NONE/BIAS-2015-10-01-055.fits",
        "DARK/2015-10-02/NONE/DARK-2015-10-02-055.fits",
        "FLAT/2015-10-03/HSC-R/FLAT-2015-10-03-HSC-R-055.fits",
        "FRINGE/2015-10-04/HSC-Y/FRINGE-2015-10-04-HSC-Y-055.fits",
    ]
    assert not any(f.exists() for f in files)
    assert table(repository, "bias") == [("NONE", 55, "2015-10-01", "2015-04-04", "2016-03-29")]
    assert table(repository, "flat") == [("HSC-R", 55, "2015-10-03", "2015-04-06", "2016-03-31")]
    assert table(repository, "fringe")[0][:3] == ("HSC-Y", 55, "2015-10-04")


def test_tables_are_those_of_2017(repository: Path, make_calib):
    ingest_calibs(repository, [str(make_calib("bias", 1, "2015-10-01"))], validity=10, options=COPY)
    connection = sqlite3.connect(repository / "CALIB" / "calibRegistry.sqlite3")
    sql = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql LIKE 'CREATE TABLE %'")]
    connection.close()
    expected = []
    for name in ("bias", "dark", "flat", "fringe"):
        expected += [
            f"CREATE TABLE {name} (id integer primary key autoincrement, filter text,ccd int,calibDate text,"
            "validStart text,validEnd text, unique(filter,ccd,calibDate))",
            f"CREATE TABLE {name}_visit (calibDate text,filter text, unique(calibDate,filter))",
        ]
    assert [s for s in sql if "sqlite_sequence" not in s] == expected == create_statements()


def test_a_kind_in_the_table_of_kinds_is_ingested_and_found(repository: Path, make_calib):
    script = """
import sys
from hscbox.camera.calib_kinds import CALIB_KINDS, CalibKind
CALIB_KINDS["skyframe"] = CalibKind("skyframe", ("sky",), per_filter=True, unit="ADU")
from hscbox.butler.butler import Butler
from hscbox.butler.ingest_calibs import ingest_calibs
from hscbox.pictures.frames import DATASETS
repository, file = sys.argv[1:]
print(ingest_calibs(repository, [file], validity=10).ingested, DATASETS["skyframe"])
ids = dict(ccd=7, filter="HSC-R", taiObs="2015-10-08")
print(Butler(repository).path("skyframe", ids))
"""
    file = make_calib("SKYFLUX", 7, "2015-10-01", "HSC-R")
    command = [sys.executable, "-c", script, str(repository), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    place = "CALIB/SKYFRAME/2015-10-01/HSC-R/SKYFRAME-2015-10-01-HSC-R-007.fits"
    assert done.stdout.splitlines() == ["1 ADU", str(repository / place)]
    assert table(repository, "skyframe") == [("HSC-R", 7, "2015-10-01", "2015-09-21", "2015-10-11")]


def test_only_ingested_groups_change_their_validity(repository: Path, make_calib):
    first = [make_calib("bias", 1, "2015-10-01"), make_calib("bias", 2, "2015-10-01")]
    ingest_calibs(repository, map(str, first), validity=100, options=COPY)
    ingest_calibs(repository, [str(make_calib("bias", 2, "2015-10-11"))], validity=10, options=COPY)
    assert table(repository, "bias") == [
        ("NONE", 1, "2015-10-01", "2015-06-23", "2016-01-09"),
        ("NONE", 2, "2015-10-01", "2015-09-21", "2015-10-06"),
        ("NONE", 2, "2015-10-11", "2015-10-07", "2015-10-21"),
    ]


def test_again_is_unchanged(repository: Path, make_calib):
    file = str(make_calib("bias", 1, "2015-10-01"))
    ingest_calibs(repository, [file], validity=100, options=COPY)
    before = (repository / "CALIB" / "calibRegistry.sqlite3").read_bytes()
    report = ingest_calibs(repository, [file], validity=100, options=COPY)
    assert (report.ingested, report.unchanged) == (0, 1)
    assert (repository / "CALIB" / "calibRegistry.sqlite3").read_bytes() == before


def test_files_that_are_in_place_are_only_registered(repository: Path, make_calib):
    place = repository / "CALIB" / "BIAS" / "2015-10-01" / "NONE" / "BIAS-2015-10-01-001.fits"
    place.parent.mkdir(parents=True)
    make_calib("bias", 1, "2015-10-01").rename(place)
    report = ingest_calibs(repository, [str(place)], validity=10, options=IngestOptions(mode=Mode.MOVE))
    assert (report.ingested, report.adopted) == (1, 1)
    assert place.is_file()


def test_unknown_types_and_hostile_identities_are_refused(repository: Path, make_calib):
    files = [
        make_calib("sky", 1, "2015-10-01"),
        make_calib("flat", 1, "2015-10-01", "../x", name="a"),
        make_calib("bias", 1, "../../x", name="b"),
        make_calib("bias", 1, "2015-10-01"),
    ]
    report = ingest_calibs(repository, map(str, files), validity=10, options=COPY)
    assert (report.ingested, report.refused_count, report.exit_status) == (1, 3, 4)
    with pytest.raises(UsageError, match="allowed are bias, dark, flat, fringe"):
        ingest_calibs(repository, ["x"], validity=10, calib_type="sky")
    with pytest.raises(UsageError, match="validity"):
        ingest_calibs(repository, ["x"], validity=-1)


def test_registries_with_another_column_order_or_a_version_column(repository: Path, make_calib):
    path = repository / "CALIB" / "calibRegistry.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE bias (id integer primary key autoincrement, filter text, calibVersion text, ccd int, "
        "validStart text, calibDate text, validEnd text, unique(filter,ccd,calibDate))"
    )
    connection.execute("INSERT INTO bias VALUES (NULL,'NONE','v1',7,'2015-01-01','2015-02-01','2015-03-01')")
    connection.commit()
    connection.close()
    assert CalibRegistry(path).calib_date("bias", {"ccd": 7}, "2015-02-10") == "2015-02-01"
    ingest_calibs(repository, [str(make_calib("bias", 8, "2015-10-01"))], validity=10, options=COPY)
    assert CalibRegistry(path).calib_date("bias", {"ccd": 8}, "2015-10-11") == "2015-10-01"


@pytest.fixture
def registry(tmp_path: Path) -> CalibRegistry:
    path = tmp_path / "calibRegistry.sqlite3"
    connection = sqlite3.connect(path)
    for statement in create_statements():
        connection.execute(statement)
    rows = [
        ("HSC-R", 1, "2015-02-01", "2015-01-01", "2015-03-01"),
        ("HSC-R", 1, "2015-06-01", "2015-05-01", "2015-07-01"),
        ("HSC-R", 2, "2015-02-01", "2015-01-01", "2015-03-01"),
        ("HSC-R", 2, "2015-02-05", "2015-02-20", "2015-04-01"),
        ("HSC-I", 1, "2015-02-01", "2015-01-01", "2015-03-01"),
    ]
    connection.executemany("INSERT INTO flat (filter, ccd, calibDate, validStart, validEnd) VALUES (?,?,?,?,?)", rows)
    connection.commit()
    connection.close()
    return CalibRegistry(path)


@pytest.mark.parametrize("day", ["2015-01-01", "2015-02-10", "2015-03-01"])
def test_both_ends_of_a_range_are_valid(registry: CalibRegistry, day: str):
    assert registry.calib_date("flat", {"ccd": 1, "filter": "HSC-R"}, day) == "2015-02-01"


@pytest.mark.parametrize(
    ("table_name", "ids", "day", "message"),
    [
        ("flat", {"ccd": 1, "filter": "HSC-R"}, "2014-12-31", "the nearest, of 2015-02-01, is valid from 2015-01-01"),
        ("flat", {"ccd": 1, "filter": "HSC-R"}, "2015-04-20", "the nearest, of 2015-06-01, is valid from 2015-05-01"),
        ("flat", {"ccd": 2, "filter": "HSC-R"}, "2015-02-25", "those of 2015-02-01, 2015-02-05"),
        ("flat", {"ccd": 1, "filter": "HSC-Z"}, "2015-02-10", "it has filter HSC-I, HSC-R"),
        ("flat", {"ccd": 9, "filter": "HSC-R"}, "2015-02-10", "it has ccd 1, 2"),
        ("flat", {"ccd": 2, "filter": "HSC-I"}, "2015-02-10", "other combinations"),
        ("bias", {"ccd": 1}, "2015-02-10", "'bias' is empty"),
    ],
)
def test_each_failure_has_its_own_words(registry: CalibRegistry, table_name: str, ids: dict, day: str, message: str):
    with pytest.raises(CalibNotFoundError, match=message):
        registry.calib_date(table_name, ids, day)


def test_no_registry_at_all(tmp_path: Path):
    (tmp_path / "x.sqlite3").write_bytes(b"junk" * 2000)
    with pytest.raises(RegistryError, match=r"x\.sqlite3"):
        CalibRegistry(tmp_path / "x.sqlite3").calib_date("bias", {"ccd": 1}, "2015-01-01")
    (tmp_path / "empty.sqlite3").touch()
    with pytest.raises(RegistryError, match="no table 'bias'"):
        CalibRegistry(tmp_path / "empty.sqlite3").calib_date("bias", {"ccd": 1}, "2015-01-01")
