"""Answers of TAP services: VOTables, checked before they are parsed and after.

What comes from the net is hostile: nothing in it may reach for other files, allocate more than it brought, or pass
for complete when it is not. QUERY_STATUS: TAP 1.1, section 3.3; DALI 1.1, section 4.4.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from dataclasses import dataclass
from typing import Any

from ..errors import DamagedInputError, HscboxError, UsageError
from .columns import Columns, pick_columns

__all__ = ["Answer", "CutAnswerError", "read_answer", "service_message"]

# What packed bytes begin with, astropy would unpack by itself; and other encodings would hide tags from what follows.
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[?!\w]")
_START = re.compile(rb"<(?:\w+:)?VOTABLE\b")
_END = re.compile(rb"</(?:\w+:)?VOTABLE\s*>\s*(?:<!--.{0,2000}-->\s*)?\Z", re.DOTALL)
_DECLARATION = re.compile(rb"<!DOCTYPE|<!ENTITY", re.IGNORECASE)
# No pattern below goes beyond the next "<", which no tag holds: the time is proportional to the length of the text.
_PREFIX = rb"<(?:[^\s<>/:]*+:)?"
_TAG = re.compile(
    _PREFIX + rb"""(STREAM|FITS|PARQUET|TABLE|FIELD|PARAM)(?=[\s/>])((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)""",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(rb"""(?<=\s)([^\s=<>"'/]++)\s*+=\s*+(?:"([^"<]*+)"|'([^'<]*+)')""")
_ROW = re.compile(_PREFIX + rb"TR[\s/>]")
_ARRAY = re.compile(rb"[\d\sx*]*")
# astropy makes a value of this many bytes for each column, also without rows.
_WIDEST = 2**20
# A million rows, the most that a map may ask for, of a hundred numbers.
_MOST_BYTES = 800_000_000
_TEXT = re.compile(r"<[^<>]*>|\s+")
_INFO = re.compile(rb"<(?:\w+:)?INFO\b[^<>]*>", re.IGNORECASE)
_INFO_END = re.compile(rb"</(?:\w+:)?INFO", re.IGNORECASE)
_LONGEST_MESSAGE = 4000
# Warnings of astropy about spelling and versions, not about data: units, UCDs, ids, namespaces, deprecated elements.
_HARMLESS = re.compile(
    "W(02|03|04|05|06|09|10|11|12|13|15|17|20|21|22|23|26|27|28|29|34|41|42|43|44|45|47|48|50|53|54|57)"
)
# The table has fewer rows than it promises.
_SHORT = "W18"


class CutAnswerError(HscboxError):
    """The answer is not whole; another try may bring the rest."""


@dataclass(frozen=True)
class Answer:
    """A complete VOTable.

    Attributes
    ----------
    columns
        The columns asked for.
    rows
        Their length.
    overflow
        Whether the service says that there are more rows.
    """

    columns: Columns
    rows: int
    overflow: bool


def service_message(body: bytes) -> str:
    """Return what a service says about an error, as one short line."""
    about = body[:_LONGEST_MESSAGE]
    for tag in _INFO.finditer(body):
        if b"QUERY_STATUS" in tag[0].upper() and b"ERROR" in tag[0].upper():
            about = _INFO_END.split(body[tag.end() : tag.end() + _LONGEST_MESSAGE], maxsplit=1)[0]
            break
    text = about.decode("utf-8", "replace").replace("<![CDATA[", "").replace("]]>", "")
    shown = " ".join(_TEXT.sub(" ", text).split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
    return shown[:300] or "no message"


def read_answer(body: bytes, wanted: tuple[str, ...], part: str) -> Answer:
    """Parse the answer to one query.

    Parameters
    ----------
    part
        What the answer is for, for messages.

    Raises
    ------
    CutAnswerError
        The end is missing, or the service broke off.
    UsageError
        The service refuses the query.
    DamagedInputError
        It is no VOTable, or not one to trust.
    MissingInputError
        Columns are missing.
    """
    if not _BEGIN.match(body[:4096]) or not _START.search(body[:4096]):
        if len(body) < 256 and not body.strip():
            raise CutAnswerError(f"The answer for {part} is empty")
        raise DamagedInputError(
            f"The answer for {part} is not a VOTable: {service_message(body[:2000])}",
            remedy="Check --url; a portal or proxy may have answered instead of the service",
        )
    if not _END.search(body[-4096:]):
        raise CutAnswerError(f"The answer for {part} ends before its VOTable does")
    _refuse_traps(body, part)
    table, infos = _parse(body, part)
    status = {str(value).upper(): str(content or "") for name, value, content in infos if name == "QUERY_STATUS"}
    if "ERROR" in status:
        message = service_message(status["ERROR"].encode()) if status["ERROR"] else "no message"
        if "OK" in status or table is not None:
            raise CutAnswerError(f"The service broke off the answer for {part}: {message}")
        raise refused(part, message)
    if table is None:
        raise DamagedInputError(f"The answer for {part} holds no table", remedy="Check --url")
    columns = pick_columns(table, wanted, f"The answer for {part}")
    return Answer(columns, len(table), "OVERFLOW" in status)


def refused(part: str, message: str) -> UsageError:
    """Return the error for a query that the service does not accept."""
    return UsageError(
        f"The service refuses the query for {part}: {message}",
        remedy="Check --url, and table, columns and cuts of the column map",
    )


def _refuse_traps(body: bytes, part: str) -> None:
    trap = _DECLARATION.search(body)
    if trap is not None:
        raise _elsewhere(trap[0], part)
    rows, width = len(_ROW.findall(body)), 0
    for tag in _TAG.finditer(body):
        name = tag[1].upper()
        values = {key.lower(): double or single for key, double, single in _ATTRIBUTE.findall(tag[2])}
        if name == b"TABLE" and b"nrows" in values:
            text = values[b"nrows"].strip()
            # A row takes some bytes even in the binary forms, base64 included.
            if not text.isdigit() or len(text) > 12 or int(text) > len(body):
                raise CutAnswerError(f"The answer for {part} promises {_shown(text)} rows in {len(body)} bytes")
            rows = max(rows, int(text))
        elif name in {b"FIELD", b"PARAM"}:
            width += _width(values.get(b"arraysize", b""), part) * (name == b"FIELD")
        elif name != b"TABLE" and b"href" in tag[2].lower():
            raise _elsewhere(tag[0], part)
    if rows * width > _MOST_BYTES:
        raise DamagedInputError(
            f"The answer for {part} is too large: {rows} rows of {width} bytes when unpacked",
            remedy="Lower max_rows of the map",
        )


def _elsewhere(trap: bytes, part: str) -> DamagedInputError:
    return DamagedInputError(
        f"The answer for {part} refers to other files ({trap[:40]!r}), which is not followed", remedy="Check --url"
    )


def _width(size: bytes, part: str) -> int:
    """Return the bytes that a row of a column with this `arraysize` takes at most, by the number."""
    numbers = [int(number) if len(number) < 10 else _WIDEST for number in re.findall(rb"\d+", size)]
    width = 8 * math.prod(max(number, 1) for number in numbers)
    if width > _WIDEST or not _ARRAY.fullmatch(size):
        raise DamagedInputError(f"The answer for {part} has a column of arrays of {_shown(size)}")
    return width


def _shown(text: bytes) -> str:
    return text[:20].decode("utf-8", "replace")


def _parse(body: bytes, part: str) -> tuple[Any, list[tuple[str, str, str | None]]]:
    """Return the first table (None without one) and all INFO elements as name, value, content."""
    from astropy.io.votable import parse
    from astropy.io.votable.exceptions import VOWarning

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            document = parse(io.BytesIO(body), verify="warn")
            infos, first = list(document.iter_info()), next(document.iter_tables(), None)
            table = first.to_table(use_names_over_ids=True) if first is not None and first.fields else None
    except MemoryError as error:
        raise DamagedInputError(
            f"The answer for {part} does not fit into the memory", remedy="Lower max_rows of the map"
        ) from error
    except Exception as error:
        # astropy raises nearly anything for a broken document.
        text = " ".join(str(error).split())[:200]
        raise CutAnswerError(f"The answer for {part} is broken: {text}") from error
    for warning in caught:
        kind = warning.category.__name__
        if kind == _SHORT:
            raise CutAnswerError(f"The answer for {part} has fewer rows than it says")
        if issubclass(warning.category, VOWarning) and not _HARMLESS.fullmatch(kind):
            raise DamagedInputError(
                f"The answer for {part} is not clean: {kind}: {' '.join(str(warning.message).split())[:200]}",
                remedy="Check --url",
            )
    return table, [(str(info.name), str(info.value), info.content) for info in infos]
