"""The archive of objects that afw appends to exposures and catalogues: an index table and data tables.

Layout: lsst/afw e0459d59, src/table/io/OutputArchive.cc and InputArchive.cc. An object has an id, a class name, a
python module and one or more tables; objects whose tables have the same layout share a FITS table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedInputError
from .cards import card
from .read import ReadUnit
from .tables import Column, VariableArray, read_table, table_unit
from .write import FitsUnit

__all__ = ["ArchiveReader", "ArchiveWriter", "StoredObject"]

_VERSION_CARD = card("AFW_TABLE_VERSION", 1)


@dataclass
class _Catalogue:
    """A data table that grows."""

    name: str
    """Class of the first object stored."""
    parts: list[Sequence[Column]] = field(default_factory=list)
    rows: int = 0


class ArchiveWriter:
    """Collects objects and makes the units to be written.

    An object that refers to others needs their ids: reserve its own id first, add the others, then add it.
    """

    def __init__(self) -> None:
        self._next_id = 1
        self._index: list[tuple[NDArray[Any], ...]] = []
        self._names: list[tuple[int, str, str]] = []
        self._catalogues: dict[tuple[object, ...], tuple[int, _Catalogue]] = {}

    def reserve(self, count: int = 1) -> int:
        """Set aside `count` consecutive ids and return the first."""
        first = self._next_id
        self._next_id += count
        return first

    def add(self, name: str, module: str, tables: Sequence[Sequence[Column]], object_id: int | None = None) -> int:
        """Add one object with its tables and return its id, a new one if none is given."""
        number = self.reserve() if object_id is None else object_id
        rows = [np.array([len(table[0].values)]) for table in tables]
        self.add_many(name, module, np.array([number]), tables, rows)
        return number

    def add_many(
        self,
        name: str,
        module: str,
        object_ids: NDArray[np.integer[Any]],
        tables: Sequence[Sequence[Column]],
        row_counts: Sequence[NDArray[np.integer[Any]]],
    ) -> None:
        """Add objects of one class at once.

        Parameters
        ----------
        name, module
            Class and the python module that knows it.
        object_ids
            (n,) ids, from `reserve`.
        tables
            The tables of the class; in each the rows of all objects in the order of the ids.
        row_counts
            For each table how many rows every object has, (n,).
        """
        for k, (table, counts) in enumerate(zip(tables, row_counts, strict=True)):
            number, catalogue = self._catalogue(name, table)
            counts = np.asarray(counts, dtype=np.int64)
            starts = catalogue.rows + np.concatenate([[0], np.cumsum(counts)[:-1]])[: len(counts)]
            same = np.ones(len(counts), dtype=np.int64)
            self._index.append((np.asarray(object_ids, np.int64), same * number, same * k, starts, counts))
            self._names.append((len(counts), name, module))
            catalogue.parts.append(table)
            catalogue.rows += int(counts.sum())

    def units(self) -> list[FitsUnit]:
        """Return the index and the data tables as FITS units, in file order."""
        catalogues = [catalogue for _, catalogue in self._catalogues.values()]
        names = [name for count, name, _ in self._names for _ in range(count)]
        modules = [module for count, _, module in self._names for _ in range(count)]
        numbers = [
            np.concatenate([part[k] for part in self._index]) if self._index else np.zeros(0, np.int64)
            for k in range(5)
        ]
        columns = [
            Column(title, form, values, doc=doc)
            for (title, form, doc), values in zip(_INDEX, [*numbers, names, modules], strict=True)
        ]
        index_cards = [
            card("EXTTYPE", "ARCHIVE_INDEX"),
            card("AR_CATN", 0, "# of this catalog relative to the start"),
            card("AR_NCAT", 1 + len(catalogues), "# of catalogs in this archive"),
            _VERSION_CARD,
        ]
        units = [table_unit(columns, index_cards)]
        for number, catalogue in enumerate(catalogues, start=1):
            data_cards = [
                card("EXTTYPE", "ARCHIVE_DATA"),
                card("AR_CATN", number, "# of this catalog relative to the start"),
                card("AR_NAME", catalogue.name, "Class name for objects stored here"),
                _VERSION_CARD,
            ]
            units.append(table_unit(_joined(catalogue.parts), data_cards))
        return units

    def _catalogue(self, name: str, table: Sequence[Column]) -> tuple[int, _Catalogue]:
        layout = tuple(column.layout for column in table)
        if layout not in self._catalogues:
            self._catalogues[layout] = (len(self._catalogues) + 1, _Catalogue(name))
        return self._catalogues[layout]


@dataclass(frozen=True)
class StoredObject:
    """An object found in an archive."""

    name: str
    module: str
    tables: list[dict[str, Any]]
    """Its rows of each of its tables: column name to array (rows, ...) or list of arrays."""


class ArchiveReader:
    """Looks objects up in an archive.

    Parameters
    ----------
    units
        The index and the data tables that follow it (more units may follow).

    Raises
    ------
    DamagedInputError
        The first unit is not an index, or tables are missing.
    """

    def __init__(self, units: Sequence[ReadUnit]) -> None:
        header = units[0].header if units else {}
        if str(header.get("EXTTYPE", "")).strip() != "ARCHIVE_INDEX" or "AR_NCAT" not in header:
            where = units[0].path if units else "The file"
            raise DamagedInputError(f"{where} has no archive index where AR_HDU points")
        self.path = units[0].path
        """The file."""
        n_catalogues = int(header["AR_NCAT"])
        if not 1 <= n_catalogues <= len(units):
            raise DamagedInputError(
                f"{self.path} should have {n_catalogues} archive tables, but {len(units)} units are left"
            )
        self.index = read_table(units[0])
        """Columns of the index, in file order."""
        self._units = list(units[1:n_catalogues])
        self._read: dict[int, dict[str, Any]] = {}
        wanted = {title for title, _, _ in _INDEX}
        if not wanted <= set(self.index):
            raise DamagedInputError(f"{self.path} has an archive index without {sorted(wanted - set(self.index))}")
        self.blocks: dict[int, dict[int, tuple[int, int, int]]] = {}
        """Of each object, for each of its tables: number of the data table that holds it, first row, number of rows."""
        self._classes: dict[int, tuple[str, str]] = {}
        fields = ("id", "cat.persistable", "cat.archive", "row0", "nrows", "name", "module")
        for number, part, table, row0, rows, *names in zip(*(self.index[f].tolist() for f in fields), strict=True):
            self.blocks.setdefault(number, {})[part] = (table, row0, rows)
            self._classes[number] = (names[0], names[1])

    def table(self, number: int) -> dict[str, Any]:
        """Return the columns of data table `number`, counted from 1 as in the index.

        Raises
        ------
        DamagedInputError
            There is no such table.
        """
        if not 1 <= number <= len(self._units):
            raise DamagedInputError(f"{self.path} has no archive table {number}; it has {len(self._units)}")
        if number not in self._read:
            columns = read_table(self._units[number - 1])
            self._read[number] = {
                name: values.split() if isinstance(values, VariableArray) else values
                for name, values in columns.items()
            }
        return self._read[number]

    def get(self, object_id: int) -> StoredObject:
        """Return an object.

        Raises
        ------
        DamagedInputError
            The archive has no such object.
        """
        if object_id not in self.blocks:
            raise DamagedInputError(f"{self.path} has no object {object_id} in its archive")
        tables = []
        for _, (number, first, count) in sorted(self.blocks[object_id].items()):
            if number < 0:
                continue
            columns = self.table(number)
            length = min(len(values) for values in columns.values())
            if first < 0 or count < 0 or first + count > length:
                raise DamagedInputError(f"{self.path}: rows of archive object {object_id} lie outside their table")
            tables.append({name: values[first : first + count] for name, values in columns.items()})
        return StoredObject(*self._classes[object_id], tables)


_INDEX = (
    ("id", "J", "Archive ID of the persistable object that owns a block of rows"),
    ("cat.archive", "J", "1-based number of the data catalog"),
    ("cat.persistable", "J", "0-based index of the catalog within the object"),
    ("row0", "J", "First row of the block"),
    ("nrows", "J", "Number of rows of the block"),
    ("name", "64A", "Class name of the object"),
    ("module", "64A", "Python module of the class"),
)
"""Name, format and documentation of the columns of the index."""


def _joined(parts: Sequence[Sequence[Column]]) -> list[Column]:
    if len(parts) == 1:
        return list(parts[0])
    return [
        replace(columns[0], values=_concatenated([column.values for column in columns]))
        for columns in zip(*parts, strict=True)
    ]


def _concatenated(pieces: list[Any]) -> Any:
    return VariableArray.joined(pieces) if isinstance(pieces[0], VariableArray) else np.concatenate(pieces)
