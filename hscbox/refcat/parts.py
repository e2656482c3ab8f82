"""The parts of a download on disk: one answer for each trixel, with a record that proves it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import MissingInputError, TemporaryError
from ..machine.files import output_failure, sha256_file, write_bytes
from .partial import Partial

__all__ = ["PartRecord", "PartStore"]


@dataclass(frozen=True)
class PartRecord:
    """What is known of one part.

    Attributes
    ----------
    trixel
        Its trixel.
    request
        Digest of the request it answers.
    split
        Whether the answer was cut by the service, so that four smaller trixels take its place.
    sha256, size, rows
        Of the answer's file; empty and 0 if split.
    """

    trixel: int
    request: str
    split: bool
    sha256: str = ""
    size: int = 0
    rows: int = 0


class PartStore:
    """A directory of parts; a part counts only with a record that fits its file.

    Parameters
    ----------
    directory
        Made when needed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes away.

        Raises
        ------
        TemporaryError
            Another process is at work here.
        OutputError
            The directory cannot be made.
        """
        path = self.directory / "lock"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            stream = path.open("a")
        except OSError as error:
            raise output_failure(path, error) from error
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TemporaryError(
                    f"Another hscbox refcat fetch works in {self.directory}", remedy="Wait for its end"
                ) from None
            except OSError:
                # Some shared file systems have no locks; the records are checked all the same.
                pass
            yield

    def _file(self, trixel: int) -> Path:
        return self.directory / f"{trixel}.xml"

    def _record(self, trixel: int) -> Path:
        return self.directory / f"{trixel}.json"

    def partial(self, trixel: int) -> Partial:
        """Return where the beginning of a part's answer is kept."""
        return Partial(self.directory / f"{trixel}.part")

    def find(self, trixel: int, request: str) -> PartRecord | None:
        """Return the record of a part that is there, answers this request and has its checksum; else None."""
        try:
            record = PartRecord(**json.loads(self._record(trixel).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if (record.trixel, record.request) != (trixel, request):
            return None
        if record.split:
            return record
        path = self._file(trixel)
        try:
            sound = path.stat().st_size == record.size and sha256_file(path) == record.sha256
        except (OSError, MissingInputError):
            return None
        return record if sound else None

    def keep(self, record: PartRecord, body: bytes = b"") -> PartRecord:
        """Store a complete answer, or that it was cut, and return what is known of it; the record is written last."""
        if record.split:
            self._file(record.trixel).unlink(missing_ok=True)
        else:
            write_bytes(self._file(record.trixel), body)
            record = replace(record, sha256=sha256_file(self._file(record.trixel)), size=len(body))
        write_bytes(self._record(record.trixel), (json.dumps(asdict(record)) + "\n").encode())
        return record

    def body(self, record: PartRecord) -> bytes:
        """Return the answer of a part."""
        return self._file(record.trixel).read_bytes()
