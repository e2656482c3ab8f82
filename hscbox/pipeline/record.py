"""What a CCD gave, and what a run was: the typed records, and the one form in which they are kept, JSON.

Everything that is said about an outcome, from the summary on the screen to the cards that sign a product, is taken from
these records.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import DamagedInputError, ExitStatus, HscboxError, MissingInputError, error_class
from ..machine.files import write_bytes

__all__ = [
    "SCHEMA",
    "CcdError",
    "CcdNumbers",
    "CcdRecord",
    "Made",
    "RunRecord",
    "from_text",
    "keep_record",
    "now",
    "read_record",
    "signature",
    "to_text",
    "write_record",
]

SCHEMA = 1
"""Version of the JSON form; it grows when a key changes its meaning, not when one is added."""

# Keys that are not the names of the fields in camel case. Those of records before there was a schema are kept.
_KEYS = {"code": "status", "peak_memory_mib": "peakMemoryMiB", "status": "exitStatus"}


@dataclass(frozen=True)
class CcdNumbers:
    """The key numbers of one processed CCD."""

    sky: float
    sky_sigma: float
    seeing_arcsec: float
    psf_stars: int
    cosmic_rays: int
    bright_sources: int
    sources: int = 0
    matches: int = 0
    astrometric_scatter_arcsec: float = math.nan
    zero_point: float = math.nan
    zero_point_stars: int = 0


@dataclass(frozen=True)
class CcdError:
    """The error that ended a CCD: its text, and its numbers by name."""

    message: str
    numbers: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Made:
    """Who made something, when, where and with what.

    Attributes
    ----------
    started, ended
        ISO 8601, UTC; `ended` is empty as long as it goes on.
    command
        The words as typed.
    versions, revision, image
        Packages that touch the numbers; revision of the code; what is known of the container image.
    machine, batch
        Host, process and system; batch system and id of the job, empty without one.
    environment, dispatch
        The pinned settings, and the code paths in force.
    """

    started: str = ""
    ended: str = ""
    command: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""
    image: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, object] = field(default_factory=dict)
    batch: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    dispatch: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CcdRecord(Made):
    """What one CCD gave.

    Attributes
    ----------
    data_id
        The complete data id.
    code, status
        ``done``, or the class of the failure; the exit status that belongs to it.
    error, numbers
        Of a CCD that failed, and of one that did not.
    inputs
        Path and SHA-256 of every file read, by dataset name.
    config_sha256, references_sha256
        Digests of the configuration, and over the reference shards (empty if none was read).
    run, tries
        Name of the run; which try of it this was.
    wall_seconds, cpu_seconds, peak_memory_mib
        Of this CCD; the peak is that of its process so far. Not a number for a CCD whose process was killed.
    """

    data_id: Mapping[str, Any]
    code: str = "done"
    status: int = int(ExitStatus.OK)
    error: CcdError | None = None
    numbers: CcdNumbers | None = None
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config_sha256: str = ""
    references_sha256: str = ""
    run: str = ""
    tries: int = 1
    wall_seconds: float = math.nan
    cpu_seconds: float = math.nan
    peak_memory_mib: float = math.nan

    @property
    def message(self) -> str:
        """Text of the error; empty if there was none."""
        return "" if self.error is None else self.error.message

    def failed(self, error: BaseException) -> CcdRecord:
        """Return the record of a CCD that `error` ended."""
        if isinstance(error, HscboxError):
            numbers = {name: _plain(value) for name, value in error.numbers.items()}
            return self.lost(error.code, int(error.exit_status), str(error), numbers)
        if isinstance(error, KeyboardInterrupt):
            return self.lost("interrupted", int(ExitStatus.INTERRUPTED), "Interrupted")
        return self.lost("unexpected", int(ExitStatus.UNEXPECTED), f"{type(error).__name__}: {error}")

    def lost(self, code: str, status: int, message: str, numbers: Mapping[str, object] | None = None) -> CcdRecord:
        """Return the record of a CCD that ended with this class, status and text."""
        return replace(self, code=code, status=status, error=CcdError(message, numbers or {}), numbers=None)


@dataclass(frozen=True, kw_only=True)
class RunRecord(Made):
    """What one run was.

    Attributes
    ----------
    run
        Its name.
    new_output
        Whether it began its output; records of earlier runs are then those of an output that is no more.
    input, output
        Absolute paths.
    processes, ccds, missing
        Workers, number of CCDs, and what was asked for and is not registered.
    status
        Exit status; None as long as it goes on, and if it was killed.
    """

    run: str
    new_output: bool = False
    input: str = ""
    output: str = ""
    processes: int = 1
    ccds: int = 0
    missing: tuple[str, ...] = ()
    status: int | None = None


_Record = TypeVar("_Record", CcdRecord, RunRecord)


def now() -> str:
    """Return the time in the form of the records."""
    return datetime.now(UTC).isoformat()


def signature(record: CcdRecord) -> Iterator[tuple[str, str, str]]:
    """Yield keyword, value and comment of the cards that tie a product to its record, as far as they are known."""
    yield "HSCBOX", record.versions["hscbox"], "version of hscbox"
    yield "RAWSHA", record.inputs["raw"]["sha256"], "SHA-256 of the raw file"
    yield "CFGSHA", record.config_sha256, "SHA-256 of the configuration"
    if record.references_sha256:
        yield "REFSHA", record.references_sha256, "SHA-256 over the reference shards"


def to_text(record: CcdRecord | RunRecord) -> str:
    """Return the JSON of a record, in one line."""
    content = {_key(item.name): getattr(record, item.name) for item in fields(record)}
    if content.get("error", ...) is None:
        del content["error"]
    return json.dumps({"schema": SCHEMA, **_plain(content)}, sort_keys=True, allow_nan=False)


def write_record(path: Path, record: CcdRecord | RunRecord) -> None:
    """Write a record, so that a reader sees all of it or nothing; raises as `hscbox.machine.files.write_bytes`."""
    write_bytes(path, (to_text(record) + "\n").encode())


def keep_record(place: Path, record: CcdRecord) -> None:
    """Write the record of a CCD to its file in the directory of its run, or say why that cannot be done."""
    try:
        write_record(place / f"{record.data_id['visit']:07d}-{record.data_id['ccd']:03d}.json", record)
    except HscboxError as error:
        logging.getLogger("processCcd").warning("The record of %s is not kept: %s", dict(record.data_id), error)


def from_text(kind: type[_Record], text: str, source: str) -> _Record:
    """Return the record in a JSON text; keys that are not known are left out.

    Parameters
    ----------
    kind
        `CcdRecord` or `RunRecord`.
    source
        Where the text comes from, for the message.

    Raises
    ------
    DamagedInputError
        It is no such record.
    """
    try:
        content = json.loads(text)
        if "schema" not in content and content.get("status") != "done":
            # Before there was a schema, the class of the failure stood for its exit status.
            known = error_class(content["status"])
            content["exitStatus"] = int(known.exit_status if known else ExitStatus.UNEXPECTED)
        record: _Record = _rebuilt(kind, content)
        return record
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DamagedInputError(f"{source} holds no record of a run: {error}", remedy="Remove it") from error


def read_record(kind: type[_Record], path: Path) -> _Record:
    """Return the record in a file.

    Raises
    ------
    MissingInputError, DamagedInputError
        The file cannot be read, or is no such record.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
    return from_text(kind, text, str(path))


def _key(name: str) -> str:
    first, *rest = name.split("_")
    return _KEYS.get(name) or first + "".join(word.title() for word in rest)


def _rebuilt(kind: type[Any], content: Mapping[str, Any]) -> Any:
    """Return an object of a record's class; numbers that JSON cannot hold come back as not a number."""
    values: dict[str, Any] = {}
    for item in fields(kind):
        key = _key(item.name)
        if key not in content:
            continue
        value = content[key]
        if item.type == "float" and value is None:
            value = math.nan
        elif str(item.type).startswith("tuple"):
            value = tuple(value)
        elif item.type == "CcdNumbers | None" and value is not None:
            value = _rebuilt(CcdNumbers, value)
        elif item.type == "CcdError | None" and value is not None:
            value = _rebuilt(CcdError, value)
        values[item.name] = value
    return kind(**values)


def _plain(value: object) -> Any:
    """Return what JSON can hold: containers and records of it, None for a number not finite, else the name."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, CcdNumbers | CcdError):
        return {_key(item.name): _plain(getattr(value, item.name)) for item in fields(value)}
    return str(value)
