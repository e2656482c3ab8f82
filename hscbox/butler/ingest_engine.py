"""What ingest of raw frames and of calibrations share: batches of files, each delivered and registered as one unit.

A batch holds the registry's write lock. If anything in it fails as a whole (disk full, process interrupted), its
rows are rolled back and its links, copies and moves are undone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingInputError, UsageError
from .data_id import parse_one_id
from .delivery import Delivery, DestinationTakenError, Mode
from .file_list import is_bad_file, listed_files
from .header_source import read_headers
from .ingest_report import IngestReport
from .output import back_up
from .registry import columns_of, connect_for_writing, make_tables, transaction, translated
from .templates import DATASETS

__all__ = ["Engine", "IngestOptions", "Item"]

# One commit waits for the disk (milliseconds); this many files share it. Fewer when each file is copied, since
# copies of a whole batch are on disk before their rows are.
_BATCH = 256
_BATCH_OF_COPIES = 8


@dataclass(frozen=True)
class IngestOptions:
    """How files are ingested.

    Attributes
    ----------
    mode
        Link, copy, move, or skip (register only).
    dry_run
        Say what would be done, do nothing.
    create
        Begin with a new registry; an existing one is kept as `registry.sqlite3~1`.
    ignore_ingested
        Leave out files whose exposure is registered, whatever the file.
    clobber
        Replace other files at the destination.
    bad_files
        Patterns of base names to leave out.
    bad_ids
        Data ids to leave out, in the words of `--id`.
    permissions
        Mode of the registry.
    processes
        Number of processes that read headers.

    Raises
    ------
    UsageError
        A value makes no sense.
    """

    mode: Mode = Mode.LINK
    dry_run: bool = False
    create: bool = False
    ignore_ingested: bool = False
    clobber: bool = False
    bad_files: tuple[str, ...] = ()
    bad_ids: tuple[tuple[str, ...], ...] = ()
    permissions: int = 0o664
    processes: int = 1

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise UsageError(f"Bad number of processes {self.processes}; it must be 1 or more")
        if not 0 <= self.permissions <= 0o777:
            raise UsageError(f"Bad permissions {self.permissions:o}; allowed are octal 0 to 777")


@dataclass
class Item:
    """A file whose header was understood."""

    infile: str
    record: Any
    delivery: Delivery


class Engine(ABC):
    """Ingest of one kind of file into one registry.

    Parameters
    ----------
    registry_path
        The SQLite file, in the directory that files go to; it is made with the first one that can be registered.
    statements
        CREATE statements of its tables.
    options
        How to ingest.
    logger
        Logger for the lines that users know.
    progress
        Called with the number of files that were dealt with, after each batch.
    """

    def __init__(
        self,
        registry_path: Path,
        statements: Sequence[str],
        options: IngestOptions,
        logger: logging.Logger,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.registry_path = registry_path
        self.root = registry_path.parent
        self.options = options
        self.log = logger
        self.report = IngestReport()
        self._statements = statements
        self._progress = progress
        self._connection: sqlite3.Connection | None = None
        self._n_named = 0
        self._columns: dict[str, tuple[str, ...]] = {}
        self._bad_ids = [
            {key: frozenset(values) for key, values in parse_one_id(words).items()} for words in options.bad_ids
        ]

    @abstractmethod
    def table(self, record: Any) -> str:
        """Return the table that a record goes into, which is also the name of its dataset."""

    @abstractmethod
    def identity(self, record: Any) -> dict[str, object]:
        """Return the columns that no two rows may have in common."""

    def registered(self, connection: sqlite3.Connection, record: Any) -> None:
        """Do what belongs to a new row, within its transaction; nothing by default."""
        del connection, record

    def end_batch(self, connection: sqlite3.Connection, items: Sequence[Item]) -> None:
        """Do what belongs to a whole batch, within its transaction; nothing by default."""
        del connection, items

    def run(self, files: Iterable[str], read: Callable[[str], Any]) -> IngestReport:
        """Ingest files; refused ones are reported and the others go on.

        Parameters
        ----------
        files
            What the user named (see `listed_files`).
        read
            Module-level function that returns the record of a file.

        Raises
        ------
        MissingInputError
            No file at all was named.
        OutputError, TemporaryError, RegistryError
            The registry cannot be used; batches before this one are kept, the current one is undone.
        """
        copying = self.options.mode in {Mode.COPY, Mode.MOVE}
        size = _BATCH_OF_COPIES if copying else _BATCH
        outcomes = read_headers(self._considered(files), read, self.options.processes)
        try:
            while chunk := list(islice(outcomes, size)):
                batch = [item for infile, outcome in chunk if (item := self._item(infile, outcome)) is not None]
                if batch and self.options.dry_run:
                    self._foresee(batch)
                elif batch:
                    self._commit(batch)
                if self._progress is not None:
                    self._progress(len(chunk))
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        if not self._n_named:
            raise MissingInputError(
                "There is no file to ingest", remedy="Name files, patterns that match, or a directory"
            )
        return self.report

    def _considered(self, files: Iterable[str]) -> Iterator[str]:
        """Yield the named files without the bad ones, and count them as they go by."""
        for path in listed_files(files, self.log):
            self._n_named += 1
            if is_bad_file(path, self.options.bad_files):
                self.log.info("Skipping declared bad file %s", path)
                self.report.skipped += 1
            else:
                yield path

    def _item(self, infile: str, outcome: Any) -> Item | None:
        if isinstance(outcome, InputError):
            self._refuse(infile, outcome)
            return None
        for note in getattr(outcome, "notes", ()):
            self.report.warnings += 1
            logging.getLogger(f"{self.log.name}.parse").warning("%s: %s", infile, note)
        if any(all(getattr(outcome, k, None) in v for k, v in bad.items()) for bad in self._bad_ids if bad):
            self.log.info("Skipping declared bad file %s", infile)
            self.report.skipped += 1
            return None
        try:
            source = os.path.abspath(infile)  # noqa: PTH100  (links in the given path are kept)
            destination = self._destination(outcome)
        except (InputError, UsageError) as error:
            self._refuse(infile, InputError(f"{infile}: {error}"))
            return None
        return Item(infile, outcome, Delivery(source, destination, self.options.mode, self.options.clobber))

    def _destination(self, record: Any) -> str:
        kind = DATASETS[self.table(record)]
        return f"{self.root}/{kind.path({key: getattr(record, key) for key in kind.key_types})}"

    def _refuse(self, infile: str, error: InputError) -> None:
        text = str(error)
        self.log.warning("Failed to ingest file %s", text if text.startswith(infile) else f"{infile}: {text}")
        self.report.refuse(infile, error)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            path = self.registry_path
            if self.options.create and path.exists():
                back_up(path)
                path.unlink()
            is_new = not path.exists()
            connection = connect_for_writing(path)
            with translated(path):
                make_tables(connection, self._statements)
            if is_new or path.stat().st_mode & 0o777 != self.options.permissions:
                # Only its owner can do this; a colleague's registry stays as it is.
                with contextlib.suppress(OSError):
                    path.chmod(self.options.permissions)
            self._connection = connection
        return self._connection

    def _commit(self, batch: list[Item]) -> None:
        done: list[Item] = []
        before = self.report.ingested, self.report.unchanged, self.report.adopted
        refused: list[tuple[Item, InputError]] = []
        try:
            for item in batch:
                item.delivery.stage()
            connection = self._open()
            with translated(self.registry_path), transaction(connection):
                for item in batch:
                    try:
                        if self._admit(connection, item):
                            done.append(item)
                    except InputError as error:
                        item.delivery.undo()
                        refused.append((item, error))
                self.end_batch(connection, batch)
        except BaseException:
            # Whatever the reason, an interrupt included: no file without its row.
            for item in reversed(batch):
                item.delivery.undo()
            self.report.ingested, self.report.unchanged, self.report.adopted = before
            raise
        for item in batch:
            if all(item is not other for other, _ in refused):
                self._finish(item)
        for item, reason in refused:
            self._refuse(item.infile, reason)
        for item in done:
            self._log_delivery(item)

    def _finish(self, item: Item) -> None:
        try:
            item.delivery.finish()
        except OSError as error:
            # The frame is delivered and its row is kept: this is no failure of the ingest.
            what = f"{error.filename or item.infile} could not be removed: {error.strerror or error}"
            self.log.warning("%s is in the repository, but %s", item.infile, what)
            self.report.warnings += 1

    def _log_delivery(self, item: Item) -> None:
        if self.options.mode is not Mode.SKIP:
            self.log.info("%s --<%s>--> %s", item.infile, self.options.mode.value, item.delivery.destination)

    def _admit(self, connection: sqlite3.Connection, item: Item) -> bool:
        """Deliver and register one file; return whether something new came of it."""
        present = self._row(connection, item.record)
        delivery = item.delivery
        if present is not None and (self.options.ignore_ingested or self.options.mode is Mode.SKIP):
            if not self.options.ignore_ingested:
                self._check_row(item, present)
            delivery.leave()
            self.report.unchanged += 1
            return False
        if present is not None:
            self._check_row(item, present)
            if delivery.is_same():
                self.report.unchanged += 1
                return False
            try:
                delivery.place()
            except DestinationTakenError as error:
                text = f"{self._named(item)} is registered already, from another file: {error.message}"
                raise DestinationTakenError(text, remedy=error.remedy) from None
            self.report.ingested += 1
            return True
        new = delivery.place()
        self._insert(connection, item.record)
        self.report.ingested += 1
        self.report.adopted += not new
        return True

    def _named(self, item: Item) -> str:
        return " ".join(f"{key} {value}" for key, value in self.identity(item.record).items())

    def _table_columns(self, connection: sqlite3.Connection, table: str, record: Any) -> tuple[str, ...]:
        """Return the columns of a table that the record has values for; tables of older registries differ."""
        if table not in self._columns:
            names = columns_of(connection, table)
            self._columns[table] = tuple(name for name in names if hasattr(record, name))
        return self._columns[table]

    def _row(self, connection: sqlite3.Connection, record: Any) -> tuple[object, ...] | None:
        table = self.table(record)
        columns = ", ".join(self._table_columns(connection, table, record))
        identity = self.identity(record)
        where = " AND ".join(f"{name} = ?" for name in identity)
        rows = connection.execute(f"SELECT {columns} FROM {table} WHERE {where}", tuple(identity.values()))
        return rows.fetchone()  # type: ignore[no-any-return]

    def _check_row(self, item: Item, present: tuple[object, ...]) -> None:
        columns = self._columns[self.table(item.record)]
        differing = [
            f"{name} {old!r}, the file has {getattr(item.record, name)!r}"
            for name, old in zip(columns, present, strict=True)
            if old != getattr(item.record, name)
        ]
        if differing:
            raise InputError(
                f"{item.infile}: {self._named(item)} is registered already, with other values: {'; '.join(differing)}",
                remedy="If the header was mended, delete the old row and its file first",
            )

    def _insert(self, connection: sqlite3.Connection, record: Any) -> None:
        table = self.table(record)
        columns = self._table_columns(connection, table, record)
        marks = ",".join("?" * len(columns))
        try:
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", attrgetter(*columns)(record)
            )
        except (sqlite3.IntegrityError, OverflowError) as error:
            raise InputError(f"Cannot register {self.identity(record)}: {error}") from error
        self.registered(connection, record)

    def _foresee(self, batch: list[Item]) -> None:
        """Report what a batch would do, without doing it."""
        connection: sqlite3.Connection | None = None
        if self.registry_path.exists() and not self.options.create:
            with translated(self.registry_path):
                connection = sqlite3.connect(f"{self.registry_path.as_uri()}?mode=ro", uri=True)
        for item in batch:
            try:
                self._foresee_one(connection, item)
            except InputError as error:
                self._refuse(item.infile, error)
        if connection is not None:
            connection.close()

    def _foresee_one(self, connection: sqlite3.Connection | None, item: Item) -> None:
        delivery = item.delivery
        present = None
        if connection is not None:
            with translated(self.registry_path):
                present = self._row(connection, item.record)
        if present is not None:
            if not self.options.ignore_ingested:
                self._check_row(item, present)
            if self.options.ignore_ingested or self.options.mode is Mode.SKIP or delivery.is_same():
                self.report.unchanged += 1
                return
        exists = os.path.lexists(delivery.destination) and self.options.mode is not Mode.SKIP
        if exists and not self.options.clobber and not delivery.is_same():
            raise delivery.taken()
        self.report.ingested += 1
        self._log_delivery(item)
