from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from fixtures.exposures import sample_files
from fixtures.strict_fits import open_checked

from hscbox.errors import DamagedInputError, MissingInputError
from hscbox.fits.archive import ArchiveReader
from hscbox.fits.cards import card
from hscbox.fits.read import read_units
from hscbox.image.exposure import Exposure
from hscbox.image.psf import DoubleGaussianPsf, GaussianPsf
from hscbox.products.exposure import read_exposure, write_exposure


def test_round_trip(tmp_path: Path, exposure: Exposure) -> None:
    write_exposure(tmp_path / "corr.fits", exposure)
    back = read_exposure(tmp_path / "corr.fits")
    assert np.array_equal(back.image, exposure.image) and back.image.dtype == np.float32
    assert np.array_equal(back.mask, exposure.mask) and back.mask.dtype == np.int32
    assert np.array_equal(back.variance, exposure.variance) and back.variance.dtype == np.float32
    assert back.wcs == exposure.wcs
    assert back.psf == exposure.psf
    assert back.photo_calib == exposure.photo_calib
    assert back.filter_name == "r"
    assert back.detector == exposure.detector
    assert back.metadata == exposure.metadata
    assert back.ap_corr is not None and exposure.ap_corr is not None
    assert set(back.ap_corr) == set(exposure.ap_corr)
    for name, field in exposure.ap_corr.items():
        assert np.array_equal(back.ap_corr[name].coefficients, field.coefficients)
        assert back.ap_corr[name].bbox == (0, 0, 2047, 7)
    for item in fields(exposure.visit_info):  # type: ignore[arg-type]
        ours, theirs = getattr(exposure.visit_info, item.name), getattr(back.visit_info, item.name)
        assert ours == theirs or (ours != ours and theirs != theirs), item.name


def test_layout(tmp_path: Path, exposure: Exposure) -> None:
    write_exposure(tmp_path / "corr.fits", exposure)
    with open_checked(tmp_path / "corr.fits") as hdus:
        assert [hdu.header.get("EXTTYPE") for hdu in hdus][:5] == [
            None,
            "IMAGE",
            "MASK",
            "VARIANCE",
            "ARCHIVE_INDEX",
        ]
        assert [hdu.header["BITPIX"] for hdu in hdus][:5] == [8, -32, 32, -32, 8]
        primary = list(hdus[0].header)
        assert "EXPINFO_V" not in primary
        order = [
            "OBJECT",
            "AR_HDU",
            "AP_CORR_MAP_ID",
            "PSF_ID",
            "VALID_POLYGON_ID",
            "FILTER",
            "DETNAME",
            "DETSER",
            "EXPID",
        ]
        order += [
            "EXPTIME",
            "DARKTIME",
            "DATE-AVG",
            "TIMESYS",
            "AVG-ERA",
            "BORE-RA",
            "BORE-DEC",
            "BORE-AZ",
            "BORE-ALT",
        ]
        order += [
            "BORE-AIRMASS",
            "BORE-ROTANG",
            "ROTTYPE",
            "OBS-LONG",
            "OBS-LAT",
            "OBS-ELEV",
            "AIRPRESS",
            "HUMIDITY",
        ]
        order += ["FLUXMAG0", "FLUXMAG0ERR"]
        assert [key for key in primary if key in order] == order
        assert "AIRTEMP" not in primary
        assert hdus[0].header["AR_HDU"] == 5
        assert hdus[0].header["DETNAME"] == "0_10" and hdus[0].header["DETSER"] == "55"
        mask = hdus[2].header
        planes = {key[3:]: mask[key] for key in mask if key.startswith("MP_")}
        assert list(planes) == sorted(planes)
        assert planes["NO_DATA"] == 8 and planes["CROSSTALK"] == 9 and planes["UNMASKEDNAN"] == 11
        image = list(hdus[1].header)
        order = ["EQUINOX", "RADESYS", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "CRVAL1", "CRVAL2"]
        order += [
            "CUNIT1",
            "CUNIT2",
            "A_ORDER",
            "B_ORDER",
            "CTYPE1",
            "CTYPE2",
            "LTV1",
            "LTV2",
            "INHERIT",
            "EXTTYPE",
        ]
        order += ["CRVAL1A", "CRVAL2A", "CRPIX1A", "CRPIX2A", "CTYPE1A", "CTYPE2A", "CUNIT1A", "CUNIT2A"]
        assert [key for key in image if key in order] == order
        assert not [key for key in image if key.startswith(("AP_", "BP_"))]
        assert hdus[1].header["RADESYS"] == "ICRS"


