"""How long and how often a download is tried."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

__all__ = ["Patience", "asked_wait"]


@dataclass(frozen=True)
class Patience:
    """Limits of one request.

    Delays double from `first_wait` to `longest_wait` and have no random part: one program asks one question after the
    other, so that there is no crowd to disperse.

    Attributes
    ----------
    attempts
        Failures in a row, without a byte gained, after which the download is given up.
    first_wait, longest_wait
        Seconds between attempts.
    longest_asked
        Seconds that a service may ask to wait; if it asks for more, the download is given up.
    connect, read
        Seconds for making a connection, and for a pause within an answer.
    whole
        Seconds for one answer, however steadily it trickles.
    most_bytes
        Size of an answer, as sent and unpacked.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_asked: float = 600.0
    connect: float = 20.0
    read: float = 120.0
    whole: float = 1800.0
    most_bytes: int = 256 * 2**20

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row."""
        return min(self.first_wait * 2.0 ** min(failures - 1, 30), self.longest_wait)


def asked_wait(value: str | None, now: datetime.datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for; None if it is absent or makes no sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        # The last for numbers of hundreds of digits.
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, (when - now).total_seconds())
