"""afw tables as FITS binary tables: from a schema and columns to the bytes of an HDU.

The layout is that of lsst.afw.table as of 2017 (afw commit e0459d59, src/table/io): flags are the bits of one
column; field documentation stands in TDOCn, units in TUNITn, the class of a field in TCCLSn; the order in
which the cards mention fields is the order of the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..catalog.schema import FIELD_TYPES, VARIABLE, Field, Schema
from ..fits.cards import card
from ..fits.tables import Column, VariableArray, table_unit
from ..fits.write import FitsUnit

__all__ = ["FIELD_CARD", "encode_table", "is_table_keyword"]

FIELD_CARD = re.compile(r"(TTYPE|TFORM|TDOC|TUNIT|TCCLS|TZERO|TSCAL|TFLAG|TFDOC|TNULL|TDIM|TDISP)(\d+)")
"""Keywords that describe one field of a table."""


_STRUCTURE = frozenset(
    [
        *("", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP", "END"),
        *("EXTNAME", "EXTVER", "COMMENT", "HISTORY", "LONGSTRN", "CHECKSUM", "DATASUM"),
        *("FLAGCOL", "ALIAS", "EXTTYPE", "AR_HDU", "AR_CATN", "AR_NCAT", "AR_NAME"),
        *("AFW_TYPE", "AFW_TABLE_VERSION"),
    ]
)


def encode_table(schema: Schema, columns: Mapping[str, np.ndarray], tail: Iterable[str]) -> FitsUnit:
    """Return a table unit.

    Parameters
    ----------
    columns
        (rows,) or (rows, size) by field name; objects (arrays) for variable arrays.
    tail
        Cards that follow those of the fields and aliases.
    """
    table: list[Column] = []
    flags = [item.name for item in schema if item.is_flag]
    if flags:
        bits = np.stack([columns[name] for name in flags], axis=1)
        pointer = [card("FLAGCOL", 1, "column number of the flag bits")]
        comment = "bits for all Flag fields; see also TFLAGn"
        table.append(Column("flags", f"{len(flags)}X", bits, kind="", comment=comment, after=pointer))
    for item in schema:
        if not item.is_flag:
            table.append(_column(item, columns[item.name]))
            continue
        bit = flags.index(item.name) + 1
        table[-1].after.append(card(f"TFLAG{bit}", item.name))
        if item.doc:
            table[-1].after.append(card(f"TFDOC{bit}", item.doc))
    aliases = [card("ALIAS", f"{name}:{target}") for name, target in schema.aliases.items()]
    return table_unit(table, [*aliases, *tail])


def _column(item: Field, values: np.ndarray) -> Column:
    letter = FIELD_TYPES[item.dtype].letter
    kind = "Array" if item.is_array else {"Angle": "Angle", "String": "String"}.get(item.dtype, "Scalar")
    stored: Any = values
    if item.size == VARIABLE:
        rows = [np.frombuffer(row.encode("ascii", "replace"), "S1") if isinstance(row, str) else row for row in values]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        stored = VariableArray(np.concatenate(rows) if rows else np.zeros(0), lengths)
    return Column(
        item.name,
        f"Q{letter}" if item.size == VARIABLE else f"{item.size}{letter}",
        stored,
        item.unit,
        item.doc,
        kind,
        item.doc or "label for field",
        32768 if item.dtype == "U" else 0,
    )


def is_table_keyword(keyword: str) -> bool:
    """Return whether a keyword belongs to the structure of a table, and so not to its metadata."""
    return keyword in _STRUCTURE or FIELD_CARD.fullmatch(keyword) is not None
