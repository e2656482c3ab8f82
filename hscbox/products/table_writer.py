"""afw tables as FITS binary tables: from a schema and columns to the bytes of an HDU.

The layout is that of lsst.afw.table as of 2017 (afw commit e0459d59, src/table/io): flags are the bits of one
column; field documentation stands in TDOCn, units in TUNITn, the class of a field in TCCLSn; the order in
which the cards mention fields is the order of the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from ..catalog.schema import FIELD_TYPES, VARIABLE, Field, Schema
from ..fits.cards import card
from ..fits.metadata import Metadata
from ..fits.write import FitsUnit

__all__ = ["FIELD_CARD", "encode_table", "free_metadata", "is_table_keyword"]

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
_TCCLS_COMMENT = "Field template used by lsst.afw.table"


def encode_table(schema: Schema, columns: Mapping[str, np.ndarray], rows: int, tail: Iterable[str]) -> FitsUnit:
    """Return a table unit.

    Parameters
    ----------
    columns
        (rows,) or (rows, size) by field name; objects (arrays) for variable arrays.
    tail
        Cards that follow those of the fields and aliases.
    """
    flags = [item.name for item in schema if item.is_flag]
    stored = [item for item in schema if not item.is_flag]
    packed = np.zeros((rows, 0), dtype=np.uint8)
    if flags:
        packed = np.packbits(np.stack([columns[name] for name in flags], axis=1), axis=1)
    heap, descriptors = _heap([item for item in stored if item.size == VARIABLE], columns, rows)
    record = _record_type(packed.shape[1], stored)
    table = np.zeros(rows, dtype=record)
    if flags:
        table["f"] = packed
    for number, item in enumerate(stored):
        table[f"c{number}"] = _as_stored(item, descriptors.get(item.name, columns.get(item.name)))
    cards = [
        card("XTENSION", "BINTABLE", "binary table extension"),
        card("BITPIX", 8, "8-bit bytes"),
        card("NAXIS", 2, "2-dimensional binary table"),
        card("NAXIS1", record.itemsize, "width of table in bytes"),
        card("NAXIS2", rows, "number of rows in table"),
        card("PCOUNT", len(heap), "size of special data area"),
        card("GCOUNT", 1, "one data group (required keyword)"),
        card("TFIELDS", len(stored) + bool(flags), "number of fields in each row"),
    ]
    cards += _field_cards(
        schema, len(flags), {name: int(item[:, 0].max(initial=0)) for name, item in descriptors.items()}
    )
    cards += [card("ALIAS", f"{name}:{target}") for name, target in schema.aliases.items()]
    return FitsUnit([*cards, *tail], table.tobytes() + heap)


def _record_type(flag_bytes: int, stored: list[Field]) -> np.dtype:
    parts: list[tuple[str, str, tuple[int, ...]]] = [("f", "u1", (flag_bytes,))] if flag_bytes else []
    for number, item in enumerate(stored):
        kind = FIELD_TYPES[item.dtype].numpy
        if item.size == VARIABLE:
            parts.append((f"c{number}", ">i8", (2,)))
        elif item.dtype == "String":
            parts.append((f"c{number}", f"S{item.size}", ()))
        else:
            code = ">i2" if kind == "u2" else f">{kind}"
            parts.append((f"c{number}", code, (item.size,) if item.is_array else ()))
    return np.dtype(parts)


def _as_stored(item: Field, column: np.ndarray | None) -> np.ndarray:
    if column is None:
        raise KeyError(f"Field {item.name} has no column")
    if item.dtype == "String":
        return np.char.encode(column.astype(str), "ascii", "replace")
    if item.dtype == "U" and item.size != VARIABLE:
        return (column.astype(np.int32) - 32768).astype(np.int16)
    return column


def _heap(fields: list[Field], columns: Mapping[str, np.ndarray], rows: int) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return the heap, column after column, and the (rows, 2) lengths and offsets of each column."""
    heap = b""
    descriptors = {}
    for item in fields:
        kind = np.dtype(FIELD_TYPES[item.dtype].numpy).newbyteorder(">")
        arrays = list(columns[item.name])
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        ends = np.cumsum(lengths) * kind.itemsize
        offsets = len(heap) + ends - lengths * kind.itemsize
        descriptors[item.name] = np.stack([lengths, offsets], axis=1).reshape(rows, 2)
        if arrays:
            heap += np.concatenate(arrays).astype(kind).tobytes()
    return heap, descriptors


def _field_cards(schema: Schema, n_flags: int, longest: dict[str, int]) -> list[str]:
    cards = []
    if n_flags:
        cards += [
            card("TTYPE1", "flags", "bits for all Flag fields; see also TFLAGn"),
            card("TFORM1", f"{n_flags}X", "format of field"),
            card("FLAGCOL", 1, "column number of the flag bits"),
        ]
    column, bit = int(n_flags > 0), 0
    for item in schema:
        if item.is_flag:
            bit += 1
            cards.append(card(f"TFLAG{bit}", item.name))
            if item.doc:
                cards.append(card(f"TFDOC{bit}", item.doc))
            continue
        column += 1
        letter = FIELD_TYPES[item.dtype].letter
        form = f"1Q{letter}({longest[item.name]})" if item.size == VARIABLE else f"{item.size}{letter}"
        cards.append(card(f"TTYPE{column}", item.name, item.doc or "label for field"))
        cards.append(card(f"TFORM{column}", form, "format of field"))
        if item.dtype == "U":
            cards.append(card(f"TZERO{column}", 32768, "offset for unsigned integers"))
        if item.doc:
            cards.append(card(f"TDOC{column}", item.doc))
        if item.unit:
            cards.append(card(f"TUNIT{column}", item.unit))
        cards.append(card(f"TCCLS{column}", _field_class(item), _TCCLS_COMMENT))
    return cards


def _field_class(item: Field) -> str:
    if item.is_array:
        return "Array"
    return {"Angle": "Angle", "String": "String"}.get(item.dtype, "Scalar")


def is_table_keyword(keyword: str) -> bool:
    """Return whether a keyword belongs to the structure of a table, and so not to its metadata."""
    return keyword in _STRUCTURE or FIELD_CARD.fullmatch(keyword) is not None


def free_metadata(metadata: Metadata) -> Metadata:
    """Return a copy without keywords that the table itself uses."""
    result = metadata.copy()
    for keyword in metadata:
        if is_table_keyword(keyword):
            del result[keyword]
    return result
