"""When, where and how an exposure was taken.

Most items come from the HSC translator of astro-metadata-translator, which is imported only here and only
when needed: half a second that ingest should not pay. The translator has no middle of the exposure that
holds for HSC (its end includes the shutter's travel) and no Earth rotation angle; these follow
lsst/obs_subaru @ b7c7029d (2017-09-22): python/lsst/obs/hsc/makeHscRawVisitInfo.py. One thing differs on
purpose: that code took OUT-PRS for mmHg, but the header stores hPa.
"""

from __future__ import annotations

import datetime
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DamagedInputError
from . import keywords as key
from .header_values import number, refuse, text
from .time_scales import mjd_to_nanoseconds, nanoseconds_to_iso, nanoseconds_to_mjd, utc_to_tai

__all__ = ["ELEVATION", "LATITUDE", "LONGITUDE", "VisitInfo", "visit_info_from_header"]

LONGITUDE = -155.476667
"""Of the Subaru telescope, degrees, East positive."""
LATITUDE = 19.825556
"""Degrees."""
ELEVATION = 4139.0
"""Metres."""

_UNIX_EPOCH = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True)
class VisitInfo:
    """When, where and how an exposure was taken; numbers that the header does not give are nan."""

    exposure_id: int
    """200 visit + ccd."""
    exposure_time: float
    """Seconds."""
    dark_time: float
    """Seconds; equal to the exposure time."""
    date_avg: str
    """Middle of the exposure, TAI, YYYY-MM-DDThh:mm:ss.nnnnnnnnn."""
    mjd_tai: float
    """The same as modified Julian date."""
    era_deg: float
    """Earth rotation angle at the start of the exposure, 0 to 360 degrees: sidereal time minus longitude."""
    boresight_ra: float
    """Degrees."""
    boresight_dec: float
    boresight_az: float
    """Degrees from North through East."""
    boresight_alt: float
    airmass: float
    boresight_rot_angle: float
    """Position angle of the focal plane's +y axis on the sky, 0 to 360 degrees: 270 - INST-PA."""
    air_temperature: float
    """Degrees Celsius."""
    air_pressure: float
    """Pascal."""
    humidity: float
    """Per cent."""
    inst_pa: float
    """Position angle of the instrument, degrees: header INST-PA."""
    longitude: float = LONGITUDE
    latitude: float = LATITUDE
    elevation: float = ELEVATION
    rot_type: str = "SKY"
    """What `boresight_rot_angle` refers to."""


def visit_info_from_header(header: Mapping[str, object], filename: object = "raw header") -> VisitInfo:
    """Return the visit information of a raw header.

    Raises
    ------
    DamagedInputError
        Exposure time, start or identity cannot be read; the other items may be missing.
    """
    from astro_metadata_translator.translators.hsc import HscTranslator
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False), np.errstate(all="ignore"), warnings.catch_warnings():
        # What a header says about times and places is judged here, by what comes out.
        warnings.simplefilter("ignore")
        return _translate(HscTranslator(dict(header)), header, filename)


def _translate(translator: Any, header: Mapping[str, object], filename: object) -> VisitInfo:
    exposure_time = number(header, key.EXPTIME)
    if exposure_time is None or not 0.0 <= exposure_time < 1e6:
        problem = "the exposure time must be a number of seconds"
        refuse(DamagedInputError, filename, key.EXPTIME, header.get(key.EXPTIME), problem, "Correct the header")
    middle = utc_to_tai(_start_utc(header, filename) + round(exposure_time / 2 * 1e9))
    pointing = _item(translator.to_tracking_radec)
    horizontal = _item(translator.to_altaz_begin)
    inst_pa = number(header, key.INST_PA)
    return VisitInfo(
        exposure_id=_exposure_id(translator, header, filename),
        exposure_time=exposure_time,
        dark_time=exposure_time,
        date_avg=nanoseconds_to_iso(middle),
        mjd_tai=nanoseconds_to_mjd(middle),
        era_deg=_earth_rotation_angle(header),
        boresight_ra=_quantity(lambda: pointing.ra, "deg"),
        boresight_dec=_quantity(lambda: pointing.dec, "deg"),
        boresight_az=_quantity(lambda: horizontal.az, "deg"),
        boresight_alt=_quantity(lambda: horizontal.alt, "deg"),
        airmass=_quantity(translator.to_boresight_airmass),
        boresight_rot_angle=_quantity(translator.to_boresight_rotation_angle, "deg"),
        air_temperature=_quantity(translator.to_temperature, "K") - 273.15,
        air_pressure=_quantity(translator.to_pressure, "Pa"),
        humidity=_quantity(translator.to_relative_humidity),
        inst_pa=math.nan if inst_pa is None else inst_pa,
    )


def _item(translate: Callable[[], Any]) -> Any:
    """Return what the translator makes of the header, None if the header does not give it."""
    try:
        return translate()
    # The translator raises whatever its parsers raise; a header may hold anything.
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None


def _quantity(translate: Callable[[], Any], unit: str = "") -> float:
    value = _item(translate)
    try:
        result = float(value.to_value(unit)) if unit else float(value)
    except (AttributeError, TypeError, ValueError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def _exposure_id(translator: Any, header: Mapping[str, object], filename: object) -> int:
    result = _item(translator.to_detector_exposure_id)
    if not isinstance(result, int):
        problem = "visit and CCD cannot be read from EXP-ID, FRAMEID and DET-ID"
        refuse(DamagedInputError, filename, key.EXP_ID, header.get(key.EXP_ID), problem, "Correct the header")
    return result


def _start_utc(header: Mapping[str, object], filename: object) -> int:
    """Return the start of the exposure in nanoseconds since 1970 (UTC): MJD-STR, else DATE-OBS and UT-STR."""
    mjd = number(header, key.MJD_STR)
    if mjd is not None and 40000.0 < mjd < 100000.0:
        return mjd_to_nanoseconds(mjd)
    try:
        start = datetime.datetime.fromisoformat(f"{text(header, key.DATE_OBS)}T{text(header, key.UT_STR)}")
        return round((start - _UNIX_EPOCH) / datetime.timedelta(microseconds=1)) * 1000
    except (TypeError, ValueError):
        problem = "the start of the exposure cannot be read from it, nor from DATE-OBS and UT-STR"
        refuse(DamagedInputError, filename, key.MJD_STR, header.get(key.MJD_STR), problem, "Correct the header")


def _earth_rotation_angle(header: Mapping[str, object]) -> float:
    fields = (text(header, key.LST_STR) or "").split(":")
    try:
        hours, minutes, seconds = (float(field) for field in fields)
    except ValueError:
        return math.nan
    sidereal = 15.0 * (hours + minutes / 60.0 + seconds / 3600.0)
    return (sidereal - LONGITUDE) % 360.0
