"""afw tables as FITS binary tables: from an HDU to a schema and columns.

The layout is that of `hscbox.products.table_writer`; files of any version of the LSST stack, and tables made
by other programs, are read too.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ..catalog.schema import FIELD_TYPES, VARIABLE, Field, Schema
from ..errors import DamagedInputError
from ..fits.metadata import Metadata
from ..fits.read import ReadUnit
from ..fits.tables import Column, VariableArray, read_columns
from .table_writer import FIELD_CARD, is_table_keyword

__all__ = ["DecodedTable", "decode_table"]

log = logging.getLogger("hscbox.catalog")

_FIELD_TYPES = {
    **{"i8": "L", "u4": "L", "i4": "I", "i2": "I", "i1": "I", "u2": "U", "u1": "B", "f8": "D", "f4": "F"},
    **{"b1": "Flag", "S1": "String"},
}
"""Field types by types of numbers."""


@dataclass
class DecodedTable:
    """What a binary table holds: fields, their columns in native byte order by name, cards that describe no table."""

    schema: Schema
    columns: dict[str, np.ndarray]
    rows: int
    metadata: Metadata


def decode_table(unit: ReadUnit) -> DecodedTable:
    """Read a table unit.

    Columns of types that catalogues do not have (complex numbers, loose bits) are skipped with a warning.

    Raises
    ------
    DamagedInputError
        The header contradicts itself.
    """
    stored = read_columns(unit)
    cards, aliases, metadata = _sort_cards(unit)
    table = DecodedTable(Schema(), {}, int(unit.header["NAXIS2"]), metadata)
    bits = _flag_bits(unit, stored, [number for kind, number in cards if kind == "TFLAG"])
    for kind, number in _mentions(cards):
        if kind == "TFLAG":
            item = Field(str(cards["TFLAG", number]), "Flag", str(cards.get(("TFDOC", number), "")))
            column = bits[:, number - 1].copy()
        elif number == unit.header.get("FLAGCOL"):
            continue
        else:
            found = _field(stored[number - 1]) if 0 < number <= len(stored) else None
            if found is None:
                name = str(cards.get(("TTYPE", number), f"column{number}"))
                log.warning("%s: column %s has a type that catalogues do not have; skipped", unit.path, name)
                continue
            item, column = found
        if item.name in table.columns:
            raise DamagedInputError(f"{unit.path} has two fields named {item.name}", remedy="Make the file again")
        table.schema.add(item)
        table.columns[item.name] = column
    for name, target in aliases.items():
        table.schema.set_alias(name, target)
    return table


_Cards = dict[tuple[str, int], object]


def _sort_cards(unit: ReadUnit) -> tuple[_Cards, dict[str, str], Metadata]:
    """Return field cards, aliases, and the cards that do not describe the table."""
    fields: _Cards = {}
    for keyword, value in unit.header.items():
        match = FIELD_CARD.fullmatch(keyword)
        if match:
            fields[match[1], int(match[2])] = value
    metadata = unit.metadata(lambda keyword: keyword != "ALIAS" and is_table_keyword(keyword))
    stated = metadata.pop("ALIAS", [])
    pairs = [str(text).partition(":") for text in (stated if isinstance(stated, list) else [stated])]
    return fields, {name: target for name, _, target in pairs if target}, metadata


def _mentions(cards: _Cards) -> list[tuple[str, int]]:
    """Return ("TTYPE", column) and ("TFLAG", bit) in the order in which the header first mentions them."""
    seen: dict[tuple[str, int], None] = {}
    for kind, number in cards:
        if kind == "TFDOC" and ("TFLAG", number) not in cards:
            continue
        seen.setdefault(("TFLAG" if kind in {"TFLAG", "TFDOC"} else "TTYPE", number))
    return list(seen)


def _flag_bits(unit: ReadUnit, stored: list[Column], flags: list[int]) -> np.ndarray:
    """Return the bits of the table's flags, (rows, flags)."""
    if not flags:
        return np.zeros((0, 0), dtype=bool)
    number = unit.header.get("FLAGCOL", 0)
    bits = stored[number - 1].values if isinstance(number, int) and 0 < number <= len(stored) else None
    count = bits.shape[1] if isinstance(bits, np.ndarray) and bits.dtype == bool and bits.ndim == 2 else 0
    if min(flags) < 1 or max(flags) > count:
        raise DamagedInputError(
            f"{unit.path} names {max(flags)} flags, but FLAGCOL does not point to a column of so many bits",
            remedy="Make the file again",
        )
    return np.asarray(bits)


def _field(stored: Column) -> tuple[Field, np.ndarray] | None:
    """Return a column as field and values; None if catalogues have no such field."""
    values = stored.values
    variable = isinstance(values, VariableArray)
    numbers = values.values if variable else values
    if values is None or numbers.dtype.kind == "c" or (numbers.dtype == bool and numbers.ndim == 2):
        return None
    dtype = "String" if numbers.dtype.kind == "U" else _FIELD_TYPES[numbers.dtype.str[1:]]
    if variable:
        size, column = VARIABLE, _rows(values, dtype)
    elif dtype == "String":
        size, column = numbers.dtype.itemsize // 4, numbers
    else:
        size, column = int(np.prod(numbers.shape[1:])), numbers.astype(FIELD_TYPES[dtype].numpy, copy=False)
        if size == 1 and stored.kind == "Array":
            column = column.reshape(-1, 1)
    if stored.kind == "Angle" and dtype == "D":
        dtype = "Angle"
    return Field(stored.name, dtype, stored.doc, stored.unit, size, array=stored.kind == "Array"), column


def _rows(values: VariableArray, dtype: str) -> np.ndarray:
    """Return (rows,) objects: an array for each row, or a text."""
    column = np.empty(len(values), dtype=object)
    for row, part in enumerate(values.split()):
        if dtype == "String":
            column[row] = part.tobytes().decode("ascii", "replace").rstrip("\0 ")
        else:
            column[row] = part.astype(FIELD_TYPES[dtype].numpy, copy=False)
    return column
