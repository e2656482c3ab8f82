"""Log lines in the shape of the original: ``processCcd.isr INFO: text``, on standard error."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from ..errors import UsageError

__all__ = ["LEVELS", "configure_logging", "set_level"]

LEVELS = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_NAMES = {logging.WARNING: "WARN", logging.CRITICAL: "FATAL", 5: "TRACE"}


class _Formatter(logging.Formatter):
    """Short or long layout; the long one has an ISO 8601 time with its zone and the source line."""

    def __init__(self, long: bool) -> None:
        super().__init__()
        self.long = long

    def format(self, record: logging.LogRecord) -> str:
        level = _NAMES.get(record.levelno, record.levelname)
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        if not self.long:
            return f"{record.name} {level}: {text}"
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return f"{level:5} {when} {record.name} ({record.filename}:{record.lineno})- {text}"


def configure_logging(long: bool = False) -> None:
    """Send the log to standard error, in the long layout if wanted; levels already set stay."""
    root = logging.getLogger()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(long))
    root.handlers[:] = [handler]
    if root.level in (logging.NOTSET, logging.WARNING):
        root.setLevel(logging.INFO)
    # numba reports its compilation passes at INFO and DEBUG.
    logging.getLogger("numba").setLevel(logging.WARNING)


def set_level(text: str) -> None:
    """Apply one ``-L`` value: a level, or ``LOGGER=LEVEL``.

    Raises
    ------
    UsageError
        The level is unknown.
    """
    name, _, level = text.rpartition("=")
    if level.lower() not in LEVELS:
        raise UsageError(f"Unknown log level '{level}', allowed are {', '.join(LEVELS)}")
    logging.getLogger(name or None).setLevel(LEVELS[level.lower()])
