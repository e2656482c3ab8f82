"""From the header of a raw frame to its row in the registry.

The rules are those of lsst/obs_subaru @ b7c7029d (2017-09-22): python/lsst/obs/subaru/ingest.py and
config/ingest.py, with its mistakes mended: nothing is carried over from one file to the next, missing
optional values stay empty, the renumbering of the focus CCDs in commissioning run 2 is applied, and header
values become path parts only after validation.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from ..errors import DamagedInputError, InputError, UnsafeInputError
from . import keywords as key
from .filters import registry_name
from .geometry import EXTRA_ROWS, N_CCDS, RAW_HEIGHT, RAW_WIDTH
from .header_values import number, refuse, shown, text, whole_number
from .path_part import is_path_part

__all__ = ["COMMISSIONING_CCDS", "RawRecord", "translate_header"]

FIRST_DAY_MJD = 55927
"""2012-01-01: pointing 0."""

COMMISSIONING_CCDS = {112: 106, 107: 105, 113: 107, 115: 109, 108: 110, 114: 108}
"""True numbers of the focus CCDs by their DET-ID in commissioning run 2 (pointings 391 to 404)."""

_NEW_EXP_ID = re.compile(r"HSCE([0-9]{8})")
_OLD_EXP_ID = re.compile(r"HSC([A-Z])([0-9]{6})00")
_FRAME_ID = re.compile(r"HSC([A-Z])([0-9]{6})[0-9]{2}")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T.*)?")
_NON_WORD = re.compile(r"\W", re.ASCII)
_HSC_NAMES = {"HYPER SUPRIME-CAM", "HSC"}
_REMEDY = "Correct the header or leave the file out"
_LOGICAL = {"T": 1, "TRUE": 1, "1": 1, "F": 0, "FALSE": 0, "0": 0}


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One row of table `raw`; names are the registry's. None becomes NULL."""

    field: str
    visit: int
    ccd: int
    pointing: int
    filter: str
    proposal: str | None
    dateObs: str
    taiObs: str
    expTime: float | None
    pa: float | None
    autoguider: int | None
    ccdTemp: float
    config: str | None
    frameId: str | None
    expId: str
    dataType: str | None
    notes: tuple[str, ...] = ()
    """What was remarkable about the header, in words; not part of the row."""


def translate_header(header: Mapping[str, object], filename: PurePath | str) -> RawRecord:
    """Return the registry row of a raw frame; `filename` appears in messages only.

    Raises
    ------
    InputError
        The frame is of another camera.
    DamagedInputError
        CCD, visit or date cannot be read.
    UnsafeInputError
        A value that becomes part of a path is not fit for it.
    """
    notes: list[str] = []
    _check_camera(header, filename)
    date = _date(header, filename, notes)
    pointing = _pointing(header, date, notes)
    return RawRecord(
        field=_field(header, filename, notes),
        visit=_visit(header, filename),
        ccd=_ccd(header, filename, pointing, notes),
        pointing=pointing,
        filter=_filter(header, filename, notes),
        proposal=text(header, key.PROP_ID),
        dateObs=date,
        # A date without time, and UTC: the registry of 2017 has it so, and calibrations are looked up by it.
        taiObs=date,
        expTime=_optional_number(header, key.EXPTIME, notes),
        pa=_optional_number(header, key.INST_PA, notes),
        autoguider=_LOGICAL.get(str(header.get(key.T_AG)).strip().upper()),
        # The keyword was introduced in commissioning run 3.
        ccdTemp=number(header, key.T_CCDTV) or 0.0,
        config=text(header, key.T_CFGFIL),
        frameId=text(header, key.FRAMEID),
        expId=text(header, key.EXP_ID) or "",
        dataType=text(header, key.DATA_TYP),
        notes=tuple(notes),
    )


def _check_camera(header: Mapping[str, object], filename: PurePath | str) -> None:
    remedy = "Only raw frames of Hyper Suprime-Cam can be ingested"
    instrument = text(header, key.INSTRUME)
    if instrument is not None and instrument.upper() not in _HSC_NAMES:
        refuse(InputError, filename, key.INSTRUME, instrument, "the frame is of another camera", remedy)
    frame_id = text(header, key.FRAMEID)
    if frame_id is not None and not frame_id.startswith("HSC"):
        refuse(InputError, filename, key.FRAMEID, frame_id, "frames of HSC have HSC there", remedy)
    detector = text(header, key.DETECTOR)
    # HSC writes "notSet" here or nothing; Suprime-Cam the name of the CCD.
    if instrument is None and detector is not None and detector.upper() not in {"NOTSET", *_HSC_NAMES}:
        refuse(InputError, filename, key.DETECTOR, detector, "the frame is of another camera", remedy)
    width, height = header.get("NAXIS1"), header.get("NAXIS2")
    if width is not None and width != RAW_WIDTH:
        refuse(InputError, filename, "NAXIS1", width, f"a raw frame has {RAW_WIDTH} columns", remedy)
    smallest = EXTRA_ROWS + 1
    if height is not None and not (isinstance(height, int) and smallest <= height <= RAW_HEIGHT):
        problem = f"a raw frame has {RAW_HEIGHT} rows, a cut-out {smallest} or more"
        refuse(InputError, filename, "NAXIS2", height, problem, remedy)


