"""The beginning of an answer, kept on disk so that a broken download can go on."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import DamagedInputError
from ..machine.files import output_failure, write_bytes
from .answer import CutAnswerError

__all__ = ["Identity", "Partial"]


@dataclass(frozen=True)
class Identity:
    """What the kept bytes are the beginning of.

    Attributes
    ----------
    request
        Digest of the request.
    etag
        Strong validator that the server gave; None if bytes of two answers cannot be put together.
    encoding
        Content coding of the bytes, "" or "gzip".
    length
        Total number of bytes, None if the server did not say.
    """

    request: str
    etag: str | None
    encoding: str
    length: int | None


class Partial:
    """Two files: the bytes as they came, and what they belong to.

    These are the only files of the program that are written piece by piece: they are never read as data before
    `answer.read_answer` has found them whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._about = path.with_name(f"{path.name}.json")

    def identity(self, request: str) -> Identity | None:
        """Return what is kept for a request, None if nothing is that could be continued."""
        try:
            found = Identity(**json.loads(self._about.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        usable = found.request == request and isinstance(found.etag, str) and self.size() > 0
        return found if usable else None

    def size(self) -> int:
        """Return the number of bytes kept."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def begin(self, identity: Identity) -> None:
        """Forget what was kept and begin anew."""
        self.discard()
        write_bytes(self._about, json.dumps(asdict(identity)).encode())

    def discard(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    @contextmanager
    def appending(self) -> Iterator[BinaryIO]:
        """Open the bytes for writing at their end."""
        try:
            stream = self.path.open("ab")
        except OSError as error:
            raise output_failure(self.path, error) from error
        with stream:
            yield stream

    def body(self, encoding: str, most: int, part: str) -> bytes:
        """Return the bytes without their content coding.

        Raises
        ------
        CutAnswerError
            The packed stream is broken or ends early.
        DamagedInputError
            The coding is unknown, or the result is larger than allowed.
        """
        data = self.path.read_bytes() if self.size() else b""
        if encoding in {"", "identity"}:
            return data
        if encoding not in {"gzip", "x-gzip"}:
            raise DamagedInputError(f"The answer for {part} is packed by {encoding[:40]!r}, which was not asked for")
        engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            result = engine.decompress(data, most + 1)
        except zlib.error as error:
            raise CutAnswerError(f"The packed answer for {part} is broken: {error}") from error
        if len(result) > most:
            raise DamagedInputError(f"The answer for {part} unpacks to more than {most} bytes")
        if not engine.eof:
            raise CutAnswerError(f"The packed answer for {part} ends early")
        return result