def test_archive_tables(tmp_path: Path, exposure: Exposure) -> None:
    write_exposure(tmp_path / "corr.fits", exposure)
    with open_checked(tmp_path / "corr.fits") as hdus:
        index = hdus[4]
        assert index.columns.names == ["id", "cat.archive", "cat.persistable", "row0", "nrows", "name", "module"]
        assert index.columns.formats == ["1J"] * 5 + ["64A"] * 2
        assert index.header["AR_NCAT"] == len(hdus) - 4
        assert [hdu.header["AR_CATN"] for hdu in hdus[5:]] == list(range(1, len(hdus) - 4))
        rows = {(row["id"], row["cat.persistable"]): row for row in index.data}
        psf = [rows[hdus[0].header["PSF_ID"], k] for k in (0, 1)]
        assert [row["module"] for row in psf] == ["lsst.meas.extensions.psfex"] * 2
        first, second = hdus[4 + psf[0]["cat.archive"]], hdus[4 + psf[1]["cat.archive"]]
        assert first.columns.formats == ["1J"] * 6 + ["1D", "1D", "1E"]
        assert second.columns.names == [
            "group",
            "degree",
            "basis",
            "coeff",
            "_size",
            "_comp",
            "_context_first",
            "_context_second",
        ]
        assert second.columns.formats == ["2J", "1J", "6D", "6D", "3J", f"{6 * 41 * 41}E", "2D", "2D"]
        assert all(second.header[f"TCCLS{k}"] == "Array" for k in range(1, 9))
        assert second.data["_size"][0].tolist() == [41, 41, 6]
        # The order in memory: component, then row, then column.
        components = exposure.psf.components  # type: ignore[union-attr]
        assert second.data["_comp"][0][41 * 41 + 41 * 3 + 7] == components[1, 3, 7]
        polygon = hdus[4 + rows[hdus[0].header["VALID_POLYGON_ID"], 0]["cat.archive"]].data
        x, y = polygon["vertices_x"], polygon["vertices_y"]
        assert (x[0], y[0]) == (x[-1], y[-1]) == (-0.5, -0.5)
        assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) < 0, "clockwise"


def test_bytes_are_reproducible(tmp_path: Path, exposure: Exposure) -> None:
    write_exposure(tmp_path / "a.fits", exposure)
    write_exposure(tmp_path / "b.fits", exposure.copy())
    write_exposure(tmp_path / "c.fits", read_exposure(tmp_path / "a.fits"))
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "c.fits").read_bytes()


def test_only_pixels(tmp_path: Path) -> None:
    image = np.arange(15, dtype=np.float32).reshape(3, 5)
    write_exposure(tmp_path / "a.fits", Exposure(image, np.zeros((3, 5), np.int32), image + 1))
    back = read_exposure(tmp_path / "a.fits")
    assert np.array_equal(back.image, image)
    assert back.wcs is back.psf is back.photo_calib is back.ap_corr is back.visit_info is back.detector is None


@pytest.mark.parametrize("psf", [GaussianPsf(11, 1.5), DoubleGaussianPsf(21, 2.0, 4.0, 0.1)], ids=repr)
def test_analytic_psf_round_trip(tmp_path: Path, exposure: Exposure, psf: GaussianPsf) -> None:
    write_exposure(tmp_path / "a.fits", replace(exposure, psf=psf))
    assert read_exposure(tmp_path / "a.fits").psf == psf


