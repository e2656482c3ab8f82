"""The columns of a catalogue: fields in order, and aliases that stand for the beginnings of their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ConfigError

__all__ = ["FIELD_TYPES", "FLAG", "VARIABLE", "Field", "FieldType", "Schema"]

FLAG = "Flag"
VARIABLE = 0
"""The `size` of a field whose rows hold arrays of different lengths."""


@dataclass(frozen=True)
class FieldType:
    """What a field type means in memory and in a FITS binary table.

    Parameters
    ----------
    numpy
        The type of a column in memory, native byte order.
    letter
        The TFORM letter.
    fill
        The value of new rows.
    """

    numpy: str
    letter: str
    fill: object


FIELD_TYPES = {
    "L": FieldType("i8", "K", 0),
    "I": FieldType("i4", "J", 0),
    "U": FieldType("u2", "I", 0),
    "B": FieldType("u1", "B", 0),
    "D": FieldType("f8", "D", np.nan),
    "F": FieldType("f4", "E", np.nan),
    "Angle": FieldType("f8", "D", np.nan),
    "String": FieldType("U", "A", ""),
    FLAG: FieldType("?", "X", False),
}
"""Every type a field can have, by the name used in `Field.dtype`."""

# Names that later versions of the LSST stack gave to the same quantities: flux columns became instFlux in
# 2018, and the ending Sigma became Err.
_SPELLINGS = (("_instFlux", "_flux"), ("Err", "Sigma"))


@dataclass(frozen=True)
class Field:
    """One column.

    Parameters
    ----------
    name
        Name; words are joined by underscores.
    dtype
        One of `FIELD_TYPES`.
    doc
        One sentence for the reader of the file.
    unit
        Unit in FITS spelling; empty for none. An Angle is always in rad.
    size
        Values in one row: 1 a scalar, more an array (letters in a String), `VARIABLE` an array of any length.
    array
        Whether a single value counts as an array of length one, which some archive tables demand.
    """

    name: str
    dtype: str
    doc: str = ""
    unit: str = ""
    size: int = 1
    array: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in FIELD_TYPES:
            raise ValueError(f"Field {self.name} has type {self.dtype!r}; known are {', '.join(FIELD_TYPES)}")
        if self.size < 0 or (self.is_flag and self.size != 1):
            raise ValueError(f"Field {self.name} of type {self.dtype} cannot have {self.size} values in a row")
        if self.size != 1:
            # More than one value is an array anyway; equal fields shall compare equal.
            object.__setattr__(self, "array", False)
        if self.dtype == "Angle" and not self.unit:
            object.__setattr__(self, "unit", "rad")

    @property
    def is_flag(self) -> bool:
        """Whether the field is one bit."""
        return self.dtype == FLAG

    @property
    def is_array(self) -> bool:
        """Whether a row holds an array of fixed or variable length."""
        return self.dtype != "String" and (self.array or self.size != 1)

    def getName(self) -> str:  # noqa: N802
        """Return the name."""
        return self.name

    def getDoc(self) -> str:  # noqa: N802
        """Return the documentation."""
        return self.doc

    def getUnits(self) -> str:  # noqa: N802
        """Return the unit."""
        return self.unit

    def getTypeString(self) -> str:  # noqa: N802
        """Return the name of the type."""
        return self.dtype

    def empty(self, rows: int) -> np.ndarray:
        """Return a new column: NaN for floating point, 0, False or '' otherwise.

        Returns
        -------
        column : (rows,) or, for an array field, (rows, size); objects for variable arrays.
        """
        kind = FIELD_TYPES[self.dtype]
        if self.dtype == "String":
            # Only files written elsewhere have strings of variable length.
            return np.full(rows, "", dtype=object if self.size == VARIABLE else f"U{self.size}")
        if self.size == VARIABLE:
            column = np.empty(rows, dtype=object)
            for row in range(rows):
                column[row] = np.zeros(0, dtype=kind.numpy)
            return column
        shape = (rows, self.size) if self.is_array else (rows,)
        return np.full(shape, kind.fill, dtype=kind.numpy)


class Schema:
    """An ordered set of fields, with aliases.

    An alias replaces the beginning of a name: with ``slot_PsfFlux`` standing for ``base_PsfFlux``, the name
    ``slot_PsfFlux_fluxSigma`` means ``base_PsfFlux_fluxSigma``. The longest alias that fits is taken, and
    again on the result.
    """

    def __init__(self, fields: Iterable[Field] = (), aliases: dict[str, str] | None = None) -> None:
        self._fields: dict[str, Field] = {}
        self._aliases: dict[str, str] = dict(aliases or {})
        for field in fields:
            self.add(field)

    def __len__(self) -> int:
        return len(self._fields)

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields.values())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.resolve(name) is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return list(self) == list(other) and self._aliases == other._aliases

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        flags = sum(field.is_flag for field in self)
        return f"Schema({len(self)} fields, {flags} of them flags, {len(self._aliases)} aliases)"

    @property
    def aliases(self) -> dict[str, str]:
        """The aliases, alphabetically (a copy)."""
        return dict(sorted(self._aliases.items()))

    def add(self, field: Field) -> Field:
        """Append a field and return it.

        Raises
        ------
        ValueError
            There is a field of that name already.
        """
        if field.name in self._fields:
            raise ValueError(f"Field {field.name} is already in the schema")
        self._fields[field.name] = field
        return field

    def add_field(self, name: str, dtype: str, doc: str = "", unit: str = "", size: int = 1) -> Field:
        """Append a field given by its parts; see `Field`."""
        return self.add(Field(name, dtype, doc, unit, size))

    def set_alias(self, name: str, target: str) -> None:
        """Let names that begin with `name` stand for names that begin with `target`."""
        self._aliases[name] = target

    def names(self) -> list[str]:
        """Return the field names in order."""
        return list(self._fields)

    def getOrderedNames(self) -> list[str]:  # noqa: N802
        """Return the field names in order (the spelling of the LSST stack)."""
        return self.names()

    def getNames(self) -> set[str]:  # noqa: N802
        """Return the field names as a set (the spelling of the LSST stack)."""
        return set(self._fields)

    def resolve(self, name: str) -> str | None:
        """Return the name of the field that `name` means, or None.

        Tried in this order: the name itself, aliases, and the spellings that later versions of the stack use
        (``_instFlux`` for ``_flux``, ``Err`` for ``Sigma``) or used to.
        """
        for spelling in _spellings(name):
            found = self._follow(spelling)
            if found is not None:
                return found
        return None

    def find(self, name: str) -> Field:
        """Return the field that a name or an alias means.

        Raises
        ------
        KeyError
            There is none; the message lists names that are like it.
        """
        found = self.resolve(name)
        if found is None:
            # A cold path: the import would cost every start of the program.
            from difflib import get_close_matches

            near = get_close_matches(name, self._fields, n=3)
            hint = f"; similar names: {', '.join(near)}" if near else ""
            raise KeyError(f"No field {name!r} among {len(self)} fields{hint}")
        return self._fields[found]

    def require(self, names: Iterable[str], setting: str) -> None:
        """Check that columns which a configuration field names exist.

        Parameters
        ----------
        names
            Fields or aliases.
        setting
            The configuration field, for the message.

        Raises
        ------
        ConfigError
            One does not; the message lists names that are like it.
        """
        for name in names:
            try:
                self.find(name)
            except KeyError as error:
                raise ConfigError(f"{setting}: {error.args[0]}", remedy=f"Correct {setting}") from error

    def _follow(self, name: str) -> str | None:
        # Aliases may form a circle in a damaged file, hence the bound.
        for _ in range(len(self._aliases) + 1):
            if name in self._fields:
                return name
            end = len(name)
            while end and name[:end] not in self._aliases:
                end -= 1
            if not end:
                return None
            name = self._aliases[name[:end]] + name[end:]
        return None

    def copy(self) -> Schema:
        """Return an independent copy."""
        return Schema(self, self._aliases)

    def prefixed(self, prefix: str) -> Schema:
        """Return a copy with `prefix` before every field name and before both sides of every alias."""
        fields = [replace(field, name=prefix + field.name) for field in self]
        return Schema(fields, {prefix + name: prefix + target for name, target in self._aliases.items()})


def _spellings(name: str) -> Iterator[str]:
    yield name
    for modern, old in _SPELLINGS:
        if modern in name:
            name = name.replace(modern, old)
            yield name
    reverse = name
    for modern, old in _SPELLINGS:
        if old in reverse and modern not in reverse:
            reverse = reverse.replace(old, modern)
            yield reverse
