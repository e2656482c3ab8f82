"""The header of a raw frame: all cards of an HSC header of 2015, with values of the scene.

Cards and their order come from `data/raw_header.ecsv`; values that depend on the scene are computed here and
consistent with each other. Sources: lsst/astro_metadata_translator @ 77d8a893, tests/data/fitsheader-hsc*.yaml;
lsst/obs_subaru @ b7c7029d: python/lsst/obs/subaru/ingest.py (identifiers), hsc/camera (geometry).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

import numpy as np

from ..camera import keywords as key
from ..camera.boxes import Box
from ..camera.detector import Detector
from ..camera.geometry import CCD_CENTRE, RAW_WIDTH, row_windows
from ..camera.time_scales import J2000_MJD, JULIAN_YEAR, SECONDS_PER_DAY
from ..camera.visit_info import LATITUDE, LONGITUDE
from ..fits.metadata import Metadata
from .scene import Scene

__all__ = ["exposure_id", "frame_id", "raw_header"]

Value = str | int | float | bool

_SHUTTER_SECONDS = 1.9
_HAWAII_HOURS = -10
_NEW_EXPOSURE_IDS = "2016-06-14"
# The header's rough WCS has this scale, in degrees, and no distortion.
_ROUGH_SCALE = 0.17 / 3600.0
_BARCODES = {
    "HSC-G": "HSC-g",
    "HSC-R": "HSC-r",
    "HSC-I": "HSC-i",
    "HSC-Z": "HSC-z",
    "HSC-R2": "HSC-r2",
    "HSC-I2": "HSC-i2",
}


def frame_id(scene: Scene) -> str:
    """Return the archive id of the frame, like HSCA04098410; the file is called so."""
    letter, shot = divmod(scene.visit + scene.detector.bee, 1_000_000)
    return f"HSC{chr(ord('A') + letter)}{shot:06d}{scene.detector.sdo:02d}"


def exposure_id(scene: Scene) -> str:
    """Return the header's EXP-ID: HSCA04098400 until 2016-06-13, HSCE00040984 later."""
    if scene.date >= _NEW_EXPOSURE_IDS:
        return f"HSCE{scene.visit:08d}"
    letter, shot = divmod(scene.visit, 1_000_000)
    return f"HSC{chr(ord('A') + letter)}{shot:06d}00"


def raw_header(scene: Scene) -> Metadata:
    """Return the cards of the raw frame of `scene`, without the structural ones (SIMPLE to EXTEND)."""
    values = {**_identity(scene), **_times(scene), **_pointing(scene), **_rough_wcs(scene), **_windows(scene)}
    header = Metadata()
    for keyword, value, comment in _model_cards():
        if keyword == "COMMENT":
            header.add("COMMENT", value)
        else:
            header.set(keyword, values.pop(keyword, value), comment)
    assert not values, f"cards that the model header lacks: {sorted(values)}"
    return header


@cache
def _model_cards() -> tuple[tuple[str, Value, str], ...]:
    text = (files(__package__) / "data" / "raw_header.ecsv").read_text(encoding="ascii")
    rows = list(csv.reader((line for line in text.splitlines() if not line.startswith("#")), delimiter=" "))
    convert: dict[str, Callable[[str], Value]] = {
        "string": str,
        "int64": int,
        "float64": float,
        "bool": lambda word: word == "True",
    }
    return tuple((keyword, convert[kind](value), comment) for keyword, kind, value, comment in rows[1:])


def _identity(scene: Scene) -> dict[str, Value]:
    detector = scene.detector
    gains: dict[str, Value] = {key.gain(a.channel): a.header_gain for a in detector.amplifiers}
    return gains | {
        key.PROP_ID: scene.proposal,
        key.FRAMEID: frame_id(scene),
        key.EXP_ID: exposure_id(scene),
        key.OBJECT: scene.field,
        key.FILTER01: _BARCODES.get(scene.filter, scene.filter),
        key.EXPTIME: float(scene.exposure_time),
        key.DET_ID: detector.id,
        key.INST_PA: float(scene.inst_pa),
        key.T_BEEID: detector.bee,
        key.T_SDOID: detector.sdo,
        "T_UFNAME": f"object135_{detector.name}.fits",
    }


def _mjd(moment: datetime) -> float:
    return (moment - datetime(1858, 11, 17)) / timedelta(days=1)


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _sidereal_degrees(mjd: float) -> float:
    """Return local sidereal time; Meeus, Astronomical Algorithms, equation 12.4, with UT1 = UTC."""
    return (280.46061837 + 360.98564736629 * (mjd - J2000_MJD) + LONGITUDE) % 360.0


def _sexagesimal(value: float, decimals: int, *, signed: bool = False) -> str:
    units = round(abs(value) * 3600 * 10**decimals)
    seconds, fraction = divmod(units, 10**decimals)
    sign = ("-" if value < 0 else "+") if signed else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:0{decimals}d}"