def test_raw_cards_that_would_contradict_are_left_out(tmp_path: Path, exposure: Exposure) -> None:
    for key, value in {
        "CRVAL1": 1.0,
        "CTYPE1": "RA---TAN",
        "EXPTIME": 7.0,
        "NAXIS1": 2144,
        "BZERO": 32768,
        "MJD-STR": 1.0,
    }.items():
        exposure.metadata[key] = value
    write_exposure(tmp_path / "a.fits", exposure)
    header = read_units(tmp_path / "a.fits")[0].header
    assert header["EXPTIME"] == 300.0
    assert not {"CRVAL1", "CTYPE1", "NAXIS1", "BZERO", "MJD-STR"} & set(header)


def test_cards_always_have_80_characters() -> None:
    for length in range(1, 60):
        key = "K" * length
        cards = card(key, "it's " * 40) + card(key, -1.2345678901234567e-300 if length < 41 else 1)
        assert len(cards) % 80 == 0
    with pytest.raises(ValueError, match="no room"):
        card("K" * 66, "x" * 30)
    with pytest.raises(ValueError, match="no room"):
        card("K" * 66, 123456)


@pytest.mark.parametrize("path", sample_files("calexp-*.fits"), ids=lambda path: path.stem)
def test_files_of_afw(path: Path) -> None:
    # Numbers from the description of the files: pixel (0, 0) of the file is parent (100, 200).
    exposure = read_exposure(path)
    assert exposure.image.shape == (96, 64)
    with fits.open(path) as hdus:
        assert np.array_equal(exposure.image, hdus[1].data)
        expected = WCS(hdus[1].header).all_pix2world(11.0, 37.0, 0)
        cosmic = (hdus[2].data >> hdus[2].header["MP_CR"] & 1).astype(bool)
        crosstalk = (hdus[2].data >> hdus[2].header["MP_CROSSTALK"] & 1).astype(bool)
    assert exposure.wcs is not None and exposure.psf is not None and exposure.photo_calib is not None
    assert np.allclose(exposure.wcs.pixel_to_sky(11.0, 37.0), expected, rtol=0, atol=1e-12)
    assert np.array_equal((exposure.mask >> 3 & 1).astype(bool), cosmic)
    assert np.array_equal((exposure.mask >> 9 & 1).astype(bool), crosstalk)
    assert exposure.photo_calib.flux_mag0 == pytest.approx(1.8928720334405828e12, rel=1e-9)
    assert exposure.filter_name == "i"
    assert exposure.psf.size == 21
    stamp = exposure.psf.kernel_image(32.0, 48.0)
    assert stamp.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.unravel_index(np.argmax(stamp), stamp.shape) == (10, 10)
    if "minimal" not in path.stem:
        assert exposure.visit_info is not None and exposure.visit_info.boresight_dec == 2.2
        assert exposure.visit_info.mjd_tai == pytest.approx(56598.30038773148, abs=1e-9)
        assert exposure.ap_corr is not None
        field = exposure.ap_corr["base_PsfFlux_instFlux"]
        assert field.bbox == (0, 0, 63, 95)
        assert field.evaluate(31.5, 47.5) == pytest.approx(field.coefficients[0, 0])


@pytest.mark.parametrize("path", sample_files("handmade-2017-layout.fits"), ids=lambda path: path.stem)
def test_handmade_file_of_2017_layout(path: Path) -> None:
    exposure = read_exposure(path)
    assert exposure.photo_calib is not None and exposure.photo_calib.flux_mag0_err == 1e10
    assert exposure.psf is not None and exposure.psf.size == 21
    assert exposure.filter_name == "i"
    # The Gaussian of 2 px of which the stored image was made.
    assert exposure.psf.determinant_radius() == pytest.approx(2.0, abs=1e-4)


