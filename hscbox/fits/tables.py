"""Columns of binary tables, to and from bytes: the part of FITS tables that afw archives use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedInputError
from ..numerics.arrays import IntArray
from .cards import card
from .read import ReadUnit
from .write import FitsUnit

__all__ = ["Column", "VariableArray", "read_table", "table_unit"]

_CODES = {"B": "u1", "I": "i2", "J": "i4", "K": "i8", "E": "f4", "D": "f8", "A": "S", "L": "u1", "X": "u1"}
_FORMAT = re.compile(r"\s*(\d*)(Q|P)?([BIJKEDALX])(?:\((\d*)\))?\s*$")


@dataclass(frozen=True)
class VariableArray:
    """A column of arrays of different lengths."""

    values: NDArray[Any]
    """All arrays joined."""
    lengths: IntArray
    """Length of each, (rows,)."""

    def split(self) -> list[NDArray[Any]]:
        """Return the arrays one by one, as views."""
        return np.split(self.values, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


@dataclass(frozen=True)
class Column:
    """A column to be written."""

    name: str
    format: str
    """J, K, E, D, B; with a count for arrays (9D) and strings (64A); QE, QJ for arrays of variable length."""
    values: Any
    """Array (rows,), (rows, count), list of str, or a `VariableArray` for Q."""
    unit: str = ""
    doc: str = ""
    is_array: bool = False
    """Say "Array" even if the count is 1; counts above 1 say so by themselves."""

    @property
    def layout(self) -> tuple[str, str, str, bool]:
        """What two columns must have in common to be stored in one table."""
        return self.name, self.format, self.unit, self.is_array


def table_unit(columns: Sequence[Column], cards: Iterable[str]) -> FitsUnit:
    """Return a binary table whose header has the cards of afw tables for each column, then `cards`."""
    heap = bytearray()
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    stored: list[NDArray[Any]] = []
    formats: list[str] = []
    for k, column in enumerate(columns):
        values, code = _stored(column, heap)
        fields.append(
            (f"c{k}", values.dtype.str, values.shape[1:]) if values.ndim == 2 else (f"c{k}", values.dtype.str)
        )
        stored.append(values)
        formats.append(code)
    rows = len(stored[0]) if stored else 0
    table = np.zeros(rows, dtype=fields)
    for k, values in enumerate(stored):
        table[f"c{k}"] = values
    header = [
        card("XTENSION", "BINTABLE", "binary table extension"),
        card("BITPIX", 8, "8-bit bytes"),
        card("NAXIS", 2, "2-dimensional binary table"),
        card("NAXIS1", table.dtype.itemsize, "width of table in bytes"),
        card("NAXIS2", rows, "number of rows in table"),
        card("PCOUNT", len(heap), "size of special data area"),
        card("GCOUNT", 1, "one data group (required keyword)"),
        card("TFIELDS", len(columns), "number of fields in each row"),
    ]
    for k, (column, code) in enumerate(zip(columns, formats, strict=True), start=1):
        header += _column_cards(k, column, code)
    return FitsUnit([*header, *cards], table.tobytes() + bytes(heap))


def read_table(unit: ReadUnit) -> dict[str, Any]:
    """Return the columns of a binary table by name: arrays in native byte order, lists of str, or `VariableArray`.

    Raises
    ------
    DamagedInputError
        The unit is not a table, or its formats do not add up.
    """
    header = unit.header
    if str(header.get("XTENSION", "")).strip() != "BINTABLE":
        raise DamagedInputError(f"{unit.path} has no table where one is expected")
    rows, row_size = header["NAXIS2"], header["NAXIS1"]
    names: list[str] = []
    fields: list[tuple[str, str, tuple[int, ...]]] = []
    variable: dict[int, str] = {}
    for k in range(1, header.get("TFIELDS", 0) + 1):
        count, array, letter = _parsed(unit, str(header.get(f"TFORM{k}", "")))
        names.append(str(header.get(f"TTYPE{k}", f"col{k}")).strip())
        if array:
            variable[k - 1] = letter
            fields.append((f"c{k - 1}", ">i8" if array == "Q" else ">i4", (2,)))
        elif letter == "A":
            fields.append((f"c{k - 1}", f"S{count}", ()))
        else:
            width = (count + 7) // 8 if letter == "X" else count
            fields.append((f"c{k - 1}", ">" + _CODES[letter], () if width == 1 else (width,)))
    dtype = np.dtype(fields)
    if dtype.itemsize != row_size or rows * row_size > len(unit.data):
        raise DamagedInputError(
            f"{unit.path} has a table of {row_size} bytes a row whose columns take {dtype.itemsize}"
        )
    table = np.frombuffer(unit.data[: rows * row_size], dtype=dtype)
    heap = unit.data[int(header.get("THEAP", rows * row_size)) :]
    result: dict[str, Any] = {}
    for k, name in enumerate(names):
        values = table[f"c{k}"]
        if k in variable:
            result[name] = _from_heap(unit, heap, values, variable[k])
        elif values.dtype.kind == "S":
            result[name] = [text.decode("ascii", "replace").rstrip() for text in values.tolist()]
        else:
            result[name] = values.astype(values.dtype.newbyteorder("="))
    return result


def _stored(column: Column, heap: bytearray) -> tuple[NDArray[Any], str]:
    count, array, letter = _split_format(column.format)
    if array:
        values, lengths = column.values.values, np.asarray(column.values.lengths, dtype=np.int64)
        data = np.ascontiguousarray(values, dtype=">" + _CODES[letter])
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]) * data.dtype.itemsize + len(heap)
        heap += data.tobytes()
        longest = int(lengths.max()) if len(lengths) else 0
        return np.stack([lengths, offsets[: len(lengths)]], axis=1).astype(">i8"), f"1Q{letter}({longest})"
    if letter == "A":
        encoded = [text.encode("ascii") for text in column.values]
        if any(len(text) > count for text in encoded):
            raise ValueError(f"a text is too long for the {count} characters of column {column.name}")
        return np.array(encoded, dtype=f"S{count}"), f"{count}A"
    shape = (-1, count) if count > 1 else (-1,)
    return np.asarray(column.values).astype(">" + _CODES[letter]).reshape(shape), f"{count}{letter}"


def _split_format(text: str) -> tuple[int, str, str]:
    match = _FORMAT.match(text)
    if match is None:
        raise ValueError(f"table format {text!r} is not supported")
    return int(match[1] or 1), match[2] or "", match[3]


def _parsed(unit: ReadUnit, text: str) -> tuple[int, str, str]:
    try:
        return _split_format(text)
    except ValueError as error:
        raise DamagedInputError(f"{unit.path}: {error}") from error


def _column_cards(k: int, column: Column, code: str) -> list[str]:
    count, array, letter = _split_format(column.format)
    kind = "String" if letter == "A" else "Array" if array or column.is_array or count > 1 else "Scalar"
    cards = [card(f"TTYPE{k}", column.name, column.doc), card(f"TFORM{k}", code, "format of field")]
    if column.doc:
        cards.append(card(f"TDOC{k}", column.doc))
    if column.unit:
        cards.append(card(f"TUNIT{k}", column.unit))
    return [*cards, card(f"TCCLS{k}", kind, "Field template used by lsst.afw.table")]


def _from_heap(unit: ReadUnit, heap: bytes, descriptors: NDArray[Any], letter: str) -> VariableArray:
    dtype = np.dtype(">" + _CODES[letter]) if letter != "A" else np.dtype("u1")
    lengths = descriptors[:, 0].astype(np.int64)
    offsets = descriptors[:, 1].astype(np.int64)
    sizes = lengths * dtype.itemsize
    if np.any(lengths < 0) or np.any(offsets < 0) or np.any(offsets > len(heap)) or np.any(sizes > len(heap) - offsets):
        raise DamagedInputError(f"{unit.path} has a table that points outside its data area")
    pieces = [heap[first : first + size] for first, size in zip(offsets.tolist(), sizes.tolist(), strict=True)]
    joined = np.frombuffer(b"".join(pieces), dtype=dtype)
    return VariableArray(joined.astype(dtype.newbyteorder("=")), lengths)
