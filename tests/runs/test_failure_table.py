"""The table of failures at the end of a run, and the record of a failure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hscbox.errors import MagnitudeCutError, NoMatchError
from hscbox.pipeline.record import CcdRecord, to_text
from hscbox.runs.failures import failure_classes, meaning
from hscbox.runs.summary import print_summary


def outcome(visit: object, ccd: object, code: str, status: int = 20) -> CcdRecord:
    return CcdRecord(data_id={"visit": visit, "ccd": ccd}).lost(code, status, "What was wrong")


RUN = [
    *(outcome(40984, ccd, "unable-to-match") for ccd in (9, 0, 1, 2, 3, 10)),
    outcome(40984, 55, "done", 0),
    outcome(40986, 55, "no-psf-stars"),
    outcome(40982, 7, "unable-to-match"),
    outcome(40986, 8, "worker-killed", 75),
]


def test_ccds_are_counted_by_code():
    rows = failure_classes(RUN)
    assert [(row.code, row.n, row.status) for row in rows] == [
        ("unable-to-match", 7, 20),
        ("no-psf-stars", 1, 20),
        ("worker-killed", 1, 75),
    ]
    # Words that --id takes.
    assert rows[0].ids == ("visit=40982 ccd=7", "visit=40984 ccd=0..3^9..10")
    assert rows[0].meaning == "Unable to match sources"


@pytest.mark.parametrize("code", [NoMatchError.code, MagnitudeCutError.code, "timeout", "worker-killed", "unexpected"])
def test_every_code_has_a_meaning(code):
    assert len(meaning(code).split()) >= 3


def test_table_is_printed_for_several_ccds(capsys):
    print_summary(RUN, 12.0)
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if "unable-to-match" in line and "visit=40982" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "7", "unable-to-match", "Unable to match sources", "20", "visit=40982 ccd=7",
    ]  # fmt: skip
    assert printed.splitlines()[-1] == "0 of 10 CCDs done in 12.0 s"


def test_one_line_if_nothing_failed(capsys):
    print_summary([outcome(40984, ccd, "done", 0) for ccd in (55, 56)], 3.0)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_record_keeps_the_numbers_of_the_error():
    error = NoMatchError("Unable", remedy="Check", pairs=np.int64(3), scatter=np.float64("nan"), radius=1.5, name="x")
    record = json.loads(to_text(CcdRecord(data_id={"visit": 1, "ccd": 2}).failed(error)))
    assert record["status"] == "unable-to-match"
    assert record["error"] == {
        "message": "Unable. Check",
        "numbers": {"pairs": 3, "scatter": None, "radius": 1.5, "name": "x"},
    }
