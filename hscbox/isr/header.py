"""Which cards of the raw header go into the product, and what the corrections write there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..camera.keywords import VISIT_KEYWORDS
from ..fits.metadata import Metadata

__all__ = ["numbers_digest", "raw_cards", "record_calib"]

_CONSUMED = re.compile(
    # structure of the file
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|XTENSION|[PG]COUNT|GROUPS|BSCALE|BZERO|BLANK|END|CHECKSUM|DATASUM|"
    # visit information, written anew from its own object; times of the product are TAI
    rf"{'|'.join(VISIT_KEYWORDS)}|"
    # world coordinates: they describe the mirrored, untrimmed array
    r"WCSAXES|CTYPE\d|CRPIX\d|CRVAL\d|CUNIT\d|CDELT\d|CROTA\d|CD\d_\d|PC\d+_\d+|PC\d{6}|PV\d+_\d+|"
    r"LONPOLE|LATPOLE|LONGPOLE|EQUINOX|RADESYS|RADECSYS|RESTFRQ|RESTWAV|"
    # windows of the untrimmed array, and a gain that is not used
    r"DATASEC|BIASSEC|TRIMSEC|GAIN"
)

# What a HIERARCH card can hold next to any number, and what other programs read back.
_KEYWORD = re.compile(r"(?!HIERARCH$|CONTINUE$|.*[.]{3}$)[!-<>-~](?:[ -<>-~]{0,38}[!-<>-~])?")
_LARGEST_INTEGER = 2**63


def raw_cards(header: Mapping[str, object]) -> Metadata:
    """Return the cards of a raw header that stay valid for the product, in their order.

    Cards without a value and those that the reduction replaces (file structure, visit information, world coordinates,
    windows of the raw array) are left out; so is what no header can hold: keywords of more than 40 characters or
    with others than those of printable ASCII, and integers of more than 64 bits. Control characters and the like
    in texts become question marks.
    """
    result = Metadata()
    for key, value in header.items():
        if not _KEYWORD.fullmatch(key) or _CONSUMED.fullmatch(key.upper()):
            continue
        if isinstance(value, list):
            result[key] = [_plain(item) for item in value if _is_storable(item)]
        elif _is_storable(value):
            result[key] = _plain(value)
    return result


def _is_storable(value: object) -> bool:
    if isinstance(value, int):
        return -_LARGEST_INTEGER <= value < _LARGEST_INTEGER
    return isinstance(value, float | str)


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "".join(letter if " " <= letter <= "~" else "?" for letter in value)


def record_calib(metadata: Metadata, kind: str, name: str, digest: str) -> None:
    """Record file name and SHA-256 of a calibration: cards <kind>NAM and <kind>SHA; `kind` has up to 5 letters."""
    metadata.set(f"{kind}NAM", name or "unnamed", "calibration applied")
    metadata.set(f"{kind}SHA", digest, "SHA-256 of it")


def numbers_digest(numbers: npt.ArrayLike) -> str:
    """Return the SHA-256 of numbers (as little-endian float64, last index fastest), whatever file they came in."""
    return hashlib.sha256(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).hexdigest()
