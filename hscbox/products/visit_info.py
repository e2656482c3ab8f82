"""Visit information as header cards, in the words of afw (lsst/afw e0459d59, src/image/VisitInfo.cc)."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

from ..camera.time_scales import nanoseconds_to_mjd
from ..camera.visit_info import ELEVATION, LATITUDE, LONGITUDE, VisitInfo
from ..fits.cards import card

__all__ = ["VISIT_INFO_KEYS", "visit_info_cards", "visit_info_from_cards"]

_ATTRIBUTES = {
    "AVG-ERA": "era_deg",
    "BORE-RA": "boresight_ra",
    "BORE-DEC": "boresight_dec",
    "BORE-AZ": "boresight_az",
    "BORE-ALT": "boresight_alt",
    "BORE-AIRMASS": "airmass",
    "BORE-ROTANG": "boresight_rot_angle",
    "ROTTYPE": "rot_type",
    "OBS-LONG": "longitude",
    "OBS-LAT": "latitude",
    "OBS-ELEV": "elevation",
    "AIRTEMP": "air_temperature",
    "AIRPRESS": "air_pressure",
    "HUMIDITY": "humidity",
}
"""Keyword and attribute, in file order."""

VISIT_INFO_KEYS = ("EXPID", "EXPTIME", "DARKTIME", "DATE-AVG", "TIMESYS", "MJD-AVG-UT1", *_ATTRIBUTES)
"""All keywords that hold visit information."""

_COMMENTS = {"DATE-AVG": "TAI date at middle of observation", "ROTTYPE": "Type of rotation angle"}


def visit_info_cards(info: VisitInfo) -> list[str]:
    """Return the cards of a visit; numbers that are not finite are left out."""
    values: dict[str, object] = {
        "EXPID": info.exposure_id,
        "EXPTIME": info.exposure_time,
        "DARKTIME": info.dark_time,
        "DATE-AVG": info.date_avg,
        "TIMESYS": "TAI",
        **{key: getattr(info, name) for key, name in _ATTRIBUTES.items()},
    }
    cards = []
    for key, value in values.items():
        if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
            cards.append(card(key, value, _COMMENTS.get(key, "")))
    return cards


def visit_info_from_cards(header: Mapping[str, object]) -> VisitInfo | None:
    """Return the visit information of a header, None if it has neither exposure time nor date.

    INST-PA is not stored; it follows from the rotation angle.
    """
    if "EXPTIME" not in header and "DATE-AVG" not in header:
        return None
    date = str(header.get("DATE-AVG", ""))
    places = {"OBS-LONG": LONGITUDE, "OBS-LAT": LATITUDE, "OBS-ELEV": ELEVATION}
    attributes: dict[str, Any] = {
        name: _number(header, key, places.get(key, math.nan)) for key, name in _ATTRIBUTES.items()
    }
    attributes["rot_type"] = str(header.get("ROTTYPE", "UNKNOWN"))
    return VisitInfo(
        exposure_id=int(_number(header, "EXPID", 0.0)),
        exposure_time=_number(header, "EXPTIME"),
        dark_time=_number(header, "DARKTIME"),
        date_avg=date,
        mjd_tai=_mjd(date),
        inst_pa=(270.0 - attributes["boresight_rot_angle"]) % 360.0,
        **attributes,
    )


def _number(header: Mapping[str, object], key: str, default: float = math.nan) -> float:
    value = header.get(key, default)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _mjd(date: str) -> float:
    whole, _, fraction = date.partition(".")
    try:
        moment = datetime.datetime.fromisoformat(whole)
        nanoseconds = int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return math.nan
    seconds = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1)
    return nanoseconds_to_mjd(seconds * 1_000_000_000 + nanoseconds)
