"""The registry of raw frames: an SQLite file with the tables `raw` and `raw_visit`.

Readers open it read-only. Writers change it in place, in transactions that take the write lock at once
(`BEGIN IMMEDIATE`), so that several may run at the same time. The journal stays in its default mode: a
write-ahead log needs shared memory, which network disks do not give.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from ..errors import HscboxError, MissingInputError, OutputError, RegistryError, TemporaryError, UsageError
from .data_id import KEY_TYPES, DataId, suggestion

__all__ = [
    "BUSY_SECONDS",
    "CREATE_RAW",
    "CREATE_RAW_VISIT",
    "REGISTRY_NAME",
    "Registry",
    "columns_of",
    "connect_for_writing",
    "make_tables",
    "transaction",
    "translated",
]

REGISTRY_NAME = "registry.sqlite3"

_SQL_TYPES = {str: "text", int: "int", float: "double"}
_COLUMNS = ",".join(f"{name} {_SQL_TYPES[kind]}" for name, kind in KEY_TYPES.items())
CREATE_RAW = f"CREATE TABLE raw (id integer primary key autoincrement, {_COLUMNS}, unique(visit,ccd))"
CREATE_RAW_VISIT = "CREATE TABLE raw_visit (visit int,field text,filter text,dateObs text,taiObs text, unique(visit))"

# A writer holds the lock for one batch (well below a second on local disks); this is the patience of the others.
BUSY_SECONDS = 120.0

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, naming the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise TemporaryError(
                f"Registry {path} is in use by another process", remedy="Wait for the other ingest to end, try again"
            ) from error
        if "full" in text:
            raise TemporaryError(f"No space left to write {path}", remedy="Free space, then run again") from error
        if "readonly" in text or "read-only" in text:
            raise OutputError(f"Registry {path} is not writable", remedy="Check its permissions") from error
        raise RegistryError(f"Cannot use registry {path}: {text}") from error
    except sqlite3.DatabaseError as error:
        raise RegistryError(
            f"Registry {path} is damaged: {error}", remedy="Restore it from a copy, or ingest the files again"
        ) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if not path.exists() and mode != "rwc":
        raise MissingInputError(f"No such registry: {path}", remedy="Ingest files first")
    # Autocommit: transactions are opened and closed by our own statements only.
    return sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def connect_for_writing(path: Path) -> sqlite3.Connection:
    """Open a registry for changes, making an empty file if there is none."""
    try:
        with translated(path):
            return _connect(path, "rwc")
    except RegistryError as error:
        raise OutputError(
            f"Cannot open {path} for writing: {error.message}", remedy="Check that its directory is writable"
        ) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock for the block; everything in it is kept, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def make_tables(connection: sqlite3.Connection, statements: Sequence[str]) -> None:
    """Run those of the CREATE statements whose table does not exist yet, as one unit."""
    with transaction(connection):
        present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for statement in statements:
            if statement.split()[2] not in present:
                connection.execute(statement)


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Return the column names of a table in their stored order; empty if there is no such table."""
    return tuple(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


class Registry:
    """Read-only view of an SQLite registry.

    The connection is opened on first use and is not taken along into other processes.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._columns: dict[str, tuple[str, ...]] = {}

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_connection": None, "_columns": {}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def close(self) -> None:
        """Close the connection; a later query opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = _connect(self.path, "ro")
            try:
                connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
            except sqlite3.OperationalError as error:
                connection.close()
                connection = self._recover(error)
            self._connection = connection
        return self._connection

    def _recover(self, error: sqlite3.OperationalError) -> sqlite3.Connection:
        """Roll back what a killed writer left: its journal keeps read-only connections out."""
        if not self.path.with_name(f"{self.path.name}-journal").exists():
            raise error
        with closing(_connect(self.path, "rw")) as writable:
            writable.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
        return _connect(self.path, "ro")

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the column names of `table`.

        Raises
        ------
        RegistryError
            There is no such table, or the file is no registry.
        """
        if table not in self._columns:
            with translated(self.path):
                names = columns_of(self._open(), table)
            if not names:
                raise RegistryError(f"Registry {self.path} has no table '{table}'", remedy="Is it a registry of raws?")
            self._columns[table] = names
        return self._columns[table]

    def query(
        self,
        table: str,
        wanted: Sequence[str],
        where: Mapping[str, object],
        *,
        between: tuple[object, str, str] | None = None,
        limit: int | None = None,
    ) -> list[tuple[object, ...]]:
        """Return the distinct values of columns in the rows that match.

        Parameters
        ----------
        table
            Name of the table.
        wanted
            Names of the columns to return.
        where
            Column names and the values they must have.
        between
            A value and the two columns that must enclose it, both ends included.
        limit
            Largest number of rows to return.

        Raises
        ------
        UsageError
            A column does not exist; the message names all.
        RegistryError, TemporaryError
            The registry cannot be read.
        """
        known = self.columns(table)
        for name in (*wanted, *where, *(between[1:] if between else ())):
            if name not in known or not _IDENTIFIER.fullmatch(name):
                raise UsageError(
                    f"Unknown key '{name}'; table '{table}' of {self.path} has {', '.join(known)}",
                    remedy=suggestion(name, known),
                )
        clauses = [f"{name} = ?" for name in where]
        values = list(where.values())
        if between is not None:
            clauses.append(f"(? BETWEEN {between[1]} AND {between[2]})")
            values.append(between[0])
        sql = f"SELECT DISTINCT {', '.join(wanted)} FROM {table}"
        if clauses:
            sql += " WHERE " + " AND ".join(clauses)
        if not {"visit", "ccd"} <= set(where) and {"visit", "ccd"} <= set(wanted):
            sql += " ORDER BY visit, ccd"
        if limit is not None:
            sql += f" LIMIT {int(limit)}"
        try:
            with translated(self.path):
                return self._open().execute(sql, values).fetchall()
        except OverflowError:
            # SQLite has integers of 64 bits: no row holds a larger one.
            return []

    def exposures(self, where: Mapping[str, object], *, limit: int | None = None) -> list[DataId]:
        """Return the matching rows of `raw` as data ids with all columns, ordered by visit and ccd."""
        wanted = [name for name in self.columns("raw") if name in KEY_TYPES]
        rows = self.query("raw", wanted, where, limit=limit)
        # Optional columns may be NULL; a key without value is left out.
        return [
            {key: value for key, value in zip(wanted, row, strict=True) if value is not None}  # type: ignore[misc]
            for row in rows
        ]

    def nearest(self, table: str, key: str, value: object, count: int = 3) -> list[object]:
        """Return the values of `key` closest to `value` (for numbers), or else some of its values."""
        self.columns(table)
        sql = f"SELECT DISTINCT {key} FROM {table} "
        arguments: Iterable[object]
        if isinstance(value, int | float):
            # Two index walks, not a sort of the whole table.
            below = f"SELECT * FROM ({sql} WHERE {key} <= ? ORDER BY {key} DESC LIMIT ?)"
            above = f"SELECT * FROM ({sql} WHERE {key} > ? ORDER BY {key} LIMIT ?)"
            sql, arguments = f"{below} UNION {above}", (value, count, value, count)
        else:
            sql, arguments = f"{sql} WHERE {key} IS NOT NULL ORDER BY {key} LIMIT ?", (count * 4,)
        try:
            with translated(self.path):
                found = [row[0] for row in self._open().execute(sql, tuple(arguments))]
        except (HscboxError, OverflowError):
            return []
        if isinstance(value, int | float):
            # SQLite columns hold values of any type, whatever was declared.
            found = [other for other in found if isinstance(other, int | float)]
            found = sorted(found, key=lambda other: (abs(other - value), other))[:count]
        return found
