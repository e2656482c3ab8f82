from __future__ import annotations

import pickle
import sqlite3
import time
from pathlib import Path

import pytest

from hscbox.butler.registry import CREATE_RAW, CREATE_RAW_VISIT, Registry, connect_for_writing, transaction, translated
from hscbox.errors import MissingInputError, RegistryError, TemporaryError, UsageError


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One hundred thousand rows: 893 visits of 112 CCDs."""
    path = tmp_path_factory.mktemp("registry") / "registry.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute(CREATE_RAW)
    connection.execute(CREATE_RAW_VISIT)
    connection.executemany(
        "INSERT INTO raw (field, visit, ccd, pointing, filter, dateObs, taiObs, expTime) "
        "VALUES ('F', ?, ?, 1378, 'HSC-R', '2015-10-10', '2015-10-10', 300.0)",
        ((2 * (i // 112), i % 112) for i in range(100_000)),
    )
    connection.commit()
    connection.close()
    return path


def test_a_lookup_walks_an_index(large: Path):
    connection = sqlite3.connect(large)
    plan = connection.execute("EXPLAIN QUERY PLAN SELECT field FROM raw WHERE visit = 1 AND ccd = 2").fetchall()
    connection.close()
    assert "SEARCH" in plan[0][3] and "INDEX" in plan[0][3]
    registry = Registry(large)
    start = time.perf_counter()
    for visit in range(0, 400, 2):
        (row,) = registry.exposures({"visit": visit, "ccd": 50})
        assert (row["visit"], row["ccd"], row["filter"]) == (visit, 50, "HSC-R")
    # Reported, not asserted: machines differ.
    print(f"{(time.perf_counter() - start) / 200 * 1e6:.0f} microseconds a lookup")


def test_rows_come_ordered_and_nulls_are_left_out(large: Path):
    rows = Registry(large).exposures({"pointing": 1378}, limit=3)
    assert [(r["visit"], r["ccd"]) for r in rows] == [(0, 0), (0, 1), (0, 2)]
    assert "proposal" not in rows[0]


def test_nearest_values(large: Path):
    assert Registry(large).nearest("raw", "visit", 101) == [100, 102, 98]
    assert Registry(large).nearest("raw", "filter", "HSC-Q") == ["HSC-R"]


def test_nearest_passes_over_nulls_and_texts(tmp_path: Path):
    path = tmp_path / "registry.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute(CREATE_RAW)
    connection.executemany(
        "INSERT INTO raw (visit, ccd, filter) VALUES (?, ?, ?)",
        [(None, 1, None), ("odd", 2, "HSC-G"), (40984, 3, "HSC-R")],
    )
    connection.commit()
    connection.close()
    assert Registry(path).nearest("raw", "visit", 40000) == [40984]
    assert Registry(path).nearest("raw", "visit", 10**30) == Registry(path).exposures({"visit": 10**30}) == []
    assert Registry(path).nearest("raw", "filter", "HSC-Q") == ["HSC-G", "HSC-R"]


def test_unknown_columns_name_the_choices(large: Path):
    with pytest.raises(UsageError, match=r"Unknown key 'vist'.*Did you mean 'visit'"):
        Registry(large).query("raw", ("ccd",), {"vist": 1})
    with pytest.raises(UsageError, match="Unknown key"):
        Registry(large).query("raw", ("ccd; DROP TABLE raw",), {})


def test_readers_cannot_write_and_follow_new_rows(tmp_path: Path):
    path = tmp_path / "registry.sqlite3"
    writer = connect_for_writing(path)
    writer.execute(CREATE_RAW)
    registry = Registry(path)
    assert registry.exposures({}) == []
    with transaction(writer):
        writer.execute("INSERT INTO raw (visit, ccd) VALUES (2, 3)")
        assert registry.exposures({}) == []
    assert registry.exposures({}) == [{"visit": 2, "ccd": 3}]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        registry._open().execute("DELETE FROM raw")
    writer.close()


def test_a_reader_travels_to_other_processes_without_its_connection(large: Path):
    registry = Registry(large)
    registry.exposures({"visit": 2, "ccd": 3})
    copy = pickle.loads(pickle.dumps(registry))
    assert copy.exposures({"visit": 2, "ccd": 3}) == registry.exposures({"visit": 2, "ccd": 3})


def test_names_with_signs_that_mean_something_in_a_uri(tmp_path: Path):
    directory = tmp_path / "a b%20?mode=rwc#x"
    directory.mkdir()
    connection = connect_for_writing(directory / "registry.sqlite3")
    connection.execute(CREATE_RAW)
    connection.close()
    assert Registry(directory / "registry.sqlite3").exposures({}) == []


def test_damaged_missing_and_locked_registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(MissingInputError):
        Registry(tmp_path / "none.sqlite3").exposures({})
    (tmp_path / "text.sqlite3").write_text("this is not a database at all, but long enough to be looked at " * 40)
    with pytest.raises(RegistryError, match=r"text\.sqlite3"):
        Registry(tmp_path / "text.sqlite3").exposures({})
    monkeypatch.setattr("hscbox.butler.registry.BUSY_SECONDS", 0.01)
    path = tmp_path / "busy.sqlite3"
    first, second = connect_for_writing(path), connect_for_writing(path)
    first.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TemporaryError, match="in use"), translated(path), transaction(second):
        pass
    first.close()
    second.close()
