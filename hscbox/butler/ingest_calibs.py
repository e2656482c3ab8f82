"""Ingest of master calibrations: bring them into the calibration directory and register their validity."""

from __future__ import annotations

import functools
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..camera.calib_kinds import CALIB_KINDS
from ..errors import InputError, MissingInputError, OutputError, UsageError
from ..machine.files import output_failure
from .calib_registry import CALIB_REGISTRY_NAME, create_statements, update_validity
from .header_source import read_calib_record
from .ingest_engine import Engine, IngestOptions, Item
from .ingest_report import IngestReport
from .lookup import Lookup
from .paths import absolute
from .repository import open_repository

__all__ = ["ingest_calibs"]

log = logging.getLogger("ingestCalibs")

_MAX_DAYS = 36_525


class _CalibEngine(Engine):
    """Calibrations into `calibRegistry.sqlite3`."""

    def __init__(
        self, root: Path, validity: int, options: IngestOptions, progress: Callable[[int], None] | None
    ) -> None:
        super().__init__(root / CALIB_REGISTRY_NAME, create_statements(), options, log, progress)
        self.validity = validity

    def table(self, record: Any) -> str:
        if record.calibType not in CALIB_KINDS:
            raise InputError(
                f"Calibrations of type '{record.calibType}' are not known; allowed are {', '.join(CALIB_KINDS)}",
                remedy="Correct OBSTYPE, or give --calibType",
            )
        return str(record.calibType)

    def identity(self, record: Any) -> dict[str, object]:
        return {"filter": record.filter, "ccd": record.ccd, "calibDate": record.calibDate}

    def end_batch(self, connection: sqlite3.Connection, items: Sequence[Item]) -> None:
        """Compute the validity of the groups of these files; rows of other groups are not touched."""
        groups: dict[str, set[tuple[str, int]]] = {}
        for item in items:
            groups.setdefault(item.record.calibType, set()).add((item.record.filter, item.record.ccd))
        for table, members in groups.items():
            for warning in update_validity(connection, table, members, self.validity):
                self.report.warnings += 1
                log.warning("%s", warning)


def ingest_calibs(
    repository: Path | str,
    files: Iterable[str],
    *,
    calib: Path | str | None = None,
    validity: int,
    options: IngestOptions | None = None,
    calib_type: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Ingest master calibrations.

    Parameters
    ----------
    repository
        The repository that uses them.
    files
        Paths, patterns, directories, `@list` or `-` (see `listed_files`).
    calib
        Calibration directory that registry and files go to; by default `CALIB` of the repository. It is made
        if needed.
    validity
        Days for which a calibration is valid before and after its date.
    options
        How to ingest; mode `move` is usual.
    calib_type
        Type of all files, instead of what their headers say.
    progress
        Called with the number of files dealt with, from time to time.

    Raises
    ------
    UsageError
        Validity or type has a bad value.
    MissingInputError
        There is no repository, no calibration directory, or no file at all was named.
    OutputError, TemporaryError, RegistryError
        The calibration directory or its registry cannot be written.
    """
    options = options or IngestOptions()
    if not 0 <= validity <= _MAX_DAYS:
        raise UsageError(f"Bad validity {validity}; it must be 0 to {_MAX_DAYS} days")
    if calib_type is not None and calib_type not in CALIB_KINDS:
        raise UsageError(f"Unknown calibration type '{calib_type}'; allowed are {', '.join(CALIB_KINDS)}")
    opened = open_repository(repository)
    root = absolute(calib) if calib is not None else opened.calib_root
    if root is None:
        raise MissingInputError(
            f"{opened.root} has no directory CALIB", remedy="Give --calib DIR, or hscbox mount REPO --calib DIR"
        )
    _make(root, options)
    Lookup([opened]).log_registries()
    engine = _CalibEngine(root, validity, options, progress)
    return engine.run(files, functools.partial(_read_as, calib_type=calib_type))


def _read_as(path: str, calib_type: str | None) -> Any:
    record: Any = read_calib_record(path)
    return record if calib_type is None else replace(record, calibType=calib_type)


def _make(root: Path, options: IngestOptions) -> None:
    if root.is_symlink() and not root.exists():
        raise OutputError(f"{root} is a symbolic link to {root.readlink()}, which is not there")
    if options.dry_run:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_failure(root, error) from error
