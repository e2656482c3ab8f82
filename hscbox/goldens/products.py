"""What identifies the products of a scene: which files, which bytes, and what in a FITS file has which digest."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from ..machine.files import sha256_file

__all__ = ["STRUCTURAL", "describe_fits", "digests", "list_files"]

# Files that hold versions, times or machine: they must exist, their bytes are not compared.
_RECORDS = ("config/packages.pickle", "/processCcd_metadata/")
# Cards that say how a unit is stored, and sums over it: what they stand for is described by itself.
STRUCTURAL = (
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP", "CHECKSUM", "DATASUM",
    "TTYPE", "TFORM", "TUNIT", "TDOC", "TCCLS", "TFLAG", "TFDOC", "TDISP", "TNULL", "TDIM", "TSCAL", "TZERO", "COMMENT",
    "HISTORY",
)  # fmt: skip
_SHORT = 12


def list_files(root: Path) -> list[str]:
    """Return the relative paths of all files below `root`, sorted."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def digests(root: Path, files: list[str]) -> dict[str, str]:
    """Return the SHA-256 of those `files` of `root` whose bytes are compared."""
    return {name: sha256_file(root / name) for name in files if not any(record in name for record in _RECORDS)}


def describe_fits(path: Path) -> list[dict[str, Any]]:
    """Describe each unit of a FITS file: its cards, digests of header and data, statistics and columns.

    Returns
    -------
    One dict per unit: ``cards`` (keyword to value, without those of the storage), ``header`` (digest of all cards but
    the sums), ``data`` (digest), ``shape``, ``statistics`` of an image, ``columns`` of a table (name to digest and
    median).

    Raises
    ------
    OSError, ValueError
        The file cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False, disable_image_compression=True) as hdus:
            return [_describe(hdu) for hdu in hdus]


def _describe(hdu: Any) -> dict[str, Any]:
    header = "".join(str(card) for card in hdu.header.cards if card.keyword not in {"CHECKSUM", "DATASUM"})
    unit: dict[str, Any] = {
        "cards": {
            card.keyword: _plain(card.value) for card in hdu.header.cards if not card.keyword.startswith(STRUCTURAL)
        },
        "header": _digest(header.encode()),
    }
    data = hdu.data
    if data is None:
        return unit
    unit |= {"data": _digest(np.ascontiguousarray(data).tobytes()), "shape": str(data.shape)}
    if isinstance(hdu, fits.BinTableHDU):
        if not len(data):  # a schema: its header says it all
            return unit
        unit["columns"] = {name: _column(data, name) for name in data.columns.names}
    else:
        unit["statistics"] = _statistics(data)
    return unit


def _column(data: Any, name: str) -> list[Any]:
    values = np.asarray(data.field(name))
    if values.dtype == object:
        values = np.concatenate([np.ravel(row) for row in values]) if len(values) else np.zeros(0)
    return [_digest(np.ascontiguousarray(values).tobytes()), _median(values)]


def _statistics(data: Any) -> dict[str, Any]:
    finite = data[np.isfinite(data)].astype(np.float64)
    if not finite.size:
        return {}
    names = ("min", "median", "mean", "max", "std")
    return {name: _rounded(float(getattr(np, name)(finite))) for name in names}


def _median(values: Any) -> float | None:
    if values.dtype.kind not in "fiub" or not values.size:
        return None
    finite = values[np.isfinite(values)].astype(np.float64)
    return _rounded(float(np.median(finite))) if finite.size else None


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_SHORT]
