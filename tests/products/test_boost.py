from __future__ import annotations

import math

import pytest

from hscbox.errors import DamagedInputError, MissingInputError
from hscbox.products.boost import read_boost, write_boost
from hscbox.task_metadata import TaskMetadata

# An archive that a Boost 1.74 program with the stack's class structure read back.
SAMPLE = (
    "22 serialization::archive 14 0 0 1 0\n"
    "0 6 22 processCcd.runStartUtc 115 0 0 1 0 26 2017-09-26T18:40:00.123456 "
    "26 processCcd.runStartCpuTime 100 1 0 1.23399999999999999e+01 "
    "67 processCcd:charImage:detection.detectFootprintsStartMajorPageFaults 105 2 0 0 3 "
    "39 processCcd:charImage:detection.doSmooth 98 1 1 "
    "39 processCcd:charImage:repair.runStartUtc 115 2 0 21 2017-09-26T18:41:00.1 21 2017-09-26T18:42:00.2 "
    "28 processCcd:calibrate.MAGZERO 100 1 0 2.71294959999999996e+01\n"
)


def _metadata() -> TaskMetadata:
    metadata = TaskMetadata()
    metadata.add("processCcd.runStartUtc", "2017-09-26T18:40:00.123456")
    metadata.add("processCcd.runStartCpuTime", 12.34)
    for value in (0, 3):
        metadata.add("processCcd:charImage:detection.detectFootprintsStartMajorPageFaults", value)
    metadata.add("processCcd:charImage:detection.doSmooth", True)
    for text in ("2017-09-26T18:41:00.1", "2017-09-26T18:42:00.2"):
        metadata.add("processCcd:charImage:repair.runStartUtc", text)
    metadata.add("processCcd:calibrate.MAGZERO", 27.129496)
    return metadata


def test_writer_gives_the_bytes_that_boost_accepts(tmp_path):
    write_boost(tmp_path / "m.boost", _metadata())
    assert (tmp_path / "m.boost").read_text() == SAMPLE


def test_reader_returns_types_and_lists(tmp_path):
    (tmp_path / "m.boost").write_text(SAMPLE)
    assert read_boost(tmp_path / "m.boost").items == _metadata().items


def test_text_with_blanks_newlines_and_nothing(tmp_path):
    metadata = TaskMetadata()
    metadata.add("a", "two words\nand a line é")
    metadata.add("b", "")
    metadata.add("c", 2**40)
    write_boost(tmp_path / "m.boost", metadata)
    assert read_boost(tmp_path / "m.boost").items == metadata.items


def test_numbers_that_boost_cannot_read_are_left_out(tmp_path):
    metadata = TaskMetadata()
    metadata.add("bad", math.nan)
    metadata.add("good", 1.0)
    write_boost(tmp_path / "m.boost", metadata)
    assert list(read_boost(tmp_path / "m.boost").items) == ["good"]


@pytest.mark.parametrize("text", ["", "no archive", SAMPLE[:200], SAMPLE.replace(" 6 22", " 7 22", 1)])
def test_damaged_archives_are_named(tmp_path, text):
    (tmp_path / "m.boost").write_text(text)
    with pytest.raises(DamagedInputError, match=r"m\.boost"):
        read_boost(tmp_path / "m.boost")


def test_missing_archive(tmp_path):
    with pytest.raises(MissingInputError):
        read_boost(tmp_path / "none.boost")
