"""From UTC to TAI, without a network and without a clock."""

from __future__ import annotations

import datetime

__all__ = [
    "J2000_MJD",
    "JULIAN_YEAR",
    "SECONDS_PER_DAY",
    "UNIX_EPOCH_MJD",
    "mjd_to_nanoseconds",
    "nanoseconds_to_iso",
    "nanoseconds_to_mjd",
    "utc_to_tai",
]

UNIX_EPOCH_MJD = 40587
"""Modified Julian date of 1970-01-01T00:00:00."""
J2000_MJD = 51544.5
"""Modified Julian date of the standard epoch."""
JULIAN_YEAR = 365.25
"""Days."""
SECONDS_PER_DAY = 86400
_NANOSECONDS_PER_DAY = SECONDS_PER_DAY * 1_000_000_000
# TAI - UTC in seconds from each date on (IERS Bulletin C; none announced since). HSC saw first light in
# 2012; data before 2009 do not exist.
_LEAP_SECONDS = (
    (datetime.date(2009, 1, 1), 34),
    (datetime.date(2012, 7, 1), 35),
    (datetime.date(2015, 7, 1), 36),
    (datetime.date(2017, 1, 1), 37),
)


def mjd_to_nanoseconds(mjd: float) -> int:
    """Return nanoseconds since 1970-01-01T00:00:00 of a modified Julian date, in the same time scale."""
    day = int(mjd // 1.0)
    return (day - UNIX_EPOCH_MJD) * _NANOSECONDS_PER_DAY + round((mjd - day) * _NANOSECONDS_PER_DAY)


def nanoseconds_to_mjd(nanoseconds: int) -> float:
    """Return the modified Julian date of nanoseconds since 1970, in the same time scale."""
    day, rest = divmod(nanoseconds, _NANOSECONDS_PER_DAY)
    return UNIX_EPOCH_MJD + day + rest / _NANOSECONDS_PER_DAY


def nanoseconds_to_iso(nanoseconds: int) -> str:
    """Return nanoseconds since 1970 as YYYY-MM-DDThh:mm:ss.nnnnnnnnn, in the same time scale."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return f"{moment.isoformat(timespec='seconds')}.{rest:09d}"


def utc_to_tai(nanoseconds: int) -> int:
    """Convert nanoseconds since 1970 from UTC (days of 86400 s) to TAI."""
    date = (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=nanoseconds // 1_000_000_000)).date()
    offset = next((seconds for start, seconds in reversed(_LEAP_SECONDS) if date >= start), 34)
    return nanoseconds + offset * 1_000_000_000
