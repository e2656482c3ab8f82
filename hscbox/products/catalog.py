"""Catalogues on disk: the FITS form of lsst.afw.table as of 2017.

HDU 0 is empty, HDU 1 the table; in the file of a source catalogue an archive of footprints follows, to which
the last column refers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..catalog.schema import Field, Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import DamagedInputError
from ..fits.archive import ArchiveReader
from ..fits.cards import card, metadata_cards
from ..fits.metadata import Metadata
from ..fits.read import ReadUnit, naming, read_units
from ..fits.write import FitsUnit, primary_unit, write_units
from .footprint_archive import encode_footprints, read_footprints
from .table_reader import DecodedTable, decode_table
from .table_writer import encode_table, is_table_keyword

__all__ = ["read_catalog", "write_catalog", "write_schema"]

_FOOTPRINT = Field("footprint", "I", "archive id of the footprint, 0 for none")
_SOURCE = "SOURCE"
_MINIMAL = (("L", "id"), ("Angle", "coord_ra"), ("Angle", "coord_dec"), ("L", "parent"))


def write_catalog(path: Path | str, cat: SourceCatalog) -> None:
    """Write a catalogue atomically; equal catalogues give equal bytes.

    A catalogue of type SOURCE gets the column ``footprint`` and the archive, even if all footprints are None.

    Raises
    ------
    ValueError
        A source catalogue does not begin with id, coord_ra, coord_dec, parent, without which the LSST stack
        refuses it.
    OutputError, TemporaryError
        The file cannot be written.
    """
    schema, archive = cat.schema, list[FitsUnit]()
    columns = {name: cat.column(name) for name in schema.names()}
    tail = metadata_cards(cat.metadata.without(is_table_keyword))
    if cat.table_type == _SOURCE:
        _check_minimal(schema)
        columns[_FOOTPRINT.name], archive = encode_footprints(cat.footprints)
        schema = Schema([*schema, _FOOTPRINT], schema.aliases)
        tail.append(card("AR_HDU", 3, "HDU of the archive index, counted from 1"))
    tail.append(card("AFW_TABLE_VERSION", 1))
    if cat.table_type:
        tail.append(card("AFW_TYPE", cat.table_type, f"a {cat.table_type.lower()} table of lsst.afw"))
    table = encode_table(schema, columns, tail)
    write_units(path, [primary_unit(bitpix=16), table, *archive])


def _check_minimal(schema: Schema) -> None:
    begins = tuple((field.dtype, field.name) for field in list(schema)[:4])
    if begins != _MINIMAL:
        raise ValueError(f"A source catalogue begins with id, coord_ra, coord_dec, parent, not with {begins}")


def write_schema(path: Path | str, schema: Schema, metadata: Metadata | None = None) -> None:
    """Write a source catalogue without rows."""
    cat = SourceCatalog(schema)
    cat.metadata = Metadata() if metadata is None else metadata.copy()
    write_catalog(path, cat)


def read_catalog(path: Path | str, *, footprints: bool = True) -> SourceCatalog:
    """Read a catalogue, of this program, of any version of the LSST stack, or a plain FITS table in HDU 1.

    Parameters
    ----------
    footprints
        Whether to read the footprints; False saves half the time.

    Raises
    ------
    MissingInputError
        There is no such file.
    DamagedInputError
        The file is truncated, contradicts itself or holds no table.
    """
    units = read_units(path)
    with naming(path):
        return _interpret(units, footprints)


def _interpret(units: list[ReadUnit], footprints: bool) -> SourceCatalog:
    if len(units) < 2 or str(units[1].header.get("XTENSION")).strip() != "BINTABLE":
        raise DamagedInputError(f"{units[0].path} has no table in its HDU 1", remedy="Check that it is a catalogue")
    table = decode_table(units[1])
    ids = _take_ids(table)
    cat = SourceCatalog(table.schema, table_type=str(units[1].header.get("AFW_TYPE", "")).strip())
    cat.metadata = table.metadata
    cat.footprints = [None] * table.rows
    for name, column in table.columns.items():
        cat.adopt(name, column)
    index = _archive_index(units)
    if footprints and ids is not None and index is not None:
        cat.footprints = read_footprints(ArchiveReader(units[index:]), ids)
    return cat


def _take_ids(table: DecodedTable) -> np.ndarray | None:
    """Remove the column of archive ids, which belongs to the file and not to the catalogue, and return it."""
    if not any(field.name == _FOOTPRINT.name and field.dtype == "I" for field in table.schema):
        return None
    kept = [field for field in table.schema if field.name != _FOOTPRINT.name]
    table.schema = Schema(kept, table.schema.aliases)
    return table.columns.pop(_FOOTPRINT.name)


def _archive_index(units: list[ReadUnit]) -> int | None:
    """Return the number of the index HDU, counted from 0; None if the archive is not in the file."""
    stated = units[1].header.get("AR_HDU", 3)
    number = stated - 1 if isinstance(stated, int) else 0
    if not 1 < number < len(units) or units[number].header.get("EXTTYPE") != "ARCHIVE_INDEX":
        return None
    return number
