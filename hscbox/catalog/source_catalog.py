"""Catalogues in memory: one numpy array per column, with the calls that users of the LSST stack make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..fits.metadata import Metadata
from ..image.photo_calib import PhotoCalib
from .footprint import Footprint
from .record import Record
from .schema import Field, Schema

__all__ = ["SourceCatalog", "magnitudes", "make_minimal_schema"]


def make_minimal_schema() -> Schema:
    """Return the four fields that every source catalogue begins with: id, coord_ra, coord_dec, parent."""
    return Schema(
        [
            Field("id", "L", "unique ID"),
            Field("coord_ra", "Angle", "position in ra/dec"),
            Field("coord_dec", "Angle", "position in ra/dec"),
            Field("parent", "L", "unique ID of parent source"),
        ]
    )


class SourceCatalog:
    """A table with a schema, a footprint per row, and header metadata.

    Columns are reached by name or alias: ``cat["slot_PsfFlux_flux"]`` is a writable numpy array, (rows,) or
    (rows, size), bool for flags. A row is reached by number, ``cat[3]``; slices, bool masks and index arrays
    give a new catalogue. An array taken before `extend` does not see the new rows.

    Parameters
    ----------
    schema
        The columns; not copied, so that fields must not be added later.
    rows
        Number of rows at the start: NaN, 0 and False.
    table_type
        "SOURCE" for sources and shards, "SIMPLE" for a plain catalogue of positions, "" for any other table.
    """

    def __init__(self, schema: Schema, rows: int = 0, *, table_type: str = "SOURCE") -> None:
        self.schema = schema
        self.table_type = table_type
        self.metadata = Metadata()
        self.footprints: list[Footprint | None] = [None] * rows
        self._columns: dict[str, np.ndarray] = {field.name: field.empty(rows) for field in schema}

    def __len__(self) -> int:
        return len(self.footprints)

    def __iter__(self) -> Iterator[Record]:
        return (Record(self, row) for row in range(len(self)))

    def __contains__(self, name: object) -> bool:
        return name in self.schema

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.column(key)
        if isinstance(key, (int, np.integer)):
            row = int(key)
            if not -len(self) <= row < len(self):
                raise IndexError(f"Row {row} of a catalogue of {len(self)} rows")
            return Record(self, row % len(self))
        return self.subset(np.arange(len(self))[key] if isinstance(key, slice) else key)

    def __setitem__(self, name: str, values: Any) -> None:
        self.column(name)[...] = values

    def __repr__(self) -> str:
        kind = self.table_type or "BASE"
        return f"SourceCatalog({kind}, {len(self)} rows, {len(self.schema)} fields)"

    def column(self, name: str) -> np.ndarray:
        """Return the column of a name or alias, a view.

        Raises
        ------
        KeyError
            There is no such field.
        """
        try:
            return self._columns[name]
        except KeyError:
            return self._columns[self.schema.find(name).name]

    def get(self, name: str) -> np.ndarray:
        """Return a column (the spelling of the LSST stack)."""
        return self.column(name)

    def getSchema(self) -> Schema:  # noqa: N802
        """Return the schema (the spelling of the LSST stack)."""
        return self.schema

    def getMetadata(self) -> Metadata:  # noqa: N802
        """Return the header metadata (the spelling of the LSST stack)."""
        return self.metadata

    def adopt(self, name: str, column: np.ndarray) -> None:
        """Put a whole column in place without copying it.

        Raises
        ------
        ValueError
            Its number of rows is not that of the catalogue.
        """
        if len(column) != len(self):
            raise ValueError(f"Column {name} has {len(column)} rows, the catalogue {len(self)}")
        self._columns[self.schema.find(name).name] = column

    def subset(self, rows: np.ndarray) -> SourceCatalog:
        """Return a catalogue of some rows (bool mask or numbers); columns are copied, footprints shared."""
        picked = np.asarray(rows)
        if picked.dtype != bool:
            picked = picked.astype(np.int64)
        numbers = np.arange(len(self))[picked]
        result = SourceCatalog(self.schema, table_type=self.table_type)
        result.metadata = self.metadata.copy()
        result.footprints = [self.footprints[row] for row in numbers]
        result._columns = {name: column[numbers] for name, column in self._columns.items()}
        return result

    def sorted(self, name: str = "id") -> SourceCatalog:
        """Return a copy in ascending order of a column; equal values keep their order."""
        return self.subset(np.argsort(self.column(name), kind="stable"))

    def copy(self) -> SourceCatalog:
        """Return a copy; columns are copied, schema and footprints shared."""
        return self.subset(np.arange(len(self)))

    def extend(self, rows: int | SourceCatalog) -> slice:
        """Append new rows, or those of another catalogue of the same schema, and return where they are.

        Raises
        ------
        ValueError
            The other catalogue has other fields.
        """
        before = len(self)
        if isinstance(rows, SourceCatalog):
            if list(rows.schema) != list(self.schema):
                raise ValueError("A catalogue can only be extended by one with the same fields")
            added = rows
        else:
            added = SourceCatalog(self.schema, rows, table_type=self.table_type)
        for name, column in self._columns.items():
            self._columns[name] = np.concatenate([column, added._columns[name]])
        self.footprints.extend(added.footprints)
        return slice(before, len(self))

    def with_schema(self, schema: Schema) -> SourceCatalog:
        """Return a copy with other columns: those of `schema`, filled where this catalogue has them."""
        result = SourceCatalog(schema, len(self), table_type=self.table_type)
        result.metadata = self.metadata.copy()
        result.footprints = list(self.footprints)
        for name in schema.names():
            if name in self._columns:
                result[name] = self._columns[name]
        return result

    def asAstropy(self) -> Any:  # noqa: N802
        """Return an astropy Table with units, descriptions and metadata (the stack's spelling)."""
        # astropy.table costs 0.2 s to import; only interactive users come here.
        from astropy.table import Column, Table
        from astropy.units import Unit

        units = {field.unit: Unit(field.unit, parse_strict="silent") for field in self.schema if field.unit}
        columns = [
            Column(
                self._columns[field.name],
                name=field.name,
                unit=units.get(field.unit),
                description=field.doc or None,
                copy=True,
            )
            for field in self.schema
        ]
        return Table(columns, copy=False, meta=dict(self.metadata.items()))


def magnitudes(cat: SourceCatalog, flux_name: str, photo_calib: PhotoCalib) -> np.ndarray:
    """Return the AB magnitudes (rows,) of a flux column in counts; NaN where the flux is not positive.

    Parameters
    ----------
    flux_name
        Column or alias, with or without the ending ``_flux``: "slot_PsfFlux" or "base_PsfFlux_flux".
    """
    name = flux_name if flux_name in cat else f"{flux_name}_flux"
    return photo_calib.magnitude(cat.column(name).astype(np.float64))
