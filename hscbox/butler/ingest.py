"""Ingest of raw frames: link them into the repository and register them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .header_source import read_raw_record
from .ingest_engine import Engine, IngestOptions
from .ingest_report import IngestReport, completeness
from .lookup import Lookup
from .registry import CREATE_RAW, CREATE_RAW_VISIT, REGISTRY_NAME, Registry
from .repository import open_repository

__all__ = ["ingest_images"]

log = logging.getLogger("ingest")

_VISIT_COLUMNS = ("field", "filter", "dateObs", "taiObs")


class _RawEngine(Engine):
    """Raw frames into `registry.sqlite3`."""

    def __init__(self, root: Path, options: IngestOptions, progress: Callable[[int], None] | None) -> None:
        super().__init__(root / REGISTRY_NAME, (CREATE_RAW, CREATE_RAW_VISIT), options, log, progress)
        self.visits: set[int] = set()
        self._known: dict[int, tuple[object, ...]] = {}

    def table(self, record: Any) -> str:
        return "raw"

    def identity(self, record: Any) -> dict[str, object]:
        self.visits.add(record.visit)
        return {"visit": record.visit, "ccd": record.ccd}

    def registered(self, connection: sqlite3.Connection, record: Any) -> None:
        """Keep one row per visit: that of the first CCD; later ones that disagree are warned about."""
        values = tuple(getattr(record, name) for name in _VISIT_COLUMNS)
        known = self._known.get(record.visit)
        if known is None:
            # Only rows that were read back are remembered: those of a batch that is undone must not be.
            known = self._visit_row(connection, record.visit)
            if known is None:
                columns = ",".join(("visit", *_VISIT_COLUMNS))
                sql = f"INSERT INTO raw_visit ({columns}) VALUES (?,?,?,?,?)"
                connection.execute(sql, (record.visit, *values))
                return
            self._known[record.visit] = known
        if known != values:
            self.report.warnings += 1
            differing = ", ".join(
                f"{name} {new!r} instead of {old!r}"
                for name, old, new in zip(_VISIT_COLUMNS, known, values, strict=True)
                if old != new
            )
            log.warning("visit %d ccd %d has %s; the visit keeps the first", record.visit, record.ccd, differing)

    def _visit_row(self, connection: sqlite3.Connection, visit: int) -> tuple[object, ...] | None:
        sql = f"SELECT {', '.join(_VISIT_COLUMNS)} FROM raw_visit WHERE visit = ?"
        return connection.execute(sql, (visit,)).fetchone()  # type: ignore[no-any-return]


def ingest_images(
    repository: Path | str,
    files: Iterable[str],
    options: IngestOptions | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Ingest raw frames into a repository.

    Parameters
    ----------
    repository
        The input repository: a directory with a `_mapper` file.
    files
        Paths, patterns, directories, `@list` or `-` (see `listed_files`).
    options
        How to ingest; by default files are linked.
    progress
        Called with the number of files dealt with, from time to time.

    Returns
    -------
    IngestReport
        Counts, refused files with reasons, and the completeness of each visit that was touched. Its
        `exit_status` is 4 if a file was refused.

    Raises
    ------
    MissingInputError
        There is no repository, or no file at all was named.
    UsageError
        The repository is an output.
    OutputError, TemporaryError, RegistryError
        The registry or the directory cannot be written.
    """
    opened = open_repository(repository)
    if opened.cfg is not None:
        raise UsageError(
            f"{opened.root} is an output repository; raw frames go into the input repository",
            remedy="Name the directory that has the file _mapper",
        )
    Lookup([opened]).log_registries()
    engine = _RawEngine(opened.root, options or IngestOptions(), progress)
    report = engine.run(files, read_raw_record)
    if engine.visits and engine.registry_path.exists():
        registry = Registry(engine.registry_path)
        report.completeness = completeness(registry, engine.visits)
        registry.close()
    return report
