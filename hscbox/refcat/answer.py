"""Answers of TAP services: VOTables, checked before they are parsed and after.

What comes from the net is hostile: nothing in it may reach for other files, allocate more than it brought, or pass
for complete when it is not. QUERY_STATUS: TAP 1.1, section 3.3; DALI 1.1, section 4.4.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

from ..errors import DamagedInputError, HscboxError, UsageError
from .columns import Columns, pick_columns

__all__ = ["Answer", "CutAnswerError", "read_answer", "service_message"]

_START = re.compile(rb"<(?:\w+:)?VOTABLE\b")
_END = re.compile(rb"</(?:\w+:)?VOTABLE\s*>\s*(?:<!--.{0,2000}-->\s*)?\Z", re.DOTALL)
_FORBIDDEN = re.compile(rb"<!DOCTYPE|<!ENTITY|<(?:\w+:)?(?:STREAM|FITS|PARQUET)\b[^>]*\shref\s*=", re.IGNORECASE)
_NROWS = re.compile(rb"<(?:\w+:)?TABLE\b[^>]*\snrows\s*=\s*[\"']\s*(\d+)", re.IGNORECASE)
_SIZES = re.compile(rb"\sarraysize\s*=\s*[\"']([^\"']*)", re.IGNORECASE)
_WIDEST_ARRAY = 4096
_TEXT = re.compile(r"<[^>]*>|\s+")
_ERROR_INFO = re.compile(
    rb"<(?:\w+:)?INFO\b[^>]*\bQUERY_STATUS\b[^>]*\bERROR\b[^>]*>(.*?)</(?:\w+:)?INFO", re.DOTALL | re.IGNORECASE
)
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
    found = _ERROR_INFO.search(body)
    text = (found[1] if found else body[:4000]).decode("utf-8", "replace").replace("<![CDATA[", "").replace("]]>", "")
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
    if not _START.search(body[:4096]):
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
    trap = _FORBIDDEN.search(body)
    if trap is not None:
        raise DamagedInputError(
            f"The answer for {part} refers to other files ({trap[0][:40]!r}), which is not followed",
            remedy="Check --url",
        )
    for match in _NROWS.finditer(body):
        # A row takes some bytes even in the binary forms, base64 included.
        if len(match[1]) > 12 or int(match[1]) > len(body):
            raise CutAnswerError(f"The answer for {part} promises {match[1][:20].decode()} rows in {len(body)} bytes")
    for match in _SIZES.finditer(body):
        for number in re.findall(rb"\d+", match[1]):
            if len(number) > 6 or int(number) > _WIDEST_ARRAY:
                raise DamagedInputError(f"The answer for {part} has a column of arrays of {number[:20].decode()}")


def _parse(body: bytes, part: str) -> tuple[Any, list[tuple[str, str, str | None]]]:
    """Return the first table (None without one) and all INFO elements as name, value, content."""
    from astropy.io.votable import parse
    from astropy.io.votable.exceptions import VOWarning

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            document = parse(io.BytesIO(body), verify="warn")
            infos = list(document.infos)
            tables = []
            for resource in document.resources:
                infos += resource.infos
                for found in resource.tables:
                    infos += found.infos
                    tables.append(found)
            table = tables[0].to_table(use_names_over_ids=True) if tables and tables[0].fields else None
    except MemoryError:
        raise
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
