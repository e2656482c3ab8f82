"""afw tables as FITS binary tables: from an HDU to a schema and columns.

The layout is that of `hscbox.products.table_writer`; files of any version of the LSST stack, and tables made
by other programs, are read too.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits

from ..catalog.schema import FIELD_TYPES, VARIABLE, Field, Schema
from ..errors import DamagedInputError
from ..fits.metadata import Metadata
from ..fits.read import ReadUnit
from .table_writer import FIELD_CARD, is_table_keyword

__all__ = ["DecodedTable", "decode_table"]

log = logging.getLogger("hscbox.catalog")

_FORMAT = re.compile(r"\s*(\d*)([PQ]?)([LXBIJKAEDCM])(?:\((\d*)\))?")
_TYPE_OF_LETTER = {"K": "L", "J": "I", "I": "I", "B": "B", "D": "D", "E": "F", "A": "String", "L": "Flag"}
_RAW_TYPE = {
    "K": ">i8",
    "J": ">i4",
    "I": ">i2",
    "B": "u1",
    "D": ">f8",
    "E": ">f4",
    "A": "S1",
    "L": "u1",
    "X": "u1",
}
_LETTER_BYTES = {"K": 8, "J": 4, "I": 2, "B": 1, "D": 8, "E": 4, "A": 1, "L": 1, "C": 8, "M": 16}


@dataclass
class DecodedTable:
    """What a binary table holds.

    Parameters
    ----------
    schema, columns
        Fields, and their columns in native byte order by name.
    metadata
        The cards that do not describe the table.
    header
        The values of the cards that do: AFW_TYPE, AR_HDU, EXTTYPE and the like.
    """

    schema: Schema
    columns: dict[str, np.ndarray]
    rows: int
    metadata: Metadata = field(default_factory=Metadata)
    header: dict[str, object] = field(default_factory=dict)


def decode_table(unit: ReadUnit, source: str) -> DecodedTable:
    """Read a table unit.

    Columns of types that catalogues do not have (complex numbers, loose bits) are skipped with a warning.

    Parameters
    ----------
    source
        The name of the file, for messages.

    Raises
    ------
    DamagedInputError
        The header contradicts itself.
    """
    header = unit.header
    try:
        width, rows = int(header["NAXIS1"]), int(header["NAXIS2"])
        columns = int(header["TFIELDS"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedInputError(f"{source} has a table without {error}", remedy="Make the file again") from error
    data = memoryview(unit.data)
    cards, aliases, metadata, known = _sort_cards(header)
    layout = _Layout.of(cards, columns, source)
    if layout.width != width or (rows and not width):
        raise DamagedInputError(
            f"{source} has a table with rows of {width} bytes, its columns make {layout.width}",
            remedy="Make the file again",
        )
    body = np.frombuffer(data, dtype=np.uint8, count=width * rows).reshape(rows, width)
    heap = data[_integer(known, "THEAP", width * rows, source) :]
    table = DecodedTable(Schema(), {}, rows, metadata, known)
    bits = _flag_bits(layout, known, cards, body, source)
    for kind, number in _mentions(cards):
        if kind == "TFLAG":
            name = str(cards["TFLAG", number])
            item = Field(name, "Flag", str(cards.get(("TFDOC", number), "")))
            column = bits[:, number - 1].astype(bool)
        elif number == known.get("FLAGCOL"):
            continue
        else:
            found = _read_column(layout, number, cards, body, heap, source)
            if found is None:
                continue
            item, column = found
        if item.name in table.columns:
            raise DamagedInputError(f"{source} has two fields named {item.name}", remedy="Make the file again")
        table.schema.add(item)
        table.columns[item.name] = column
    for name, target in aliases.items():
        table.schema.set_alias(name, target)
    return table


def _integer(known: dict[str, object], keyword: str, default: int, source: str) -> int:
    value = known.get(keyword, default)
    if not isinstance(value, int):
        raise DamagedInputError(f"{source} has {keyword} = {value!r}, not a number", remedy="Make the file again")
    return value


_Cards = dict[tuple[str, int], object]


def _sort_cards(header: fits.Header) -> tuple[_Cards, dict[str, str], Metadata, dict[str, object]]:
    """Return field cards, aliases, metadata, and the other cards of the table's structure."""
    fields: _Cards = {}
    aliases: dict[str, str] = {}
    metadata = Metadata()
    known: dict[str, object] = {}
    for item in header.cards:
        keyword = item.keyword
        match = FIELD_CARD.fullmatch(keyword)
        if match:
            fields[match[1], int(match[2])] = item.value
        elif keyword == "ALIAS":
            name, _, target = str(item.value).partition(":")
            if target:
                aliases[name] = target
        elif is_table_keyword(keyword):
            known[keyword] = item.value
        elif isinstance(item.value, (bool, int, float, str)):
            _add_metadata(metadata, _true_case(item), item.value, item.comment)
    return fields, aliases, metadata, known


