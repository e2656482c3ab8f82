from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hscbox.camera.translate import translate_header
from hscbox.errors import DamagedInputError, MissingInputError
from hscbox.fits.card_parser import parse_card, parse_header
from hscbox.fits.header_reader import read_primary_header

FitsHeader = Callable[[str], fits.Header]


def write_sparse_raw(path: Path, header: fits.Header, missing: int = 0) -> None:
    cards = header.tostring().encode()
    size = len(cards) + -(-2 * header["NAXIS1"] * header["NAXIS2"] // 2880) * 2880
    with path.open("wb") as stream:
        stream.write(cards)
        stream.truncate(size - missing)


def small_raw(header: fits.Header) -> fits.PrimaryHDU:
    pixels = np.random.Generator(np.random.PCG64(3)).integers(900, 1100, (66, 2144), dtype=np.uint16)
    return fits.PrimaryHDU(pixels, header)


def same_as_astropy(ours: dict[str, object], theirs: fits.Header) -> None:
    expected: dict[str, object] = {}
    for card in theirs.cards:
        if card.keyword not in {"COMMENT", "HISTORY", ""}:
            value = None if isinstance(card.value, fits.card.Undefined) else card.value
            expected.setdefault(card.keyword, value)
    assert ours == expected
    assert {keyword: type(value) for keyword, value in ours.items()} == {
        keyword: type(value) for keyword, value in expected.items()
    }


@pytest.mark.parametrize("name", ["2015", "2013", "model"])
def test_full_size_raw(tmp_path: Path, fits_header: FitsHeader, name: str) -> None:
    path = tmp_path / "raw.fits"
    write_sparse_raw(path, fits_header(name))
    header = read_primary_header(path)
    same_as_astropy(header, fits.getheader(path))
    assert list(header)[:3] == ["SIMPLE", "BITPIX", "NAXIS"]
    assert translate_header(header, path).visit in {40900, 904024, 40984}


@pytest.mark.parametrize("level", [1, 9])
def test_gzipped_raw(tmp_path: Path, fits_header: FitsHeader, level: int) -> None:
    small_raw(fits_header("model")).writeto(tmp_path / "raw.fits")
    path = tmp_path / "raw.fits.gz"
    path.write_bytes(gzip.compress((tmp_path / "raw.fits").read_bytes(), level))
    header = read_primary_header(path)
    same_as_astropy(header, fits.getheader(path))
    assert header == read_primary_header(tmp_path / "raw.fits")


def test_gzip_of_several_members(tmp_path: Path, fits_header: FitsHeader) -> None:
    small_raw(fits_header("model")).writeto(tmp_path / "raw.fits")
    data = (tmp_path / "raw.fits").read_bytes()
    path = tmp_path / "raw.fits.gz"
    path.write_bytes(gzip.compress(data[:20000]) + gzip.compress(data[20000:]))
    assert read_primary_header(path) == read_primary_header(tmp_path / "raw.fits")


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_1"])
def test_tile_compressed_raw(tmp_path: Path, fits_header: FitsHeader, compression: str) -> None:
    path = tmp_path / "raw.fits.fz"
    raw = small_raw(fits_header("model"))
    hdus = [fits.PrimaryHDU(), fits.CompImageHDU(raw.data, raw.header, compression_type=compression)]
    fits.HDUList(hdus).writeto(path)
    header = read_primary_header(path)
    with fits.open(path) as opened:
        theirs = opened[1].header
    for keyword in ("BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "OBJECT", "DET-ID", "T_CCDTV", "T_AG", "FILTER01"):
        assert header[keyword] == theirs[keyword]
    assert header["SIMPLE"] is True
    assert not {"ZIMAGE", "TFIELDS", "TTYPE1", "XTENSION", "PCOUNT", "ZCMPTYPE"} & set(header)
    plain = tmp_path / "raw.fits"
    raw.writeto(plain)
    assert translate_header(header, path) == translate_header(read_primary_header(plain), plain)


def test_primary_header_of_multi_extension_calibration(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU()
    primary.header["OBSTYPE"] = "bias"
    primary.header["CALIB_ID"] = "filter=NONE calibDate=2013-11-03 ccd=0"
    primary.header["HIERARCH CALIB_CREATION_DATE"] = "2017-01-05"
    images = [fits.ImageHDU(np.zeros((30, 40), dtype)) for dtype in (np.float32, np.int32, np.float32)]
    path = tmp_path / "BIAS-2013-11-03-000.fits"
    fits.HDUList([primary, *images]).writeto(path)
    same_as_astropy(read_primary_header(path), fits.getheader(path))
    packed = tmp_path / "BIAS-2013-11-03-000.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_primary_header(packed) == read_primary_header(path)
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(DamagedInputError, match="its header promises"):
        read_primary_header(path)


def test_cards_of_all_kinds_agree_with_astropy() -> None:
    cards = [
        "TRUE    =                    T / logical",
        "FALSE   =                    F",
        "INT     =                  -42 / integer",
        "FREEINT = 17/ not in fixed columns",
        "ZEROS   =                  007",
        "FLOAT   =              1.25E-3 / float",
        "DOUBLE  =             -1.5D+02 / Fortran",
        "DOT     =                  .5",
        "EXPONLY =                  1E5",
        "PLUS    =                  +3.",
        "STRING  = 'it''s / no comment  ' / comment",
        "LEADING = '  blanks'",
        "EMPTY   = ''",
        "UNDEF   =                      / no value",
        "TWICE   =                    1",
        "TWICE   =                    2",
        "COMMENT a comment = 5",
        "HISTORY a history",
        "HIERARCH ESO LONG KEYWORD = 'value' / eso",
        "HIERARCH number_of_things = 12.5",
        "LONG    = 'first part &'",
        "CONTINUE  'second part&'",
        "CONTINUE  '' / end",
        "AFTER   =                    9",
    ]
    text = "".join(card.ljust(80) for card in cards)
    same_as_astropy(parse_header(text.encode()), fits.Header.fromstring(text))


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("BAD     = 'not closed", ("BAD", None)),
        ("BAD     = 1_000", ("BAD", None)),
        ("BAD     = nan", ("BAD", None)),
        ("BAD     = 1 2", ("BAD", None)),
        ("CONTINUE  'astray'", ("CONTINUE", "astray")),
        ("COMPLEX = (1.0, 2.0)", ("COMPLEX", "(1.0, 2.0)")),
        ("no value", ("", None)),
        ("\xff\x00\x01", ("", None)),
    ],
)
def test_odd_cards(card: str, expected: tuple[str, object]) -> None:
    assert parse_card(card.ljust(80).encode("latin-1")) == expected
    assert parse_header(b"CONTINUE  'astray'".ljust(80)) == {}


@pytest.mark.parametrize("missing", [1, 2880, 18_000_000])
def test_truncated_raw_is_refused(tmp_path: Path, fits_header: FitsHeader, missing: int) -> None:
    path = tmp_path / "raw.fits"
    write_sparse_raw(path, fits_header("model"), missing)
    with pytest.raises(DamagedInputError, match=r"raw\.fits has \d+ bytes, its header promises \d+") as caught:
        read_primary_header(path)
    assert caught.value.numbers["expected"] == 14400 + 6315 * 2880


def test_header_cut_in_the_middle(tmp_path: Path, fits_header: FitsHeader) -> None:
    path = tmp_path / "raw.fits"
    path.write_bytes(fits_header("model").tostring().encode()[:5000])
    with pytest.raises(DamagedInputError, match="no END card"):
        read_primary_header(path)


def test_appended_bytes_are_refused(tmp_path: Path, fits_header: FitsHeader) -> None:
    path = tmp_path / "raw.fits"
    small_raw(fits_header("model")).writeto(path)
    path.write_bytes(path.read_bytes() + bytes(2880))
    with pytest.raises(DamagedInputError, match="bytes after its last HDU"):
        read_primary_header(path)


@pytest.mark.parametrize("kept", [30, 5000, -1000, -1])
def test_truncated_gzip_is_refused(tmp_path: Path, fits_header: FitsHeader, kept: int) -> None:
    small_raw(fits_header("model")).writeto(tmp_path / "raw.fits")
    path = tmp_path / "raw.fits.gz"
    path.write_bytes(gzip.compress((tmp_path / "raw.fits").read_bytes())[:kept])
    with pytest.raises(DamagedInputError):
        read_primary_header(path)


def test_gzip_of_truncated_raw_is_refused(tmp_path: Path, fits_header: FitsHeader) -> None:
    small_raw(fits_header("model")).writeto(tmp_path / "raw.fits")
    path = tmp_path / "raw.fits.gz"
    path.write_bytes(gzip.compress((tmp_path / "raw.fits").read_bytes()[:-2880]))
    with pytest.raises(DamagedInputError, match="unpacked has"):
        read_primary_header(path)


def test_gzip_damaged_inside_the_header(tmp_path: Path, fits_header: FitsHeader) -> None:
    small_raw(fits_header("model")).writeto(tmp_path / "raw.fits")
    data = bytearray(gzip.compress((tmp_path / "raw.fits").read_bytes()))
    data[200:240] = bytes(40)
    path = tmp_path / "raw.fits.gz"
    path.write_bytes(data)
    with pytest.raises(DamagedInputError):
        read_primary_header(path)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("NAXIS1", 10**15),
        ("NAXIS1", -5),
        ("NAXIS2", 4241.0),
        ("BITPIX", 17),
        ("NAXIS", 1000),
        ("NAXIS2", True),
    ],
)
def test_sizes_that_lie(tmp_path: Path, fits_header: FitsHeader, keyword: str, value: object) -> None:
    header = fits_header("model")
    header[keyword] = value
    path = tmp_path / "raw.fits"
    path.write_bytes(header.tostring().encode() + bytes(2880))
    with pytest.raises(DamagedInputError):
        read_primary_header(path)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"SIMPLE", b"PNG" * 5000, b"SIMPLE  =" + bytes(100_000)])
def test_no_fits_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "raw.fits"
    path.write_bytes(content)
    with pytest.raises(DamagedInputError):
        read_primary_header(path)


def test_missing_files_directories_and_pipes(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="No such file"):
        read_primary_header(tmp_path / "absent.fits")
    with pytest.raises(DamagedInputError, match="is not a file"):
        read_primary_header(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DamagedInputError, match="is not a file"):
        read_primary_header(tmp_path / "pipe")