def test_weights_of_a_stored_pca_psf_are_evaluated_in_parent_coordinates() -> None:
    for path in sample_files("calexp-pcapsf.fits"):
        exposure = read_exposure(path)
        units = read_units(path)
        archive = ArchiveReader(units[4:])
        row = archive.index["name"].tolist().index("LinearCombinationKernel")
        kernel = archive.get(int(archive.index["id"][row])).tables[0]
        images = [
            np.asarray(archive.get(int(k)).tables[0]["image"][0]).reshape(21, 21) for k in kernel["components"][0]
        ]
        x, y = 10.0, 70.0
        expected = images[0] + (0.2 + 0.002 * (x + 100) + 0.001 * (y + 200)) * images[1]
        assert exposure.psf is not None
        assert np.allclose(exposure.psf.kernel_image(x, y), expected / expected.sum(), rtol=0, atol=1e-12)


class TestDamage:
    @pytest.fixture
    def content(self, tmp_path: Path, exposure: Exposure) -> bytes:
        write_exposure(tmp_path / "good.fits", exposure)
        return (tmp_path / "good.fits").read_bytes()

    def refused(self, tmp_path: Path, content: bytes) -> str:
        path = tmp_path / "bad.fits"
        path.write_bytes(content)
        with pytest.raises(DamagedInputError) as caught:
            read_exposure(path)
        assert "bad.fits" in str(caught.value)
        return str(caught.value)

    def test_truncated_in_the_data(self, tmp_path: Path, content: bytes) -> None:
        assert str(len(content) - 2880) in self.refused(tmp_path, content[:-2880])

    def test_truncated_in_a_block(self, tmp_path: Path, content: bytes) -> None:
        self.refused(tmp_path, content[: 2880 * 20 + 17])

    def test_truncated_in_the_first_header(self, tmp_path: Path, content: bytes) -> None:
        self.refused(tmp_path, content[:2880])

    def test_empty(self, tmp_path: Path) -> None:
        self.refused(tmp_path, b"")

    def test_extended(self, tmp_path: Path, content: bytes) -> None:
        self.refused(tmp_path, content + b"\0" * 2880)

    def test_flipped_pixel_bit(self, tmp_path: Path, content: bytes) -> None:
        position = 2880 * 9 + 11
        damaged = content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        assert "checksum" in self.refused(tmp_path, damaged)

    def test_huge_promise(self, tmp_path: Path, content: bytes) -> None:
        lie = content.replace(b"NAXIS2  =                    8", b"NAXIS2  =           2000000000", 1)
        assert "promise" in self.refused(tmp_path, lie)

    def test_text_file(self, tmp_path: Path) -> None:
        assert "not a FITS file" in self.refused(tmp_path, b"hello" * 1000)

    def test_lost_archive(self, tmp_path: Path, content: bytes) -> None:
        units = fits.HDUList.fromstring(content)
        del units[5]
        units.writeto(tmp_path / "bad.fits")
        with pytest.raises(DamagedInputError):
            read_exposure(tmp_path / "bad.fits")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(MissingInputError):
            read_exposure(tmp_path / "nowhere.fits")

    @pytest.mark.parametrize(
        ("hdu", "change"),
        [
            (0, {"AR_HDU": 99}),
            (0, {"AR_HDU": "five"}),
            (0, {"PSF_ID": 77}),
            (0, {"PSF_ID": 1}),
            (0, {"EXPID": "many", "DETSER": "9999", "FLUXMAG0": "bright", "AR_HDU": 3}),
            (1, {"CTYPE1": "RA---ZPN"}),
            (1, {"CD1_1": "steep"}),
            (4, {"AR_NCAT": "all"}),
            (4, {"TFIELDS": 6}),
            (4, {"TFORM1": "1Z"}),
            (8, {"TFORM6": "7E"}),
        ],
        ids=str,
    )
    def test_cards_that_lie(self, tmp_path: Path, content: bytes, hdu: int, change: dict[str, object]) -> None:
        with fits.open(tmp_path / "good.fits") as units:
            text = [unit.header.copy() for unit in units]
            offsets = [(unit.fileinfo()["hdrLoc"], unit.fileinfo()["datLoc"]) for unit in units]
        text[hdu].update(change)
        for key in ("CHECKSUM", "DATASUM"):
            del text[hdu][key]
        first, data = offsets[hdu]
        lie = content[:first] + text[hdu].tostring().encode() + content[data:]
        self.refused(tmp_path, lie)
