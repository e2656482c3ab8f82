"""Binary tables, to and from bytes: columns of numbers, texts, bits, and arrays of fixed or variable length.

Archives, catalogues and the generator's truth are made of these columns. Source: FITS standard 4.0, section 7.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedInputError
from ..numerics.arrays import IntArray
from .cards import card
from .read import ReadUnit
from .write import FitsUnit

__all__ = ["Column", "VariableArray", "read_columns", "read_table", "table_unit"]

_DTYPES = {
    **{"L": "S1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "A": "S1"},
    **{"C": ">c8", "M": ">c16"},
}
_FORMAT = re.compile(r"\s*(\d*)([QP]?)([LXBIJKEDACM])")
_UNSIGNED = {("i2", 32768): "u2", ("i4", 1 << 31): "u4", ("u1", -128): "i1"}
"""Stored type and offset that stand for a type FITS does not have."""


class VariableArray:
    """A column of arrays of different lengths."""

    def __init__(self, values: NDArray[Any], lengths: IntArray) -> None:
        self.values = values
        """All arrays joined."""
        self.lengths = lengths
        """Length of each, (rows,)."""

    @classmethod
    def joined(cls, pieces: Sequence[VariableArray]) -> VariableArray:
        """Return the rows of all `pieces`."""
        return cls(np.concatenate([one.values for one in pieces]), np.concatenate([one.lengths for one in pieces]))

    def __len__(self) -> int:
        return len(self.lengths)

    def split(self) -> list[NDArray[Any]]:
        """Return the arrays one by one, as views."""
        return np.split(self.values, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


@dataclass(frozen=True)
class Column:
    """A column, to be written or as it was read."""

    name: str
    format: str
    """J, K, I, E, D, B; with a count for arrays (9D), texts (64A), bits (11X); QE, QJ, ... for variable length."""
    values: Any
    """Array (rows,), (rows, count), list of str, or a `VariableArray` for Q; None if read and of no use here."""
    unit: str = ""
    doc: str = ""
    kind: str | None = None
    """Class of the field in lsst.afw.table, "" for none; by default what follows from the format."""
    comment: str = ""
    """Of the name; by default `doc`."""
    zero: int = 0
    """What was subtracted from stored numbers: 32768 for unsigned ones of 16 bits."""
    after: list[str] = field(default_factory=list)
    """Cards that follow those of the column."""

    @property
    def layout(self) -> tuple[object, ...]:
        """What two columns must have in common to be stored in one table."""
        return self.name, self.format, self.unit, self.kind


@dataclass(frozen=True)
class _Format:
    """What TFORM says."""

    count: int
    pointer: str
    letter: str

    @classmethod
    def of(cls, text: str) -> _Format:
        match = _FORMAT.match(text)
        if match is None:
            raise ValueError(f"has a table column of format {text!r}")
        return cls(int(match[1] or 1), match[2], match[3])

    @property
    def field(self) -> tuple[str, tuple[int, ...]]:
        """Type and shape of what stands in a row."""
        if self.pointer:
            return ">i8" if self.pointer == "Q" else ">i4", (2 * self.count,)
        if self.letter == "A":
            return f"S{self.count}", ()
        if self.letter == "X":
            return "u1", ((self.count + 7) // 8,)
        return _DTYPES[self.letter], () if self.count == 1 else (self.count,)


def table_unit(columns: Sequence[Column], cards: Iterable[str] = ()) -> FitsUnit:
    """Return a binary table whose header has the cards of each column, then `cards`.

    Raises
    ------
    ValueError
        A text is longer than its column.
    """
    formats = [_Format.of(column.format) for column in columns]
    heap = bytearray()
    rows = len(columns[0].values) if columns else 0
    table = np.zeros(rows, dtype=_row_type(formats))
    header = [
        card("XTENSION", "BINTABLE", "binary table extension"),
        card("BITPIX", 8, "8-bit bytes"),
        card("NAXIS", 2, "2-dimensional binary table"),
        card("NAXIS1", table.dtype.itemsize, "width of table in bytes"),
        card("NAXIS2", rows, "number of rows in table"),
    ]
    described: list[str] = []
    for number, (column, form) in enumerate(zip(columns, formats, strict=True), start=1):
        place = table[f"c{number}"]
        place[...] = np.reshape(_stored(column, form, heap), place.shape)
        described += _column_cards(number, column, form)
    header += [
        card("PCOUNT", len(heap), "size of special data area"),
        card("GCOUNT", 1, "one data group (required keyword)"),
        card("TFIELDS", len(columns), "number of fields in each row"),
    ]
    return FitsUnit([*header, *described, *cards], table.tobytes() + heap)


def read_columns(unit: ReadUnit) -> list[Column]:
    """Return the columns of a binary table, in native byte order, TSCAL and TZERO applied.

    Texts are arrays of str without trailing blanks; logical values and bits are bool, bits (rows, count). Complex
    numbers in arrays of variable length and columns without content have no values.

    Raises
    ------
    DamagedInputError
        The unit is not a table, or its header contradicts itself.
    """
    header = unit.header
    if str(header.get("XTENSION", "")).strip() != "BINTABLE":
        raise DamagedInputError(f"{unit.path} has no table where one is expected")
    rows, width, fields = (_integer(unit, keyword) for keyword in ("NAXIS2", "NAXIS1", "TFIELDS"))
    try:
        formats = [_Format.of(str(header.get(f"TFORM{number}", ""))) for number in range(1, fields + 1)]
    except ValueError as error:
        raise _damaged(unit, str(error)) from error
    row_type = _row_type(formats)
    if row_type.itemsize != width or rows * width > len(unit.data) or (rows and not width):
        raise _damaged(unit, f"has a table with rows of {width} bytes, its columns make {row_type.itemsize}")
    table = np.ndarray(rows, row_type, unit.data)
    heap = memoryview(unit.data)[_integer(unit, "THEAP", rows * width) :]
    columns = []
    for number, form in enumerate(formats, start=1):
        about = {key: str(header.get(f"{key}{number}", "")) for key in ("TFORM", "TUNIT", "TDOC", "TCCLS")}
        values = _read(unit, table[f"c{number}"], form, heap)
        if values is not None:
            values = _scaled(values, header.get(f"TSCAL{number}", 1), header.get(f"TZERO{number}", 0))
        name = str(header.get(f"TTYPE{number}", f"column{number}")).strip()
        columns.append(Column(name, about["TFORM"], values, about["TUNIT"], about["TDOC"], about["TCCLS"].strip()))
    return columns


def read_table(unit: ReadUnit) -> dict[str, Any]:
    """Return the values of `read_columns` by name."""
    return {column.name: column.values for column in read_columns(unit)}


def _row_type(formats: Sequence[_Format]) -> np.dtype[Any]:
    return np.dtype([(f"c{number}", *form.field) for number, form in enumerate(formats, start=1)])


def _stored(column: Column, form: _Format, heap: bytearray) -> Any:
    """Return a column as it stands in the rows; arrays of variable length are appended to the heap."""
    values = column.values.values if form.pointer else column.values
    if column.zero:
        values = np.asarray(values, dtype=np.int64) - column.zero
    if form.pointer:
        data = np.asarray(values).astype(_DTYPES[form.letter])
        sizes = np.asarray(column.values.lengths, dtype=np.int64) * data.dtype.itemsize
        offsets = np.cumsum(sizes) - sizes + len(heap)
        heap += data.tobytes()
        return np.stack([column.values.lengths, offsets], axis=1)
    if form.letter == "A":
        texts = np.char.encode(np.asarray(values, dtype=str), "ascii", "replace")
        if texts.dtype.itemsize > form.count and np.char.str_len(texts).max(initial=0) > form.count:
            raise ValueError(f"a text is too long for the {form.count} characters of column {column.name}")
        return texts
    if form.letter == "X":
        return np.packbits(values, axis=1)
    if form.letter == "L":
        return np.where(values, b"T", b"F")
    return values


def _column_cards(number: int, column: Column, form: _Format) -> list[str]:
    text, kind = f"{form.count}{form.letter}", column.kind
    if form.pointer:
        text = f"1Q{form.letter}({column.values.lengths.max(initial=0)})"
    if kind is None:
        kind = "String" if form.letter == "A" else "Array" if form.pointer or form.count > 1 else "Scalar"
    cards = [
        card(f"TTYPE{number}", column.name, column.comment or column.doc),
        card(f"TFORM{number}", text, "format of field"),
    ]
    if column.zero:
        cards.append(card(f"TZERO{number}", column.zero, "offset for unsigned integers"))
    if column.doc:
        cards.append(card(f"TDOC{number}", column.doc))
    if column.unit:
        cards.append(card(f"TUNIT{number}", column.unit))
    if kind:
        cards.append(card(f"TCCLS{number}", kind, "Field template used by lsst.afw.table"))
    return [*cards, *column.after]


def _read(unit: ReadUnit, values: NDArray[Any], form: _Format, heap: memoryview) -> Any:
    if form.pointer:
        # Bits and complex numbers of variable length occur nowhere.
        return _from_heap(unit, heap, values, form.letter) if form.count == 1 and form.letter in "BIJKEDA" else None
    if not form.count:
        return None
    if form.letter == "A":
        return np.char.rstrip(np.char.decode(values, "ascii", "replace")).astype(f"U{form.count}")
    if form.letter == "X":
        return np.unpackbits(values, axis=1, count=form.count).view(bool)
    return values == b"T" if form.letter == "L" else values.astype(values.dtype.newbyteorder("="))


def _from_heap(unit: ReadUnit, heap: memoryview, descriptors: NDArray[Any], letter: str) -> VariableArray:
    dtype = np.dtype(_DTYPES[letter])
    lengths, offsets = descriptors.astype(np.int64).T
    sizes = lengths * dtype.itemsize
    # Divided, since products of wrong lengths may wrap; several arrays in one place could ask for any memory.
    outside = (lengths < 0) | (offsets < 0) | (lengths > (len(heap) - offsets) // dtype.itemsize)
    if outside.any() or sizes.sum() > len(heap):
        raise _damaged(unit, "has arrays of variable length outside its heap")
    pieces = [heap[first : first + size] for first, size in zip(offsets.tolist(), sizes.tolist(), strict=True)]
    joined = np.frombuffer(b"".join(pieces), dtype=dtype)
    return VariableArray(joined.astype(dtype.newbyteorder("=")), lengths)


def _scaled(values: Any, scale: Any, zero: Any) -> Any:
    if isinstance(values, VariableArray):
        return VariableArray(_scaled(values.values, scale, zero), values.lengths)
    if (scale, zero) == (1, 0) or values.dtype.kind not in "iuf":
        return values
    unsigned = _UNSIGNED.get((values.dtype.str[1:], zero))
    if scale == 1 and unsigned:
        return (values.astype(np.int64) + zero).astype(unsigned)
    return values.astype(np.float64) * float(scale) + float(zero)


def _integer(unit: ReadUnit, keyword: str, default: int | None = None) -> int:
    value = unit.header.get(keyword, default)
    if not isinstance(value, int) or value < 0:
        raise _damaged(unit, f"has {keyword} = {value!r}, not a number")
    return value


def _damaged(unit: ReadUnit, what: str) -> DamagedInputError:
    return DamagedInputError(f"{unit.path} {what}", remedy="Make the file again")