def _true_case(item: fits.Card) -> str:
    # astropy turns the lower case of HIERARCH keywords into upper case.
    image = item.image
    return image[9:].partition("=")[0].strip() if image.startswith("HIERARCH ") else str(item.keyword)


def _add_metadata(metadata: Metadata, key: str, value: bool | int | float | str, comment: str) -> None:
    if key in metadata:
        metadata.add(key, value)
    else:
        metadata.set(key, value, comment)


def _mentions(cards: _Cards) -> list[tuple[str, int]]:
    """Return ("TTYPE", column) and ("TFLAG", bit) in the order in which the header first mentions them."""
    seen: dict[tuple[str, int], None] = {}
    for kind, number in cards:
        if kind == "TFDOC" and ("TFLAG", number) not in cards:
            continue
        seen.setdefault(("TFLAG" if kind in {"TFLAG", "TFDOC"} else "TTYPE", number))
    return list(seen)


@dataclass
class _Slot:
    """Where a column lies in a row, and what its TFORM says."""

    offset: int
    width: int
    repeat: int
    pointer: str
    letter: str

    @property
    def is_readable(self) -> bool:
        """Whether catalogues have such columns; the rest is skipped."""
        if self.pointer:
            return self.repeat == 1 and self.letter in "BIJKEDA"
        return (self.letter in "BIJKEDA" and self.repeat > 0) or (self.letter, self.repeat) == ("L", 1)


@dataclass
class _Layout:
    slots: dict[int, _Slot]
    width: int

    @classmethod
    def of(cls, cards: _Cards, columns: int, source: str) -> _Layout:
        slots, offset = {}, 0
        for number in range(1, columns + 1):
            text = str(cards.get(("TFORM", number), ""))
            match = _FORMAT.match(text)
            if match is None:
                raise DamagedInputError(
                    f"{source} has a table whose column {number} has format {text!r}",
                    remedy="Make the file again",
                )
            repeat, pointer, letter = int(match[1] or 1), match[2], match[3]
            if pointer:
                width = repeat * (8 if pointer == "P" else 16)
            else:
                width = (repeat + 7) // 8 if letter == "X" else repeat * _LETTER_BYTES[letter]
            slots[number] = _Slot(offset, width, repeat, pointer, letter)
            offset += width
        return cls(slots, offset)


def _flag_bits(layout: _Layout, known: dict[str, object], cards: _Cards, body: np.ndarray, source: str) -> np.ndarray:
    """Return (rows, flags) zeros and ones."""
    count = sum(kind == "TFLAG" for kind, _ in cards)
    if not count:
        return np.zeros((len(body), 0), dtype=np.uint8)
    slot = layout.slots.get(_integer(known, "FLAGCOL", 0, source))
    numbers = [number for kind, number in cards if kind == "TFLAG"]
    last = max(numbers)
    if slot is None or slot.letter != "X" or slot.repeat < last or not min(numbers):
        raise DamagedInputError(
            f"{source} names {last} flags, but FLAGCOL does not point to a column of so many bits",
            remedy="Make the file again",
        )
    return np.unpackbits(body[:, slot.offset : slot.offset + slot.width], axis=1, count=last)


