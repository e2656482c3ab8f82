"""Answers made to be slow, large or misread."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hscbox.errors import DamagedInputError
from hscbox.refcat import answer
from hscbox.refcat.answer import read_answer

_DOCUMENT = (
    '<VOTABLE version="1.3"><RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/>'
    '<TABLE{table}><FIELD name="a" datatype="double"{field}/><DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>'
)
_ROWS = "<TABLEDATA><TR><TD>1</TD></TR></TABLEDATA>"


def document(table: str = "", field: str = "", data: str = _ROWS) -> bytes:
    return _DOCUMENT.format(table=table, field=field, data=data).encode()


def test_the_plain_document_is_read() -> None:
    assert read_answer(b"\xef\xbb\xbf\n" + document(' nrows="1"'), ("a",), "x").rows == 1


def test_the_time_is_proportional_to_the_length() -> None:
    """Each of these takes minutes where a pattern looks beyond the next tag for every tag."""
    code = (
        "from hscbox.refcat.answer import read_answer, service_message\n"
        "for tag in (b'<TABLE ', b'<FIELD \"', b'<STREAM a', b'<INFO QUERY_STATUS ERROR '):\n"
        "    service_message(tag * 40000)\n"
        "    try: read_answer(b'<VOTABLE>' + tag * 40000 + b'</VOTABLE>', ('a',), 'x')\n"
        "    except Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["CutAnswerError"] * 4


@pytest.mark.parametrize(
    "trap",
    [
        '<BINARY><STREAM rights=">" href="file:///etc/passwd"/></BINARY>',
        '<BINARY><a-b:STREAM href="file:///etc/passwd"/></BINARY>',
        "<BINARY><STREAM\thref = 'file:///etc/passwd'/></BINARY>",
    ],
)
def test_references_are_found_however_they_are_written(trap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "_parse", lambda body, part: pytest.fail("it was parsed"))
    with pytest.raises(DamagedInputError, match="refers to other files"):
        read_answer(document(data=trap), ("a",), "x")


@pytest.mark.parametrize(
    ("table", "field"),
    [
        (' nrows="1100"' + " " * 1100, ' arraysize="100000"'),
        ('><PARAM name="p" datatype="double" arraysize="200000000" value="1"/', ""),
        ("", ' arraysize="1000x1000"'),
        ("", ' arraysize="4096x4096x4096"'),
        ("", ' arraysize="999999999*"'),
        ("", ' arraysize="1&#48;00000000"'),
        ("", ' arraysize="9999999999999"'),
    ],
)
def test_no_more_memory_than_the_rows_of_a_catalogue_need(
    table: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer, "_parse", lambda body, part: pytest.fail("it was parsed"))
    with pytest.raises(DamagedInputError, match=r"too large|column of arrays"):
        read_answer(document(table, field), ("a",), "x")


def test_too_little_memory_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object, **names: object) -> None:
        raise MemoryError

    monkeypatch.setattr("astropy.io.votable.parse", full)
    with pytest.raises(DamagedInputError, match="does not fit into the memory"):
        read_answer(document(), ("a",), "x")
