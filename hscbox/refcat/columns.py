"""Columns of a table, wherever it came from, and reading them from CSV, FITS and Parquet files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DamagedInputError, MissingInputError, UsageError

__all__ = ["Columns", "concatenated", "pick_columns", "read_columns"]

Columns = dict[str, np.ma.MaskedArray]
"""Columns of equal length by the name that the column map gives them."""

_CSV, _FITS, _PARQUET = (".csv", ".csv.gz"), (".fits", ".fit", ".fits.gz"), (".parquet",)


def read_columns(path: Path, wanted: Sequence[str]) -> Columns:
    """Read some columns of a table; the ending of its name says the format. Of a FITS file the first table is read.

    Raises
    ------
    UsageError
        The ending is unknown, or pyarrow is not installed.
    MissingInputError
        There is no such file, or columns are missing.
    DamagedInputError
        It cannot be read.
    """
    name = path.name.lower()
    if not name.endswith((*_CSV, *_FITS, *_PARQUET)):
        endings = ", ".join((*_CSV, *_FITS, *_PARQUET))
        raise UsageError(f"Unknown ending of table {path}, allowed are {endings}")
    if not path.is_file():
        raise MissingInputError(f"There is no table {path}")
    if name.endswith(_PARQUET):
        return _read_parquet(path, wanted)
    from astropy.table import Table

    kind = "ascii.csv" if name.endswith(_CSV) else "fits"
    try:
        with warnings.catch_warnings():
            if kind == "fits":
                # A truncated file is only a warning to astropy. The others tell of odd units and needless keywords, or
                # that of several tables the first is taken.
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", message="File may have been truncated")
            else:
                warnings.simplefilter("error")
            table = Table.read(path, format=kind)
    except MemoryError:
        raise
    except Exception as error:
        # Readers of damaged files raise nearly anything.
        raise DamagedInputError(
            f"Cannot read table {path}: {_short(error)}", remedy="Check that it is whole and of this format"
        ) from error
    return pick_columns(table, wanted, str(path))


def pick_columns(table: Any, wanted: Sequence[str], source: str) -> Columns:
    """Return columns of an astropy table under the names asked for; the case of letters may differ.

    Raises
    ------
    MissingInputError
        Some are missing; the message lists those and what the table has.
    DamagedInputError
        A column holds arrays.
    """
    names = _matched(list(table.colnames), wanted, source)
    result: Columns = {}
    for name, own in names.items():
        column = np.ma.asarray(table[own])
        if column.ndim != 1:
            raise DamagedInputError(f"Column {own} of {source} holds arrays, not numbers")
        result[name] = column
    return result


def _matched(have: Sequence[str], wanted: Sequence[str], source: str) -> dict[str, str]:
    found, missing = {}, []
    for name in wanted:
        same = [own for own in have if own.lower() == name.lower()]
        if name in have:
            found[name] = name
        elif len(same) == 1:
            found[name] = same[0]
        else:
            missing.append(name)
    if missing:
        shown = ", ".join(have[:40]) + (", ..." if len(have) > 40 else "")
        raise MissingInputError(
            f"{source} lacks {', '.join(missing)}; it has {shown or 'no columns'}",
            remedy="Give the column map of this table with --map; the map's columns are " + ", ".join(wanted),
            columns=missing,
        )
    return found


def _read_parquet(path: Path, wanted: Sequence[str]) -> Columns:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            "Parquet files need the package pyarrow, which is not installed",
            remedy="Install it with: pip install 'hscbox[parquet]'; or give CSV or FITS",
        ) from error
    try:
        names = _matched(pyarrow.parquet.read_schema(path).names, wanted, str(path))
        table = pyarrow.parquet.read_table(path, columns=sorted(set(names.values())))
        return {name: _from_arrow(table.column(own)) for name, own in names.items()}
    except (pyarrow.ArrowException, OSError) as error:
        raise DamagedInputError(
            f"Cannot read table {path}: {_short(error)}", remedy="Fetch or make it again"
        ) from error


def _from_arrow(column: Any) -> np.ma.MaskedArray:
    empty = column.is_null().to_numpy()
    # Filled first: to_numpy would turn whole numbers with gaps into floats, and large ids would lose digits.
    values = column
    if empty.any():
        import pyarrow

        numeric = pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)
        filler = False if pyarrow.types.is_boolean(column.type) else 0 if numeric else ""
        values = column.fill_null(filler)
    return np.ma.MaskedArray(values.to_numpy(), mask=empty)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def concatenated(parts: Sequence[Columns]) -> Columns:
    """Return all rows of tables with the same columns."""
    return {name: np.ma.concatenate([part[name] for part in parts]) for name in parts[0]}  # type: ignore[no-untyped-call]
