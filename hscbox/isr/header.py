"""Which cards of the raw header go into the product, and what the corrections write there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..image.calib_image import CalibImage
from ..image.metadata import Metadata

__all__ = ["kernel_digest", "raw_cards", "record_calib", "record_master", "record_step"]

_CONSUMED = re.compile(
    # structure of the file
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|XTENSION|[PG]COUNT|GROUPS|BSCALE|BZERO|BLANK|END|CHECKSUM|DATASUM|"
    # visit information, written anew from its own object; times of the product are TAI
    r"EXPTIME|MJD-STR|RA2000|DEC2000|AZIMUTH|ALTITUDE|AIRMASS|OUT-TMP|OUT-PRS|OUT-HUM|LST-STR|INST-PA|TIMESYS|"
    # world coordinates: they describe the mirrored, untrimmed array
    r"WCSAXES|CTYPE\d|CRPIX\d|CRVAL\d|CUNIT\d|CDELT\d|CROTA\d|CD\d_\d|PC\d+_\d+|PC\d{6}|PV\d+_\d+|"
    r"LONPOLE|LATPOLE|LONGPOLE|EQUINOX|RADESYS|RADECSYS|RESTFRQ|RESTWAV|"
    # windows of the untrimmed array, and a gain that is not used
    r"DATASEC|BIASSEC|TRIMSEC|GAIN"
)

_STEPS = {
    "BIAS": "bias subtracted",
    "BF": "brighter-fatter effect corrected",
    "DARK": "dark current subtracted",
    "DEF": "defects masked and interpolated",
    "FLAT": "divided by the flat",
    "FRNG": "fringes subtracted",
    "LIN": "non-linearity corrected",
    "OSCN": "overscan subtracted",
    "SAT": "saturated pixels masked and interpolated",
    "SUSP": "suspect pixels masked",
    "TRL": "bleed trails widened",
    "VAR": "variance from gain and read noise",
    "XTLK": "crosstalk subtracted",
}


def raw_cards(header: Mapping[str, object]) -> Metadata:
    """Return the cards of a raw header that stay valid for the product, in their order.

    Cards without a value and those that the reduction replaces (file structure, visit information, world coordinates,
    windows of the raw array) are left out.
    """
    result = Metadata()
    for key, value in header.items():
        if key.strip() and not _CONSUMED.fullmatch(key) and isinstance(value, bool | int | float | str | list):
            result[key] = value
    return result


def record_step(metadata: Metadata, step: str, applied: bool) -> None:
    """Record whether a correction was applied: card ISR_<step>."""
    metadata.set(f"ISR_{step}", applied, _STEPS[step])


def record_calib(metadata: Metadata, kind: str, name: str, digest: str) -> None:
    """Record file name and SHA-256 of a calibration: cards <kind>NAM and <kind>SHA; `kind` has up to 5 letters."""
    metadata.set(f"{kind}NAM", name or "unnamed", "calibration applied")
    metadata.set(f"{kind}SHA", digest, "SHA-256 of it")


def kernel_digest(kernel: npt.NDArray[np.float64]) -> str:
    """Return the SHA-256 of the numbers of a kernel (little-endian float64), whatever file they came in."""
    return hashlib.sha256(np.ascontiguousarray(kernel, dtype="<f8").tobytes()).hexdigest()


def record_master(metadata: Metadata, kind: str, calib: CalibImage) -> None:
    """Record a master calibration frame."""
    record_calib(metadata, kind, calib.name, calib.sha256)
