"""One HTTP download that survives broken connections: retried, resumed, and never used before it is whole.

RFC 9110: ranges (section 14), If-Range with a strong validator (13.1.5), Retry-After (10.2.3).
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import requests
import urllib3

from ..errors import DamagedInputError, HscboxError, TemporaryError
from ..machine.files import output_failure
from ..machine.revision import __version__
from .answer import CutAnswerError, refused, service_message
from .partial import Identity, Partial
from .patience import Patience, asked_wait

__all__ = ["Downloader"]

T = TypeVar("T")

_PIECE = 1 << 16
_MOST_MESSAGE = 1 << 16
# Attempts that each gain something may go on for long, though not for ever.
_MOST_ATTEMPTS = 200
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")


class _TryAgainError(Exception):
    """This attempt failed, another may not."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


@dataclass
class Downloader:
    """Downloads answers of one service.

    Parameters
    ----------
    url
        Address of the endpoint.
    patience
        Limits.
    sleep, on_bytes
        Called with seconds to wait; with the number of bytes that arrived.
    """

    url: str
    patience: Patience
    sleep: Callable[[float], None] = time.sleep
    on_bytes: Callable[[int], None] = lambda count: None
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, values: dict[str, str], request: str, partial: Partial, part: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of the whole answer.

        Parameters
        ----------
        values
            Parameters of the request.
        request
            Digest that tells this request from others.
        partial
            Where the beginning of the answer is kept, from an earlier call as well. It is removed at the end.
        part
            What is downloaded, for messages.
        accept
            Checks the body; raises CutAnswerError if it is not whole, which leads to another attempt from the start.

        Raises
        ------
        TemporaryError
            All attempts failed, or the service asks for too long a wait.
        UsageError, InputError
            The service refuses the request, or `accept` refuses the answer.
        """
        failures = 0
        for _ in range(_MOST_ATTEMPTS):
            before = partial.size()
            try:
                identity = self._transfer(values, request, partial, part)
                try:
                    result = accept(partial.body(identity.encoding, self.patience.most_bytes, part))
                except HscboxError:
                    # Whole by its length, and yet not good: no byte of it is kept.
                    partial.discard()
                    raise
                partial.discard()
                return result
            except (_TryAgainError, CutAnswerError) as problem:
                failures = 1 if partial.size() > before else failures + 1
                if failures >= self.patience.attempts:
                    self._give_up(part, failures, problem)
                asked = problem.wait if isinstance(problem, _TryAgainError) else None
                self.sleep(self.patience.wait(failures) if asked is None else asked)
        self._give_up(part, _MOST_ATTEMPTS, "the connection broke each time")

    def _give_up(self, part: str, failures: int, problem: object) -> NoReturn:
        raise TemporaryError(
            f"Downloading {part} from {self.url} failed {failures} times, last: {problem}",
            remedy="Check the network (proxy: HTTPS_PROXY), then give the same command again: it goes on from here",
        )

    def _transfer(self, values: dict[str, str], request: str, partial: Partial, part: str) -> Identity:
        """Bring the missing bytes to disk and return what they are; raise _TryAgainError if some are still missing."""
        kept = partial.identity(request)
        headers = {"Accept-Encoding": "gzip", "User-Agent": f"hscbox/{__version__}"}
        if kept is not None and kept.length is not None and partial.size() >= kept.length:
            # All bytes came in an earlier attempt that was stopped before they were looked at.
            if partial.size() == kept.length:
                return kept
            kept = None
        if kept is not None and kept.etag is not None:
            headers |= {"Range": f"bytes={partial.size()}-", "If-Range": kept.etag}
        deadline = time.monotonic() + self.patience.whole
        try:
            with self.session.get(
                self.url,
                params=values,
                headers=headers,
                stream=True,
                timeout=(self.patience.connect, self.patience.read),
            ) as response:
                self._refuse(response, part, partial)
                identity = self._identity(response, request, kept, partial)
                self._receive(response, identity, partial, part, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise _TryAgainError(_cause(error)) from error
        if identity.length is not None and partial.size() != identity.length:
            problem = f"{partial.size()} of {identity.length} bytes came"
            if identity.etag is None or partial.size() > identity.length:
                partial.discard()
            raise _TryAgainError(problem)
        return identity

    def _refuse(self, response: requests.Response, part: str, partial: Partial) -> None:
        """Raise the error that a status stands for, if it is one."""
        status = response.status_code
        if status in {200, 206}:
            return
        if status == 416:
            partial.discard()
            raise _TryAgainError("the service has no such range any more")
        message = f"HTTP {status}: {service_message(_beginning(response))}"
        if status in _AGAIN:
            wait = asked_wait(response.headers.get("Retry-After"), datetime.datetime.now(datetime.UTC))
            if wait is not None and wait > self.patience.longest_asked:
                raise TemporaryError(
                    f"The service asks to wait {wait:.0f} s before {part} ({message})",
                    remedy="Give the same command again then: it goes on from here",
                )
            raise _TryAgainError(message, wait)
        raise refused(part, message)

    def _identity(self, response: requests.Response, request: str, kept: Identity | None, partial: Partial) -> Identity:
        """Return what the body is (a part) of; a new beginning unless it continues exactly what is kept."""
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        etag = response.headers.get("ETag")
        if response.status_code == 206:
            span = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
            same = kept is not None and encoding == kept.encoding and etag in {None, kept.etag}
            fits = span is not None and int(span[1]) == partial.size()
            total = int(span[3]) if span is not None and span[3] != "*" else None
            if kept is None or not (same and fits) or (total and kept.length and total != kept.length):
                partial.discard()
                raise _TryAgainError("the service continued with something else")
            return kept
        strong = etag is not None and etag.startswith('"') and len(etag) < 200
        resumable = strong and response.headers.get("Accept-Ranges", "bytes").strip().lower() != "none"
        length = response.headers.get("Content-Length", "")
        identity = Identity(
            request,
            etag if resumable else None,
            encoding,
            int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None,
        )
        partial.begin(identity)
        return identity

    def _receive(
        self, response: requests.Response, identity: Identity, partial: Partial, part: str, deadline: float
    ) -> None:
        """Append the body to what is kept."""
        size = partial.size()
        if (identity.length or 0) > self.patience.most_bytes:
            self._too_long(part, partial)
        with partial.appending() as stream:
            while piece := response.raw.read1(_PIECE, decode_content=False):
                size += len(piece)
                if size > self.patience.most_bytes:
                    self._too_long(part, partial)
                try:
                    stream.write(piece)
                except OSError as error:
                    raise output_failure(partial.path, error) from error
                self.on_bytes(len(piece))
                if time.monotonic() > deadline:
                    raise _TryAgainError(f"the answer took longer than {self.patience.whole:g} s")

    def _too_long(self, part: str, partial: Partial) -> NoReturn:
        partial.discard()
        raise DamagedInputError(
            f"The answer for {part} is longer than {self.patience.most_bytes} bytes", remedy="Lower max_rows of the map"
        )


def _beginning(response: requests.Response) -> bytes:
    """Return the first bytes of an error page, whatever becomes of its connection."""
    body = b""
    try:
        while len(body) < _MOST_MESSAGE and (piece := response.raw.read1(_PIECE, decode_content=True)):
            body += piece
    except (urllib3.exceptions.HTTPError, OSError):
        pass
    return body


def _cause(error: BaseException) -> str:
    """Return the innermost reason: outer ones repeat the address and hide it."""
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if inner is None and error.args and isinstance(error.args[0], BaseException):
            inner = error.args[0]
        if not isinstance(inner, BaseException):
            return " ".join(str(error).split())[:200] or type(error).__name__
        error = inner
