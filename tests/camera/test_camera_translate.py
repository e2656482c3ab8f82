from __future__ import annotations

from collections.abc import Callable

import pytest

from hscbox.camera.translate import COMMISSIONING_CCDS, RawRecord, translate_header
from hscbox.errors import DamagedInputError, InputError, UnsafeInputError

Make = Callable[..., dict[str, object]]


def test_frame_of_the_user_guide(raw_header: Make) -> None:
    assert translate_header(raw_header("model"), "x.fits") == RawRecord(
        field="SSP_UDEEP_SXDS",
        visit=40984,
        ccd=55,
        pointing=1378,
        filter="HSC-R",
        proposal="o15426",
        dateObs="2015-10-10",
        taiObs="2015-10-10",
        expTime=300.0,
        pa=0.0,
        autoguider=1,
        ccdTemp=-100.65,
        config="20140306.cfg",
        frameId="HSCA04098410",
        expId="HSCA04098400",
        dataType="OBJECT",
    )


def test_real_header_of_2015(raw_header: Make) -> None:
    record = translate_header(raw_header("2015"), "x.fits")
    assert (record.field, record.visit, record.ccd, record.pointing) == ("SSP_WIDE", 40900, 37, 1378)
    assert (record.filter, record.dateObs, record.expTime, record.pa) == ("HSC-R", "2015-10-10", 150.0, 0.0)
    assert (record.autoguider, record.ccdTemp, record.config) == (0, -99.775, "20140306.cfg")
    assert (record.proposal, record.dataType, record.notes) == ("o15426", "OBJECT", ())


def test_real_header_of_2013_with_numbers_as_strings(raw_header: Make) -> None:
    record = translate_header(raw_header("2013"), "x.fits")
    assert (record.field, record.visit, record.ccd, record.pointing) == ("STRIPE82L", 904024, 50, 671)
    assert (record.filter, record.dateObs, record.expTime, record.pa) == ("HSC-I", "2013-11-02", 30.0, 0.0)
    assert (record.autoguider, record.ccdTemp, record.config) == (0, -101.158, "20130327.cfg")
    assert isinstance(record.pa, float)


@pytest.mark.parametrize(
    ("exp_id", "frame_id", "visit"),
    [
        ("HSCE00227770", "HSCA22777000", 227770),
        ("HSCA12300100", "HSCA12300116", 123001),
        ("HSCB00002000", "HSCB00002010", 1000020),
        ("HSCA00000000", "HSCA04098510", 40984),
        ("HSCA00000000", "HSCC04098610", 2040986),
        (" HSCA04098400 ", "HSCA04098410", 40984),
    ],
)
def test_visit(raw_header: Make, exp_id: str, frame_id: str, visit: int) -> None:
    header = raw_header("model", {"EXP-ID": exp_id, "FRAMEID": frame_id})
    assert translate_header(header, "x.fits").visit == visit


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("SSP-Wide", "SSP_WIDE"),
        ("a b/c", "A_B_C"),
        ("#", "UNKNOWN"),
        ("#1", "_1"),
        ("../../etc", "______ETC"),
        ("..", "__"),
        ("caf\xe9\x00", "CAF__"),
        ("", "UNKNOWN"),
        (None, "UNKNOWN"),
        (3, "3"),
    ],
)
def test_field(raw_header: Make, value: object, field: str) -> None:
    assert translate_header(raw_header("model", {"OBJECT": value}), "x.fits").field == field


def test_optional_values_stay_empty_and_do_not_leak(raw_header: Make) -> None:
    missing = dict.fromkeys(["PROP-ID", "T_AG", "T_CFGFIL", "DATA-TYP", "EXPTIME", "INST-PA", "T_CCDTV"])
    translate_header(raw_header("model"), "first.fits")
    record = translate_header(raw_header("model", missing), "second.fits")
    assert (record.proposal, record.autoguider, record.config, record.dataType) == (None, None, None, None)
    assert (record.expTime, record.pa) == (None, None)
    assert record.ccdTemp == 0.0


def test_undefined_cards_count_as_missing(raw_header: Make) -> None:
    header = raw_header("model") | {"T_AG": None, "PROP-ID": None, "FILTER01": None}
    record = translate_header(header, "x.fits")
    assert (record.autoguider, record.proposal, record.filter) == (None, None, "UNRECOGNISED")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("HSC-r2", "HSC-R2"),
        (" NB0921 ", "NB0921"),
        ("Unrecognized", "UNRECOGNISED"),
        (None, "UNRECOGNISED"),
        ("W-S-G+", "W-S-G+"),
    ],
)
def test_filter(raw_header: Make, value: object, name: str) -> None:
    assert translate_header(raw_header("model", {"FILTER01": value}), "x.fits").filter == name