def _read_column(
    layout: _Layout, number: int, cards: _Cards, body: np.ndarray, heap: memoryview, source: str
) -> tuple[Field, np.ndarray] | None:
    slot = layout.slots.get(number)
    name = str(cards.get(("TTYPE", number), f"column{number}"))
    if slot is None or not slot.is_readable:
        log.warning("%s: column %s has a type that catalogues do not have; skipped", source, name)
        return None
    raw = np.ascontiguousarray(body[:, slot.offset : slot.offset + slot.width])
    dtype, size = _TYPE_OF_LETTER[slot.letter], slot.repeat
    tccls = str(cards.get(("TCCLS", number), "")).strip()
    column: np.ndarray
    if slot.pointer:
        size = VARIABLE
        column = _variable_arrays(raw, slot, heap, source)
    elif slot.letter == "A":
        texts = np.char.decode(raw.view(f"S{size}").reshape(-1), "ascii", "replace")
        column = np.char.rstrip(texts).astype(f"U{size}")
    elif slot.letter == "L":
        column = raw[:, 0] == ord("T")
    else:
        column = raw.view(_RAW_TYPE[slot.letter]).reshape(len(body), size)
        if size == 1 and tccls != "Array":
            column = column[:, 0]
        dtype, column = _scaled(dtype, column, cards, number)
    if tccls == "Angle" and dtype == "D":
        dtype = "Angle"
    unit = str(cards.get(("TUNIT", number), ""))
    item = Field(name, dtype, str(cards.get(("TDOC", number), "")), unit, size, array=tccls == "Array")
    return item, column


def _scaled(dtype: str, column: np.ndarray, cards: _Cards, number: int) -> tuple[str, np.ndarray]:
    zero, scale = cards.get(("TZERO", number), 0), cards.get(("TSCAL", number), 1)
    if (zero, scale) != (0, 1):
        if scale == 1 and column.dtype == ">i2" and zero == 32768:
            return "U", (column.astype(np.int32) + 32768).astype(np.uint16)
        if scale == 1 and column.dtype == ">i4" and zero == 2147483648:
            return "L", column.astype(np.int64) + 2147483648
        if scale == 1 and column.dtype == "u1" and zero == -128:
            return "I", column.astype(np.int32) - 128
        return "D", column.astype(np.float64) * float(str(scale)) + float(str(zero))
    return dtype, column.astype(FIELD_TYPES[dtype].numpy)


def _variable_arrays(raw: np.ndarray, slot: _Slot, heap: memoryview, source: str) -> np.ndarray:
    """Return (rows,) objects: an array for each row, a string if the letter is A."""
    descriptors = raw.view(">i4" if slot.pointer == "P" else ">i8").reshape(-1, 2)
    kind = np.dtype(_RAW_TYPE[slot.letter])
    ends = descriptors[:, 1].astype(np.int64) + descriptors[:, 0].astype(np.int64) * kind.itemsize
    if (descriptors < 0).any() or ends.max(initial=0) > len(heap):
        raise DamagedInputError(f"{source} has variable arrays outside its heap", remedy="Make the file again")
    column = np.empty(len(raw), dtype=object)
    native = FIELD_TYPES[_TYPE_OF_LETTER[slot.letter]].numpy
    for row, (count, offset) in enumerate(descriptors.tolist()):
        if slot.letter == "A":
            column[row] = bytes(heap[offset : offset + count]).decode("ascii", "replace").rstrip("\0 ")
        else:
            column[row] = np.frombuffer(heap, dtype=kind, count=count, offset=offset).astype(native)
    return column