def _times(scene: Scene) -> dict[str, Value]:
    start = datetime.fromisoformat(f"{scene.date}T{scene.start_ut}")
    typical = start + timedelta(milliseconds=29)
    end = start + timedelta(seconds=scene.exposure_time + _SHUTTER_SECONDS)
    values: dict[str, Value] = {key.DATE_OBS: scene.date}
    for suffix, moment in ((key.START, start), ("", typical), (key.END, end)):
        values[key.UT + suffix] = _clock(moment)
        values[key.HST + suffix] = _clock(moment + timedelta(hours=_HAWAII_HOURS))
        values[key.MJD + suffix] = round(_mjd(moment), 8)
        values[key.LST + suffix] = _sexagesimal(_sidereal_degrees(_mjd(moment)) / 15.0, 3)
    values["T_CCDTM"] = _clock(end + timedelta(hours=_HAWAII_HOURS))[:8]
    return values


def _altitude_azimuth(ra: float, dec: float, mjd: float) -> tuple[float, float]:
    """Return altitude and azimuth (North through East) in degrees, without refraction."""
    hour = math.radians(_sidereal_degrees(mjd) - ra)
    delta, phi = math.radians(dec), math.radians(LATITUDE)
    up = math.sin(phi) * math.sin(delta) + math.cos(phi) * math.cos(delta) * math.cos(hour)
    north = math.cos(phi) * math.sin(delta) - math.sin(phi) * math.cos(delta) * math.cos(hour)
    east = -math.cos(delta) * math.sin(hour)
    return math.degrees(math.asin(up)), math.degrees(math.atan2(east, north)) % 360.0


def _pointing(scene: Scene) -> dict[str, Value]:
    start = _mjd(datetime.fromisoformat(f"{scene.date}T{scene.start_ut}"))
    end = start + (scene.exposure_time + _SHUTTER_SECONDS) / SECONDS_PER_DAY
    # Precession in right ascension matters for the hour angle: 3.07 s of time a year near the equator.
    ra_now = scene.boresight_ra + 0.0128 * (start - J2000_MJD) / JULIAN_YEAR
    altitude, azimuth = _altitude_azimuth(ra_now, scene.boresight_dec, start)
    altitude_end, _ = _altitude_azimuth(ra_now, scene.boresight_dec, end)
    secant, secant_end = (1.0 / math.sin(math.radians(max(a, 5.0))) for a in (altitude, altitude_end))
    ra = _sexagesimal(scene.boresight_ra / 15.0, 3)
    dec = _sexagesimal(scene.boresight_dec, 2, signed=True)
    return {
        "RA": ra,
        "DEC": dec,
        key.RA2000: ra,
        key.DEC2000: dec,
        key.ALTITUDE: round(altitude, 5),
        key.AZIMUTH: round(azimuth, 5),
        "ZD-STR": round(90.0 - altitude, 5),
        "ZD-END": round(90.0 - altitude_end, 5),
        "SECZ-STR": round(secant, 3),
        "SECZ-END": round(secant_end, 3),
        key.AIRMASS: round(0.5 * (secant + secant_end), 3),
    }


def _rough_wcs(scene: Scene) -> dict[str, Value]:
    """Return the header's rough WCS: tangent plane about the boresight, of the trimmed image as in the file.

    It treats the CCD as turned by whole quarters and the camera as free of distortion.
    """
    detector = scene.detector
    quarter = round(detector.yaw_deg / 90.0) % 4
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter]
    mirror = np.diag([-1.0, 1.0] if detector.mirror == "LR" else [1.0, -1.0])
    file_to_focal = np.array([[cos, -sin], [sin, cos]]) @ mirror
    theta = math.radians(270.0 - scene.inst_pa)
    focal_to_sky = np.array([[-math.cos(theta), math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    cd = np.round(_ROUGH_SCALE * (focal_to_sky @ file_to_focal), 17) + 0.0
    offset = file_to_focal.T @ np.array([detector.offset_x, detector.offset_y])
    return {
        "CRVAL1": round(scene.boresight_ra, 10),
        "CRVAL2": round(scene.boresight_dec, 10),
        "CRPIX1": round(CCD_CENTRE[0] + 1.0 - float(offset[0]), 3),
        "CRPIX2": round(CCD_CENTRE[1] + 1.0 - float(offset[1]), 3),
        "CD1_1": float(cd[0, 0]),
        "CD1_2": float(cd[0, 1]),
        "CD2_1": float(cd[1, 0]),
        "CD2_2": float(cd[1, 1]),
    }


def _file_columns(detector: Detector, box: Box) -> tuple[int, int]:
    """Return first and last column in the file, 1-based, of a window of the detector frame."""
    first = RAW_WIDTH - box.x0 - box.width if detector.mirror == "LR" else box.x0
    return first + 1, first + box.width


def _windows(scene: Scene) -> dict[str, Value]:
    """Return the windows of the channels. Rows are those of the CCDs read out at low y, as in all real headers."""
    detector = scene.detector
    rows = row_windows(scene.rows)
    values: dict[str, Value] = {}
    for amplifier in detector.amplifiers:
        columns = (*_file_columns(detector, amplifier.data), *_file_columns(detector, amplifier.serial_overscan))
        for end, column in zip(rows, columns, strict=True):
            values[key.window(end, amplifier.channel, 1)] = column
            values[key.window(end, amplifier.channel, 2)] = rows[end]
    return values
