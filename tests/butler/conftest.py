"""Small repositories made of sparse files with real headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GUIDE_HEADER: dict[str, object] = {
    "OBJECT": "SSP_UDEEP_SXDS",
    "EXP-ID": "HSCA04098400",
    "FRAMEID": "HSCA04098410",
    "DET-ID": 55,
    "FILTER01": "HSC-r",
    "MJD": 57305.48762071,
    "DATE-OBS": "2015-10-10",
    "EXPTIME": 300.0,
    "INST-PA": 0.0,
    "T_AG": True,
    "T_CCDTV": -100.65,
    "T_CFGFIL": "20140306.cfg",
    "PROP-ID": "o15426",
    "DATA-TYP": "OBJECT",
    "INSTRUME": "Hyper Suprime-Cam",
}


def _card(key: str, value: object) -> str:
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, int | float):
        text = f"{value!r:>20}"
    else:
        text = "'" + str(value).replace("'", "''").ljust(8) + "'"
    return f"{key:8}= {text}".ljust(80)


def fits_bytes(cards: dict[str, object], shape: tuple[int, int] = (70, 2144)) -> tuple[bytes, int]:
    """Return a header and the full size of the file it promises (16-bit pixels)."""
    rows, columns = shape
    start = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": columns, "NAXIS2": rows, "BZERO": 32768, "BSCALE": 1}
    text = "".join(_card(k, v) for k, v in {**start, **cards}.items()) + "END".ljust(80)
    text += " " * (-len(text) % 2880)
    data = rows * columns * 2
    return text.encode(), len(text) + data + (-data % 2880)


@pytest.fixture
def make_raw(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a sparse raw frame; None as a value removes the card."""

    def make(name: str = "raw/HSCA04098410.fits", **changes: object) -> Path:
        renamed = {key.replace("_ID", "-ID").replace("DATE_", "DATE-"): value for key, value in changes.items()}
        cards = {key: value for key, value in {**GUIDE_HEADER, **renamed}.items() if value is not None}
        header, size = fits_bytes(cards)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.write(header)
            stream.truncate(size)
        return path

    return make


@pytest.fixture
def make_calib(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a tiny master calibration."""

    def make(kind: str, ccd: int, date: str, filter_name: str = "NONE", name: str | None = None) -> Path:
        cards: dict[str, object] = {
            "OBSTYPE": kind,
            "CALIB_ID": f"filter={filter_name} ccd={ccd} calibDate={date}",
        }
        header, size = fits_bytes(cards, (4, 8))
        path = tmp_path / "masters" / (name or f"{kind}-{filter_name}-{date}-{ccd:03d}.fits")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(header + bytes(size - len(header)))
        return path

    return make


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An input repository without registry."""
    root = tmp_path / "input"
    (root / "CALIB").mkdir(parents=True)
    (root / "_mapper").write_text("lsst.obs.hsc.HscMapper\n")
    return root
