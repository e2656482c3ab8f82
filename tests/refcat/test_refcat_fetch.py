from __future__ import annotations

import datetime
import json
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from fixtures.catalogs import directory_reader
from lsst import sphgeom
from tap_server import CONE, PATIENCE, TapTable

from hscbox.catalog.htm import separation, trixel_of
from hscbox.catalog.reference import load_region
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.errors import DamagedInputError, HscboxError, MissingInputError, OutputError, TemporaryError, UsageError
from hscbox.refcat.column_map import ColumnMap
from hscbox.refcat.columns import pick_columns
from hscbox.refcat.convert import convert
from hscbox.refcat.fetch import Fetched, FetchRequest, Progress, fetch
from hscbox.refcat.patience import asked_wait
from hscbox.refcat.sky import outline, trixels_of_cones


class Waits(list[float]):
    """Stands for time.sleep."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def call(wanted: FetchRequest, waits: Waits) -> Callable[..., Fetched]:
    def run(**changes: object) -> Fetched:
        return fetch(replace(wanted, **changes), patience=PATIENCE, sleep=waits)  # type: ignore[arg-type]

    return run


def expected(table: Table, gaia: ColumnMap) -> SourceCatalog:
    """Return the catalogue of the known table in the trixels of the cone, made without any network."""
    inside = np.isin(trixel_of(table["ra"], table["dec"], 7), trixels_of_cones([CONE], 7))
    return convert(pick_columns(table[inside], gaia.needed, "table"), gaia, "table")[0].sorted("id")


def assert_equals_table(wanted: FetchRequest, table: Table) -> None:
    """Compare what a run would load with the known table, value by value."""
    root = wanted.output / wanted.name
    truth = expected(table, wanted.column_map)
    shards = {number: directory_reader(root)(number) for number in trixels_of_cones([CONE], 7)}
    region = load_region(shards.get, 7, CONE.ra, CONE.dec, CONE.radius)
    assert None not in shards.values()
    away = separation(np.degrees(truth["coord_ra"]), np.degrees(truth["coord_dec"]), CONE.ra, CONE.dec)
    near, loaded = truth.subset(away <= CONE.radius), region.sorted("id")
    assert len(near) > 5
    for name in truth.schema.names():
        np.testing.assert_array_equal(loaded[name], near[name], err_msg=name)
    assert sum(len(shard) for shard in shards.values() if shard is not None) == len(truth)


def nothing_made(wanted: FetchRequest) -> bool:
    return not (wanted.output / wanted.name).exists()


def test_a_good_service(wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable) -> None:
    fetched = call()
    assert_equals_table(wanted, knows.table)
    trixels = trixels_of_cones([CONE], 7)
    assert len(knows.seen) == len(trixels) == fetched.progress.done == len(fetched.built.shards)
    assert fetched.progress.reused == fetched.progress.split == 0
    assert all("ruwe < 1.4" in seen.query and "gaiadr3.gaia_source" in seen.query for seen in knows.seen)
    # Nothing is left but the catalogue, with a record of its origin.
    assert [path.name for path in wanted.output.iterdir()] == ["gaia"]
    origin = json.loads((wanted.output / "gaia" / "origin.json").read_text())
    assert [part["trixel"] for part in origin["parts"]] == trixels
    assert sum(part["rows"] for part in origin["parts"]) >= fetched.rows.kept


@pytest.mark.parametrize("form", ["gzip", "binary2", "chunked"])
def test_forms_of_answers(form: str, wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable) -> None:
    knows.gzip, knows.binary = form == "gzip", form == "binary2"
    if form == "chunked":
        knows.faults = deque(["chunked"] * 50)
    call()
    assert_equals_table(wanted, knows.table)


def test_a_trixel_without_objects_is_covered(
    wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable
) -> None:
    trixels = trixels_of_cones([CONE], 7)
    knows.table = knows.table[trixel_of(knows.table["ra"], knows.table["dec"], 7) != trixels[0]]
    assert call().built.empty == (trixels[0],)
    assert_equals_table(wanted, knows.table)


@pytest.mark.parametrize("packed", [False, True])
def test_a_broken_download_is_resumed(
    packed: bool, wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable, waits: Waits
) -> None:
    knows.gzip = packed
    knows.faults = deque(["", "drop", "drop", "drop", "", "drop"])
    call()
    assert_equals_table(wanted, knows.table)
    first = knows.seen[1]
    ranged = [seen for seen in knows.seen if seen.range]
    assert [seen.status for seen in ranged] == [206] * 4
    # Each goes on where the one before broke off, and what came before is not sent again.
    assert ranged[0].range == f"bytes={first.sent}-"
    assert ranged[1].range == f"bytes={first.sent + ranged[0].sent}-"
    whole = knows.votable(first.query, 10**9)
    if not packed:
        assert first.sent + sum(seen.sent for seen in ranged[:3]) == len(whole)
    # Attempts that gain something do not count as failures in a row.
    assert waits == [1.0] * 4


@pytest.mark.parametrize("fault", ["weak-drop", "unsized-cut", "cut-lie", "gzip-cut", "lie-long", "empty", "broke-off"])
def test_what_cannot_be_continued_is_begun_anew(
    fault: str, wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable
) -> None:
    knows.faults = deque([fault])
    knows.etag = fault != "unsized-cut"
    call()
    assert_equals_table(wanted, knows.table)
    assert [seen.status for seen in knows.seen if not seen.range][:2] == [200, 200]


@pytest.mark.parametrize(
    ("fault", "then"), [("drop", "changed"), ("chunk-drop", "changed"), ("drop", "wrong-range"), ("drop", "no-ranges")]
)
def test_a_changed_answer_is_never_put_together_with_the_old(
    fault: str, then: str, wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable
) -> None:
    knows.faults = deque([fault, then])
    call()
    assert_equals_table(wanted, knows.table)
    second, third = knows.seen[1], knows.seen[2]
    assert second.range
    assert second.status == (206 if then == "wrong-range" else 200)
    assert not third.range


def test_a_busy_service_is_given_time(
    wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable, waits: Waits
) -> None:
    knows.faults = deque(["503 7", "500", "429", "", "502", "", "504"])
    call()
    assert_equals_table(wanted, knows.table)
    assert waits == [7.0, 2.0, 4.0, 1.0, 1.0]


def test_a_wait_that_makes_no_sense_is_none() -> None:
    now = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    assert asked_wait("Mon, 01 Jan 2024 00:00:30 GMT", now) == 30.0
    for text in ("Mon, 01 Jan 2024 99999999999999999999:00:00 GMT", "Mon, 01 Jan 99999 00:00:00 GMT", "soon"):
        assert asked_wait(text, now) is None


def test_too_long_a_wait_is_left_to_the_user(
    wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable, waits: Waits
) -> None:
    knows.faults = deque(["503 86400"])
    with pytest.raises(TemporaryError, match=r"asks to wait 86400 s.*come back later.*goes on from here"):
        call()
    assert waits == []


@pytest.mark.parametrize("fault", ["cut-lie", "lie-long", "gzip-cut", "chunk-drop", "few-rows", "promises"])
def test_a_truncated_answer_is_never_used(
    fault: str, wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable
) -> None:
    knows.etag = False
    knows.faults = deque(["", *[fault] * 20])
    with pytest.raises(TemporaryError, match="failed 4 times"):
        call()
    assert nothing_made(wanted)
    kept = [path.name for path in (wanted.output / ".gaia.fetch").iterdir() if path.suffix == ".xml"]
    assert len(kept) == 1
    # The same command goes on with the part that is complete.
    asked = len(knows.seen)
    knows.faults.clear()
    again = call()
    assert again.progress.reused == 1
    assert len(knows.seen) - asked == again.progress.done - 1
    assert_equals_table(wanted, knows.table)


def test_an_endless_slow_answer_is_given_up(wanted: FetchRequest, knows: TapTable, waits: Waits) -> None:
    knows.faults = deque(["slow"] * 9)
    hasty = replace(PATIENCE, attempts=2, whole=0.15)
    knows.etag = False
    with pytest.raises(TemporaryError, match=r"took longer than 0\.15 s"):
        fetch(wanted, patience=hasty, sleep=waits)
    assert nothing_made(wanted)


def test_a_silent_answer_is_resumed(wanted: FetchRequest, knows: TapTable, waits: Waits) -> None:
    knows.faults = deque(["stall"])
    fetch(wanted, patience=replace(PATIENCE, read=0.2), sleep=waits)
    assert knows.seen[1].range
    assert_equals_table(wanted, knows.table)


@pytest.mark.parametrize("binary", [False, True])
def test_overflow_splits_the_region(
    binary: bool, wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable
) -> None:
    # The service cuts at 40 rows and says so.
    knows.limit, knows.binary = 40, binary
    fetched = call()
    assert fetched.progress.split > 1
    assert_equals_table(wanted, knows.table)


def test_own_limit_splits_the_region(wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable) -> None:
    tap = wanted.column_map.tap
    assert tap is not None
    small = wanted.column_map.model_copy(update={"tap": tap.model_copy(update={"max_rows": 90, "region": "circle"})})
    assert call(column_map=small).progress.split > 1
    assert_equals_table(wanted, knows.table)


def test_a_service_that_cuts_everything(call: Callable[..., Fetched], knows: TapTable) -> None:
    knows.limit = 0
    knows.table = knows.table[:1]
    knows.table["ra"], knows.table["dec"] = CONE.ra, CONE.dec
    with pytest.raises(DamagedInputError, match="cuts its answers even for"):
        call()


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        ("refused", UsageError, "refuses the query for trixel .*HTTP 400: no column"),
        ("error-200", UsageError, "refuses the query.*no column"),
        ("403", UsageError, "HTTP 403: busy: come back later"),
        ("404", UsageError, "HTTP 404"),
        ("portal", DamagedInputError, "not a VOTable: Please log in.*portal"),
        ("entity", DamagedInputError, "refers to other files"),
        ("elsewhere", DamagedInputError, "refers to other files"),
        ("packed-elsewhere", DamagedInputError, "is not a VOTable"),
        ("wide", DamagedInputError, r"too large: 2000 rows of 800\d{3} bytes"),
        ("everywhere", DamagedInputError, "objects outside of the region"),
        ("bomb", DamagedInputError, "unpacks to more than"),
    ],
)
def test_refusals_and_traps_stop_at_once(
    fault: str,
    error: type[HscboxError],
    text: str,
    wanted: FetchRequest,
    knows: TapTable,
    waits: Waits,
) -> None:
    knows.faults = deque([fault])
    with pytest.raises(error, match=text) as caught:
        fetch(wanted, patience=replace(PATIENCE, most_bytes=2_000_000), sleep=waits)
    assert len(knows.seen) == 1
    assert waits == []
    assert nothing_made(wanted)
    assert "\n" not in str(caught.value)


def test_numbers_that_are_none(wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable) -> None:
    knows.faults = deque(["dtd-free-junk"] * 9)
    with pytest.raises((DamagedInputError, TemporaryError), match="trixel"):
        call()
    assert nothing_made(wanted)


def test_an_answer_too_long(wanted: FetchRequest, knows: TapTable, waits: Waits) -> None:
    for fault in ("", "chunked"):
        knows.faults = deque([fault] * 9)
        with pytest.raises(DamagedInputError, match="longer than 3000 bytes"):
            fetch(wanted, patience=replace(PATIENCE, most_bytes=3000), sleep=waits)


def test_a_column_that_the_service_leaves_out(call: Callable[..., Fetched], knows: TapTable) -> None:
    knows.table = knows.table.copy()
    knows.table.remove_column("pmra")
    with pytest.raises(MissingInputError, match=r"lacks pmra; it has source_id, ra, dec"):
        call()


def test_offline(wanted: FetchRequest, waits: Waits) -> None:
    gone = replace(wanted, url="http://127.0.0.1:9/tap")
    with pytest.raises(TemporaryError, match=r"127.0.0.1:9/tap/sync failed 4 times.*refused.*Check the network"):
        fetch(gone, patience=PATIENCE, sleep=waits)
    assert waits == [1.0, 2.0, 4.0]


def test_a_damaged_part_is_fetched_again(wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable) -> None:
    knows.faults = deque(["", "", "403"])
    with pytest.raises(UsageError):
        call()
    store = wanted.output / ".gaia.fetch"
    first, second = sorted(store.glob("*.xml"))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    second.with_suffix(".json").write_text("{")
    assert call().progress.reused == 0
    assert_equals_table(wanted, knows.table)


def test_parts_of_another_question_do_not_count(
    wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable
) -> None:
    knows.faults = deque(["", "drop", *["403"]])
    with pytest.raises(UsageError):
        call()
    tap = wanted.column_map.tap
    assert tap is not None
    asked = len(knows.seen)
    uncut = wanted.column_map.model_copy(update={"tap": tap.model_copy(update={"cuts": ()})})
    assert call(column_map=uncut).progress.reused == 0
    assert not any(seen.range for seen in knows.seen[asked:])


def test_progress_and_interruption(wanted: FetchRequest, knows: TapTable, waits: Waits) -> None:
    seen: list[tuple[int, int]] = []

    def changed(state: Progress) -> None:
        seen.append((state.done, state.parts))
        if state.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(wanted, patience=PATIENCE, progress=Progress(changed=changed), sleep=waits)
    assert nothing_made(wanted)
    assert seen[-1] == (2, len(trixels_of_cones([CONE], 7)))
    assert fetch(wanted, patience=PATIENCE, sleep=waits).progress.reused == 2
    assert_equals_table(wanted, knows.table)


def test_what_is_refused_before_any_request(
    wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable
) -> None:
    with pytest.raises(UsageError, match="not the address"):
        call(url="file:///etc/passwd")
    with pytest.raises(UsageError, match="cannot be the name"):
        call(name="../gaia")
    (wanted.output / "gaia").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"exists; a catalogue is never overwritten. Give another --name"):
        call()
    assert knows.seen == []


def test_two_at_once(wanted: FetchRequest, call: Callable[..., Fetched], knows: TapTable, tmp_path: Path) -> None:
    from hscbox.refcat.parts import PartStore

    with (
        PartStore(wanted.output / ".gaia.fetch").locked(),
        pytest.raises(TemporaryError, match="Another hscbox refcat fetch"),
    ):
        call()
    call()


def test_outlines_contain_their_trixels() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    for depth in (3, 7, 9):
        for trixel in rng.integers(8 * 4**depth, 16 * 4**depth, 40).tolist():
            corners, circle = outline(trixel)
            ra, dec = np.array([point[0] for point in corners]), np.array([point[1] for point in corners])
            assert (separation(ra, dec, circle.ra, circle.dec) <= circle.radius * (1 + 1e-9)).all()
            # Points of the true trixel are inside of the grown edges by at least a second of arc.
            lon, lat = np.radians(ra), np.radians(dec)
            vectors = np.stack([np.cos(lon) * np.cos(lat), np.sin(lon) * np.cos(lat), np.sin(lat)], axis=-1)
            true = sphgeom.HtmPixelization(depth).triangle(trixel).getVertices()
            for first, second in zip(vectors, np.roll(vectors, -1, axis=0), strict=True):
                normal = np.cross(first, second)
                normal /= np.linalg.norm(normal)
                inside = [np.degrees(np.arcsin(np.dot(normal, [v.x(), v.y(), v.z()]))) * 3600 for v in true]
                assert min(inside) > 1.0
