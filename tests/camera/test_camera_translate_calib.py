from __future__ import annotations

import pytest

from hscbox.camera.translate_calib import CalibRecord, translate_calib_header
from hscbox.errors import DamagedInputError, UnsafeInputError


@pytest.mark.parametrize(
    ("obstype", "kind"),
    [
        ("bias", "bias"),
        ("ZERO", "bias"),
        ("dark flat", "flat"),
        ("flat bias", "flat"),
        ("fringe flat", "flat"),
        ("dark bias", "bias"),
        ("fringe dark", "dark"),
        ("dark", "dark"),
        ("DOMEFLAT", "flat"),
        ("fringe", "fringe"),
        ("sky", "sky"),
    ],
)
def test_type(obstype: str, kind: str) -> None:
    header = {"OBSTYPE": obstype, "CALIB_ID": "filter=HSC-I calibDate=2013-11-03 ccd=50"}
    assert translate_calib_header(header, "x.fits") == CalibRecord(kind, "HSC-I", 50, "2013-11-03")


def test_order_is_free_and_version_optional() -> None:
    header = {"OBSTYPE": "flat", "CALIB_ID": " ccd=0  calibVersion=all filter=NB0921 calibDate=2017-01-05 "}
    assert translate_calib_header(header, "x.fits") == CalibRecord("flat", "NB0921", 0, "2017-01-05", "all")


def test_bias_without_filter() -> None:
    header = {"OBSTYPE": "bias", "CALIB_ID": "calibDate=2013-11-03 ccd=5"}
    assert translate_calib_header(header, "x.fits").filter == "NONE"
    with pytest.raises(UnsafeInputError, match="filter is missing"):
        translate_calib_header(header | {"OBSTYPE": "flat"}, "x.fits")


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"OBSTYPE": "bias"},
        {"OBSTYPE": "bias", "CALIB_ID": "filter=NONE calibDate=2013-11-03"},
        {"OBSTYPE": "bias", "CALIB_ID": "filter=NONE calibDate=2013-11-03 ccd=112"},
        {"OBSTYPE": "bias", "CALIB_ID": "filter=NONE calibDate=2013-11-33 ccd=1"},
        {"OBSTYPE": "bias", "CALIB_ID": "filter=NONE calibDate=../.. ccd=1"},
        {"OBSTYPE": "bias", "CALIB_ID": 5},
    ],
)
def test_damaged(header: dict[str, object]) -> None:
    with pytest.raises(DamagedInputError, match=r"bad\.fits: (OBSTYPE|CALIB_ID)"):
        translate_calib_header(header, "bad.fits")


@pytest.mark.parametrize("change", ["filter=../../x", "filter=", "calibVersion=a/b", "filter=.."])
def test_unsafe(change: str) -> None:
    header = {"OBSTYPE": "flat", "CALIB_ID": f"filter=HSC-R calibDate=2013-11-03 ccd=1 {change}"}
    with pytest.raises(UnsafeInputError, match=r"bad\.fits: CALIB_ID"):
        translate_calib_header(header, "bad.fits")


def test_unsafe_type() -> None:
    with pytest.raises(UnsafeInputError):
        translate_calib_header({"OBSTYPE": "../x", "CALIB_ID": "filter=a calibDate=2013-11-03 ccd=1"}, "x.fits")