def _field(header: Mapping[str, object], filename: PurePath | str, notes: list[str]) -> str:
    value = text(header, key.OBJECT)
    if value is None:
        notes.append("OBJECT is missing: field is UNKNOWN")
    if value is None or value == "#":
        return "UNKNOWN"
    field = _NON_WORD.sub("_", value).upper()
    if not is_path_part(field):
        problem = "it is too long for the name of a directory"
        refuse(UnsafeInputError, filename, key.OBJECT, value, problem, _REMEDY)
    return field


def _visit(header: Mapping[str, object], filename: PurePath | str) -> int:
    exp_id = text(header, key.EXP_ID) or ""
    if match := _NEW_EXP_ID.fullmatch(exp_id):
        return int(match[1])
    match = _OLD_EXP_ID.fullmatch(exp_id)
    if match is None:
        problem = "the visit cannot be read; allowed are HSCE + 8 digits, or HSC + letter + 6 digits + 00"
        refuse(DamagedInputError, filename, key.EXP_ID, header.get(key.EXP_ID), problem, _REMEDY)
    letter, shot = match[1], int(match[2])
    if shot == 0:
        match = _FRAME_ID.fullmatch(text(header, key.FRAMEID) or "")
        if match is None:
            problem = "EXP-ID has number 0 and FRAMEID does not say which exposure it is"
            refuse(DamagedInputError, filename, key.FRAMEID, header.get(key.FRAMEID), problem, _REMEDY)
        # The two halves of the camera have consecutive numbers; the even one is the visit.
        letter, shot = match[1], int(match[2]) // 2 * 2
    return shot + 1_000_000 * (ord(letter) - ord("A"))


def _ccd(header: Mapping[str, object], filename: PurePath | str, pointing: int, notes: list[str]) -> int:
    det_id = whole_number(header, key.DET_ID)
    if det_id is None:
        problem = "the CCD number must be a whole number from 0 to 111"
        refuse(DamagedInputError, filename, key.DET_ID, header.get(key.DET_ID), problem, _REMEDY)
    ccd = det_id
    if 390 < pointing < 405 and det_id in COMMISSIONING_CCDS:
        ccd = COMMISSIONING_CCDS[det_id]
        notes.append(f"DET-ID {det_id} is CCD {ccd}: focus CCDs were misnumbered in commissioning run 2")
    if not 0 <= ccd < N_CCDS:
        problem = "the CCD number must be 0 to 111; guide CCDs (112 to 115) are not archived"
        refuse(DamagedInputError, filename, key.DET_ID, det_id, problem, _REMEDY)
    return ccd


def _date(header: Mapping[str, object], filename: PurePath | str, notes: list[str]) -> str:
    value = text(header, key.DATE_OBS)
    if value is None:
        mjd = _mjd(header)
        if mjd is None:
            problem = "and MJD does not give the date either"
            refuse(DamagedInputError, filename, key.DATE_OBS, None, problem, _REMEDY)
        date = (datetime.date(2012, 1, 1) + datetime.timedelta(days=int(mjd) - FIRST_DAY_MJD)).isoformat()
        notes.append(f"DATE-OBS is missing: {date} was taken from MJD")
        return date
    match = _DATE.fullmatch(value)
    try:
        return datetime.date.fromisoformat(match[1] if match else "").isoformat()
    except ValueError:
        problem = "it must be a date of the form YYYY-MM-DD"
        refuse(DamagedInputError, filename, key.DATE_OBS, value, problem, _REMEDY)


def _mjd(header: Mapping[str, object]) -> float | None:
    """Return MJD if it is a date of this century."""
    mjd = number(header, key.MJD)
    return mjd if mjd is not None and 51544 <= mjd < 88069 else None


def _pointing(header: Mapping[str, object], date: str, notes: list[str]) -> int:
    mjd = _mjd(header)
    if mjd is not None:
        return int(mjd) - FIRST_DAY_MJD
    notes.append("MJD is missing or unusable: pointing was counted from DATE-OBS")
    return (datetime.date.fromisoformat(date) - datetime.date(2012, 1, 1)).days


def _filter(header: Mapping[str, object], filename: PurePath | str, notes: list[str]) -> str:
    value = text(header, key.FILTER01)
    if value is None:
        notes.append("FILTER01 is missing: filter is UNRECOGNISED")
    try:
        return registry_name(value or "")
    except UnsafeInputError as error:
        raise UnsafeInputError(
            f"{filename}: {error.message}", remedy=error.remedy, file=str(filename), **error.numbers
        ) from None


def _optional_number(header: Mapping[str, object], keyword: str, notes: list[str]) -> float | None:
    result = number(header, keyword)
    if result is None and header.get(keyword) is not None:
        notes.append(f"{keyword} = {shown(header[keyword])} is not a number: left empty")
    return result
