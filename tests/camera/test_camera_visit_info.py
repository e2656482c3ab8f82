"""Values are worked out by hand from the header cards."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest

from hscbox.camera.time_scales import mjd_to_nanoseconds, nanoseconds_to_iso, nanoseconds_to_mjd, utc_to_tai
from hscbox.camera.visit_info import visit_info_from_header
from hscbox.errors import DamagedInputError

Make = Callable[..., dict[str, object]]


def test_model_frame(raw_header: Make) -> None:
    info = visit_info_from_header(raw_header("model"))
    assert info.exposure_id == 8196855
    assert (info.exposure_time, info.dark_time) == (300.0, 300.0)
    # 57305.48762037 is 11:42:10.399968 UTC; half the exposure and 36 leap seconds later:
    assert info.date_avg.startswith("2015-10-10T11:45:16.39996")
    assert len(info.date_avg) == 29
    assert info.mjd_tai == pytest.approx(57305.48762037 + (150 + 36) / 86400, abs=2e-11)
    # LST 02:35:19.261 = 38.8302542 degrees, minus the longitude
    assert info.era_deg == pytest.approx(38.830254167 + 155.476667, abs=1e-8)
    assert (info.boresight_ra, info.boresight_dec) == pytest.approx((34.5, -5.0), abs=1e-10)
    assert (info.boresight_az, info.boresight_alt) == pytest.approx((189.73918, 64.91694), abs=1e-10)
    assert (info.airmass, info.humidity, info.inst_pa) == (1.105, 8.6, 0.0)
    assert info.boresight_rot_angle == pytest.approx(270.0)
    assert info.air_temperature == pytest.approx(278.35 - 273.15)
    assert info.air_pressure == pytest.approx(62540.0)
    assert (info.longitude, info.latitude, info.elevation) == (-155.476667, 19.825556, 4139.0)
    assert info.rot_type == "SKY"


def test_header_of_2013_with_numbers_as_strings(raw_header: Make) -> None:
    info = visit_info_from_header(raw_header("2013"))
    assert info.exposure_id == 904024 * 200 + 50
    # 06:15:55.90778 UTC + 15 s + 35 leap seconds
    assert info.date_avg.startswith("2013-11-02T06:16:45.90778")
    assert info.era_deg == pytest.approx(340.189608333 + 155.476667 - 360.0, abs=1e-8)
    assert (info.inst_pa, info.boresight_rot_angle) == (0.0, pytest.approx(270.0))
    # 21:22:59.982 and +00:30:00.07
    assert info.boresight_ra == pytest.approx(15 * (21 + 22 / 60 + 59.982 / 3600), abs=1e-9)
    assert info.boresight_dec == pytest.approx(0.5 + 0.07 / 3600, abs=1e-9)


@pytest.mark.parametrize(
    ("position_angle", "rotation"), [(300.0, 330.0), (90.0, 180.0), (-100.0, 10.0), ("30.5", 239.5)]
)
def test_rotation(raw_header: Make, position_angle: object, rotation: float) -> None:
    info = visit_info_from_header(raw_header("model", {"INST-PA": position_angle}))
    assert info.boresight_rot_angle == pytest.approx(rotation)


def test_missing_items_are_nan(raw_header: Make) -> None:
    keywords = ["RA2000", "ALTITUDE", "AIRMASS", "LST-STR", "OUT-TMP", "OUT-PRS", "OUT-HUM", "INST-PA"]
    info = visit_info_from_header(raw_header("model", dict.fromkeys(keywords)))
    names = [
        "boresight_ra",
        "boresight_dec",
        "boresight_alt",
        "airmass",
        "era_deg",
        "air_temperature",
        "air_pressure",
        "humidity",
        "inst_pa",
        "boresight_rot_angle",
    ]
    assert all(math.isnan(getattr(info, name)) for name in names)
    assert info.exposure_time == 300.0


def test_hostile_items_are_nan(raw_header: Make) -> None:
    changes: dict[str, object] = {
        "RA2000": "x:y",
        "AIRMASS": "thick",
        "LST-STR": "25",
        "OUT-PRS": True,
        "INST-PA": "up",
    }
    info = visit_info_from_header(raw_header("model", changes))
    assert all(math.isnan(x) for x in (info.boresight_ra, info.airmass, info.era_deg, info.boresight_rot_angle))


def test_start_from_date_and_time(raw_header: Make) -> None:
    info = visit_info_from_header(raw_header("model", {"MJD-STR": None}))
    assert info.date_avg == "2015-10-10T11:45:16.400000000"


@pytest.mark.parametrize(
    "changes",
    [
        {"EXPTIME": None},
        {"EXPTIME": -1.0},
        {"EXPTIME": "long"},
        {"MJD-STR": None, "UT-STR": None},
        {"EXP-ID": "x"},
        {"DET-ID": None},
    ],
)
def test_what_must_be_there(raw_header: Make, changes: dict[str, object]) -> None:
    with pytest.raises(DamagedInputError, match=r"bad\.fits: (EXPTIME|MJD-STR|EXP-ID)"):
        visit_info_from_header(raw_header("model", changes), "bad.fits")


def test_time_scales() -> None:
    day = 86_400_000_000_000
    assert mjd_to_nanoseconds(40587.0) == 0
    assert mjd_to_nanoseconds(57305.5) == (57305 - 40587) * day + day // 2
    assert nanoseconds_to_mjd(mjd_to_nanoseconds(57305.25)) == 57305.25
    assert nanoseconds_to_iso(1_500_000_001) == "1970-01-01T00:00:01.500000001"
    # The last nanosecond of 2016 and the first of 2017, after one more leap second
    start_of_2017 = (57754 - 40587) * day
    assert utc_to_tai(start_of_2017 - 1) == start_of_2017 - 1 + 36_000_000_000
    assert utc_to_tai(start_of_2017) == start_of_2017 + 37_000_000_000
    assert utc_to_tai(mjd_to_nanoseconds(57203.9)) - mjd_to_nanoseconds(57203.9) == 35_000_000_000


def test_leap_seconds_agree_with_astropy() -> None:
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        # Not on days with a leap second, which astropy stretches.
        for mjd in (55927.0, 56107.5, 56109.5, 57202.5, 57204.5, 57752.5, 57754.5, 60000.25):
            expected = Time(mjd, format="mjd", scale="utc").tai.mjd
            assert nanoseconds_to_mjd(utc_to_tai(mjd_to_nanoseconds(mjd))) == pytest.approx(expected, abs=1e-10)


def test_ingest_does_not_import_what_it_does_not_need() -> None:
    code = (
        "import sys; import hscbox.camera.translate, hscbox.fits.header_reader, hscbox.camera.translate_calib;"
        "sys.exit(any(name in sys.modules for name in ('astropy', 'astro_metadata_translator')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