@pytest.mark.parametrize("value", ["HSC-R/../../x", "..", ".hidden", "a\\b", "HSC R", "a\nb", "x" * 101, "\xe9"])
def test_unsafe_filter_is_refused(raw_header: Make, value: str) -> None:
    with pytest.raises(UnsafeInputError, match=r"bad\.fits: FILTER01 = ") as caught:
        translate_header(raw_header("model", {"FILTER01": value}), "bad.fits")
    assert caught.value.numbers["keyword"] == "FILTER01"
    assert caught.value.remedy


def test_remap_of_commissioning_run_2_is_said(raw_header: Make) -> None:
    for det_id, ccd in COMMISSIONING_CCDS.items():
        header = raw_header("2013", {"DET-ID": det_id, "MJD": 55927 + 400.2})
        record = translate_header(header, "x.fits")
        assert record.ccd == ccd
        assert f"DET-ID {det_id} is CCD {ccd}" in record.notes[0]
    for mjd, ccd in ((55927 + 390.9, 107), (55927 + 391.0, 105), (55927 + 404.9, 105), (55927 + 405.0, 107)):
        assert translate_header(raw_header("2013", {"DET-ID": 107, "MJD": mjd}), "x.fits").ccd == ccd


@pytest.mark.parametrize("value", [None, "x", True, 55.5, -1, 112, 10**30, float("nan"), float("inf")])
def test_ccd_must_be_one(raw_header: Make, value: object) -> None:
    with pytest.raises(DamagedInputError, match=r"bad\.fits: DET-ID.*0 (to|and) ?") as caught:
        translate_header(raw_header("model", {"DET-ID": value}), "bad.fits")
    assert caught.value.numbers["file"] == "bad.fits"
    assert caught.value.exit_status == 4


def test_ccd_as_string_or_float(raw_header: Make) -> None:
    assert translate_header(raw_header("model", {"DET-ID": "55"}), "x.fits").ccd == 55
    assert translate_header(raw_header("model", {"DET-ID": 55.0}), "x.fits").ccd == 55


@pytest.mark.parametrize("value", [None, "", "HSCE1234567", "HSCA04098410", "SUPA01234500", "hsca04098400", 40984])
def test_unreadable_exp_id(raw_header: Make, value: object) -> None:
    with pytest.raises(DamagedInputError, match=r"bad\.fits: EXP-ID.*the visit cannot be read"):
        translate_header(raw_header("model", {"EXP-ID": value}), "bad.fits")


def test_exp_id_zero_needs_frame_id(raw_header: Make) -> None:
    header = raw_header("model", {"EXP-ID": "HSCA00000000", "FRAMEID": None})
    with pytest.raises(DamagedInputError, match="FRAMEID is missing"):
        translate_header(header, "bad.fits")


@pytest.mark.parametrize(
    "changes",
    [
        {"INSTRUME": "SuprimeCam"},
        {"FRAMEID": "SUPA01234567"},
        {"INSTRUME": None, "DETECTOR": "nausicaa"},
        {"NAXIS1": 2272},
        {"NAXIS2": 4273},
        {"NAXIS2": 65},
        {"NAXIS2": "4241"},
    ],
)
def test_other_camera(raw_header: Make, changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"bad\.fits: (INSTRUME|FRAMEID|DETECTOR|NAXIS)") as caught:
        translate_header(raw_header("model", changes), "bad.fits")
    assert "Hyper Suprime-Cam" in str(caught.value)


def test_cut_out_is_accepted(raw_header: Make) -> None:
    assert translate_header(raw_header("model", {"NAXIS2": 49 + 600 + 16}), "x.fits").ccd == 55


def test_pointing_without_mjd(raw_header: Make) -> None:
    for value in (None, "abc", float("nan"), 1e300, 0.0):
        record = translate_header(raw_header("model", {"MJD": value}), "x.fits")
        assert record.pointing == 1378
        assert "MJD" in record.notes[0]
    assert translate_header(raw_header("model", {"MJD": "57305.99"}), "x.fits").pointing == 1378


def test_date(raw_header: Make) -> None:
    record = translate_header(raw_header("model", {"DATE-OBS": "2015-10-10T11:42:10.4"}), "x.fits")
    assert record.dateObs == record.taiObs == "2015-10-10"
    record = translate_header(raw_header("model", {"DATE-OBS": None}), "x.fits")
    assert record.dateObs == "2015-10-10"
    assert record.notes == ("DATE-OBS is missing: 2015-10-10 was taken from MJD",)
    for value in ("2015-13-01", "../../..", "20151010", "10/10/15"):
        with pytest.raises(DamagedInputError, match="DATE-OBS"):
            translate_header(raw_header("model", {"DATE-OBS": value}), "x.fits")
    with pytest.raises(DamagedInputError, match="DATE-OBS is missing"):
        translate_header(raw_header("model", {"DATE-OBS": None, "MJD": None}), "x.fits")


def test_bad_numbers_are_said(raw_header: Make) -> None:
    record = translate_header(raw_header("model", {"EXPTIME": "long", "INST-PA": "1_0"}), "x.fits")
    assert (record.expTime, record.pa) == (None, None)
    assert len(record.notes) == 2
