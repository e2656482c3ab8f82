from __future__ import annotations

import math

import pytest
from astropy.io import fits
from astropy.wcs import WCS

from hscbox.camera.distortion import pixel_to_sky
from hscbox.fits.cards import metadata_cards
from hscbox.simulate.header import raw_header
from hscbox.simulate.scene import Scene


def test_cards_are_those_of_a_header_of_2015() -> None:
    cards = metadata_cards(raw_header(Scene()))
    keywords = [card[:8].strip() for card in cards]
    # 158 keywords and three COMMENT lines, six of them structural.
    assert len(cards) == 158 + 3 - 6
    assert keywords[:4] == ["BUNIT", "BSCALE", "BZERO", "BLANK"]
    assert keywords[keywords.index("M2-ANG3") + 1] == "COMMENT"
    assert keywords[-1] == "T_EFMX42"
    assert all(len(card) == 80 for card in cards)


def test_values_of_ccd_55() -> None:
    header = raw_header(Scene())
    # Observatory's table of channel gains and the CCD's design position.
    assert [header[f"T_GAIN{n}"] for n in (1, 2, 3, 4)] == [3.21, 3.04, 3.15, 3.19]
    assert header["CRPIX1"] == pytest.approx(-1100.52)
    assert header["CRPIX2"] == pytest.approx(12966.09)
    assert (header["CD1_1"], header["CD2_2"]) == (0.0, 0.0)
    assert header["CD1_2"] == pytest.approx(-0.17 / 3600)
    assert header["MJD-STR"] == pytest.approx(57305.48762037, abs=1e-8)
    assert header["UT-END"] == "11:47:12.300"
    assert header["HST-STR"] == "01:42:10.400"
    # The position of the model header and the one of this scene differ; the sidereal time does not.
    hours, minutes, seconds = (float(part) for part in str(header["LST-STR"]).split(":"))
    assert hours * 3600 + minutes * 60 + seconds == pytest.approx(2 * 3600 + 35 * 60 + 19.26, abs=1.2)
    windows = [header[key] for key in ("T_EFMN11", "T_EFMX11", "T_OSMN11", "T_OSMX11", "T_EFMN41", "T_OSMN41")]
    assert windows == [9, 520, 521, 536, 1625, 1609]
    assert [header[key] for key in ("T_EFMN12", "T_EFMX12", "T_OSMN12", "T_OSMX12")] == [50, 4225, 4226, 4241]


def test_cut_out_says_how_many_rows_it_has() -> None:
    header = raw_header(Scene(rows=512))
    for n in (1, 2, 3, 4):
        assert [header[f"T_{key}{n}2"] for key in ("EFMN", "EFMX", "OSMN", "OSMX")] == [50, 561, 562, 577]


def test_altitude_and_airmass_agree() -> None:
    header = raw_header(Scene())
    assert header["ALTITUDE"] + header["ZD-STR"] == pytest.approx(90.0)
    # An independent calculation for 02:18:00 -05:00:00 at this time gave 64.917 and 189.74.
    assert header["ALTITUDE"] == pytest.approx(64.92 + 0.14, abs=0.15)
    assert header["AZIMUTH"] == pytest.approx(189.7, abs=0.5)
    assert header["SECZ-STR"] == pytest.approx(1.0 / math.cos(math.radians(header["ZD-STR"])), abs=6e-4)


@pytest.mark.parametrize("ccd", [50, 49, 58, 37, 55, 100, 103])
@pytest.mark.parametrize("inst_pa", [0.0, 30.0])
def test_rough_wcs_agrees_with_the_camera(ccd: int, inst_pa: float) -> None:
    scene = Scene(ccd=ccd, inst_pa=inst_pa)
    cards = fits.Header()
    for key in ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        cards[key] = raw_header(scene)[key]
    rough = WCS(cards)
    detector = scene.detector
    boresight = (scene.boresight_ra, scene.boresight_dec, inst_pa)
    for x, y in ((0.0, 0.0), (2047.0, 0.0), (0.0, 4175.0)):
        file_x, file_y = (2047.0 - x, y) if detector.mirror == "LR" else (x, 4175.0 - y)
        ra, dec = rough.wcs_pix2world(file_x, file_y, 0)
        true_ra, true_dec = pixel_to_sky(detector, x, y, *boresight)
        # Scale and distortion are wrong by up to 2 %, the orientation is not.
        tolerance = 20.0 if ccd in (50, 49, 58) else 200.0
        assert abs(ra - true_ra) * 3600 < tolerance
        assert abs(dec - true_dec) * 3600 < tolerance
