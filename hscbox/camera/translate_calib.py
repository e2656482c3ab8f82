"""From the header of a master calibration to its row in the calibration registry.

The rules are those of lsst/obs_subaru @ b7c7029d (2017-09-22): python/lsst/obs/subaru/ingest.py.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from ..errors import DamagedInputError, UnsafeInputError
from . import keywords as key
from .calib_kinds import CALIB_KINDS
from .geometry import N_CCDS
from .header_values import refuse, text
from .path_part import is_path_part

__all__ = ["CalibRecord", "translate_calib_header"]

# A header with two words ("dark flat") is of the first kind found; flats are looked for before all others.
_SEARCHED = sorted(CALIB_KINDS.values(), key=lambda kind: kind.name != "flat")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_REMEDY = "Calibrations are FITS files with OBSTYPE and CALIB_ID like 'filter=NONE calibDate=2013-11-03 ccd=0'"


@dataclass(frozen=True, slots=True)
class CalibRecord:
    """Identity of a master calibration; names are the registry's."""

    calibType: str
    """One of `CALIB_KINDS`, or OBSTYPE in lower case if it is none of them."""
    filter: str
    """Registry name like "HSC-R"; "NONE" for kinds that are not made per filter."""
    ccd: int
    calibDate: str
    calibVersion: str | None = None


def translate_calib_header(header: Mapping[str, object], filename: PurePath | str) -> CalibRecord:
    """Return the identity of a master calibration; `filename` appears in messages only.

    Raises
    ------
    DamagedInputError
        OBSTYPE or a part of CALIB_ID is missing or makes no sense.
    UnsafeInputError
        A value that becomes part of a path is not fit for it.
    """
    calib_type = _calib_type(header, filename)
    identity = text(header, key.CALIB_ID)
    if identity is None:
        refuse(DamagedInputError, filename, key.CALIB_ID, None, "the calibration has no identity", _REMEDY)
    items = dict(part.split("=", 1) for part in identity.split() if "=" in part)
    # Master biases and darks are for all filters; some old files do not say so.
    kind = CALIB_KINDS.get(calib_type)
    filter_name = items.get("filter", "" if kind is None or kind.per_filter else "NONE")
    for part in (calib_type, filter_name, items.get("calibVersion", "none")):
        if not is_path_part(part):
            problem = f"{part[:40]!r} cannot be part of a path" if part else "the filter is missing"
            refuse(UnsafeInputError, filename, key.CALIB_ID, identity, problem, _REMEDY)
    return CalibRecord(
        calibType=calib_type,
        filter=filter_name,
        ccd=_ccd(items.get("ccd", ""), identity, filename),
        calibDate=_calib_date(items.get("calibDate", ""), identity, filename),
        calibVersion=items.get("calibVersion"),
    )


def _calib_type(header: Mapping[str, object], filename: PurePath | str) -> str:
    value = text(header, key.OBSTYPE)
    if value is None:
        refuse(DamagedInputError, filename, key.OBSTYPE, None, "the type of calibration is unknown", _REMEDY)
    lower = value.lower()
    return next((kind.name for kind in _SEARCHED if any(word in lower for word in kind.obstypes)), lower)


def _ccd(value: str, identity: str, filename: PurePath | str) -> int:
    if not re.fullmatch("[0-9]{1,3}", value) or int(value) >= N_CCDS:
        refuse(DamagedInputError, filename, key.CALIB_ID, identity, "ccd must be a number, 0 to 111", _REMEDY)
    return int(value)


def _calib_date(value: str, identity: str, filename: PurePath | str) -> str:
    try:
        if not _DATE.fullmatch(value):
            raise ValueError(value)
        return datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        problem = "calibDate must be a date of the form YYYY-MM-DD"
        refuse(DamagedInputError, filename, key.CALIB_ID, identity, problem, _REMEDY)
