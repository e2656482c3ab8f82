from __future__ import annotations

import pytest

from hscbox.butler.data_id import parse_ids
from hscbox.errors import UsageError


def test_values_ranges_and_mixtures():
    assert [d["visit"] for d in parse_ids([["visit=1^5^9"]])] == [1, 5, 9]
    assert [d["ccd"] for d in parse_ids([["ccd=1..5"]])] == [1, 2, 3, 4, 5]
    assert [d["ccd"] for d in parse_ids([["ccd=1..6:2"]])] == [1, 3, 5]
    assert [d["ccd"] for d in parse_ids([["ccd=1..3^7^10..12"]])] == [1, 2, 3, 7, 10, 11, 12]


def test_last_key_varies_fastest():
    found = [(d["visit"], d["ccd"]) for d in parse_ids([["visit=2^1", "ccd=8..9"]])]
    assert found == [(2, 8), (2, 9), (1, 8), (1, 9)]


def test_duplicates_are_removed_within_and_between_ids():
    found = parse_ids([["visit=1^1", "ccd=3"], ["ccd=3..4", "visit=1"]])
    assert [(d["visit"], d["ccd"]) for d in found] == [(1, 3), (1, 4)]


def test_types_and_literal_commas():
    assert parse_ids([["field=A,B", "expTime=300", "dateObs=2015-10-10"]]) == [
        {"field": "A,B", "expTime": 300.0, "dateObs": "2015-10-10"}
    ]


def test_an_id_without_words_is_everything_and_no_id_nothing():
    assert parse_ids([[]]) == [{}]
    assert parse_ids([]) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["visit"], "key=value"),
        (["visit="], "key=value"),
        (["visit=1", "visit=2"], "twice"),
        (["vist=1"], "Did you mean 'visit'"),
        (["foo=1"], "proposal"),
        (["visit=abc"], "'visit'"),
        (["visit=1_0"], "'visit'"),
        (["visit=99999999999999999999"], "'visit'"),
        (["visit=9..1"], "Empty range"),
        (["visit=1..5:0"], "Empty range"),
        (["visit=1^^2"], "Empty value"),
        (["ccd=1.5"], "'ccd'"),
        (["visit=0..999999999"], "at most"),
        (["visit=0..9999", "ccd=0..999"], "at most"),
    ],
)
def test_bad_ids_name_the_key_and_what_is_allowed(words: list[str], expected: str):
    with pytest.raises(UsageError, match=expected.replace("(", r"\(")):
        parse_ids([words])
