"""Keywords that are read from, and written to, the headers of raw frames and master calibrations.

All cards of a raw frame stand in the generator's `data/raw_header.ecsv`; here are those that code knows by name.

Source: lsst/astro_metadata_translator @ 77d8a893, tests/data/fitsheader-hsc*.yaml; lsst/obs_subaru @ b7c7029d
(2017-09-22): python/lsst/obs/subaru/ingest.py and python/lsst/obs/hsc/makeHscRawVisitInfo.py.
"""

from __future__ import annotations

INSTRUME = "INSTRUME"
"""Camera: "Hyper Suprime-Cam"."""
DETECTOR = "DETECTOR"
"""Nothing or "notSet"; Suprime-Cam writes the name of the CCD."""
OBJECT = "OBJECT"
"""Name of the field."""
PROP_ID = "PROP-ID"
"""Proposal."""
DATA_TYP = "DATA-TYP"
"""Kind of exposure: OBJECT, BIAS, DARK, DOMEFLAT, ..."""
EXP_ID = "EXP-ID"
"""Archive id of the exposure, which gives the visit: HSCA04098400 until 2016-06-13, HSCE00040984 later."""
FRAMEID = "FRAMEID"
"""Archive id of the frame: letter and number of the exposure, data output of the CCD."""
DET_ID = "DET-ID"
"""CCD number."""
FILTER01 = "FILTER01"
"""Filter, like "HSC-r"."""

UT, HST, LST, MJD = "UT", "HST", "LST", "MJD"
"""Universal, Hawaii and sidereal time (hh:mm:ss.sss), modified Julian date (UTC): at a typical moment."""
START, END = "-STR", "-END"
"""What is appended to these four for the start and the end of the exposure."""
UT_STR, LST_STR, MJD_STR = UT + START, LST + START, MJD + START
DATE_OBS = "DATE-OBS"
"""Date at the start, UTC."""
EXPTIME = "EXPTIME"
"""Seconds."""

RA2000, DEC2000 = "RA2000", "DEC2000"
"""Where the telescope points, sexagesimal."""
AZIMUTH, ALTITUDE = "AZIMUTH", "ALTITUDE"
"""Degrees."""
AIRMASS = "AIRMASS"
INST_PA = "INST-PA"
"""Position angle of the instrument, degrees."""

T_AG = "T_AG"
"""Whether the auto-guider was on."""
T_CCDTV = "T_CCDTV"
"""Temperature of the CCD, degrees Celsius."""
T_CFGFIL = "T_CFGFIL"
"""Configuration file of the readout."""
T_BEEID, T_SDOID = "T_BEEID", "T_SDOID"
"""Readout back-end and data output of the CCD."""

EXPOSED_FIRST, EXPOSED_LAST = "T_EFMN", "T_EFMX"
OVERSCAN_FIRST, OVERSCAN_LAST = "T_OSMN", "T_OSMX"
"""Windows of a readout channel, see `window`."""

OBSTYPE = "OBSTYPE"
"""Kind of a master calibration (`CALIB_KINDS`)."""
CALIB_ID = "CALIB_ID"
"""Its identity: "filter=HSC-R calibDate=2015-10-10 ccd=55"."""

VISIT_KEYWORDS = (
    *(EXPTIME, MJD_STR, LST_STR, "TIMESYS", RA2000, DEC2000, AZIMUTH, ALTITUDE, AIRMASS, INST_PA),
    *("OUT-TMP", "OUT-PRS", "OUT-HUM"),
)
"""Cards of a raw header whose content is in its `VisitInfo`."""


def window(end: str, channel: int, axis: int) -> str:
    """Return the keyword of one end of a window (EXPOSED_FIRST, ...) along axis 1 (columns) or 2 (rows)."""
    return f"{end}{channel}{axis}"


def gain(channel: int) -> str:
    """Return the keyword of the nominal gain of a channel, electrons per ADU."""
    return f"T_GAIN{channel}"
