"""Read the tables of facts in `camera/data` and in the directories `data` of other rooms.

The tables are ECSV files, readable by eye and by astropy. astropy needs 30 ms for the larger ones and a
second to be imported, so that ingest would spend more time on them than on its files; the reader here takes
only what our own tables use: space-separated columns of int64, float64, bool and string.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

__all__ = ["CONVERTERS", "Row", "read_table", "record"]

Row = dict[str, Any]
"""One line of a table: int, float, bool or str by column name."""

_COLUMN = re.compile(r"# - \{name: (\w+),.* ?datatype: (\w+)[,}]")
CONVERTERS: dict[str, Callable[[str], Any]] = {
    "int64": int,
    "float64": float,
    "bool": lambda text: text == "True",
    "string": str,
}
"""How a text becomes a value of the types that a table may name."""


@cache
def read_table(name: str, room: str = "camera") -> tuple[Row, ...]:
    """Return the rows of table `name` of a room of the package, in file order.

    The rows are shared between callers and must not be changed.

    Raises
    ------
    FileNotFoundError
        The package has no such table.
    ValueError
        The body does not fit the header.
    """
    lines = (files("hscbox") / room / "data" / f"{name}.ecsv").read_text(encoding="ascii").splitlines()
    columns = [match.groups() for line in lines if (match := _COLUMN.match(line))]
    body = csv.reader((line for line in lines if not line.startswith("#")), delimiter=" ")
    if next(body) != [column for column, _ in columns]:
        raise ValueError(f"Table {name} has other columns than its header says")
    names = [column for column, _ in columns]
    converters = [CONVERTERS[datatype] for _, datatype in columns]
    return tuple(
        {column: convert(text) for column, convert, text in zip(names, converters, fields, strict=True)}
        for fields in body
    )


def record(kind: type[Record], row: Row) -> Record:
    """Return the dataclass `kind` whose fields have the names of columns of the row; further columns are left out."""
    return kind(**{item.name: row[item.name] for item in fields(kind) if item.name in row})
