"""Images that are not what their headers say are refused before they are believed, compressed ones too."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hscbox.errors import DamagedInputError
from hscbox.fits.read import read_image, read_units
from hscbox.fits.tables import read_table

PIXELS = (np.arange(6000, dtype=np.uint16) * 37).reshape(60, 100)


def test_one_bit_of_a_compressed_image_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "raw.fits.fz"
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(PIXELS, compression_type="RICE_1")])
    hdus.writeto(path, checksum=True)
    assert np.array_equal(read_image(path), PIXELS)
    content = bytearray(path.read_bytes())
    with fits.open(path, disable_image_compression=True) as plain:
        header = plain[1].header
        heap = plain[1].fileinfo()["datLoc"] + header["NAXIS1"] * header["NAXIS2"]
    content[heap + 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedInputError, match=r"raw\.fits\.fz fails its checksum"):
        read_image(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("groups", [0, 2])
def test_a_header_that_promises_no_data_is_refused_before_memory_is_taken(
    tmp_path: Path, packed: bool, groups: int
) -> None:
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": 4000000, "NAXIS2": 2000000})
    header["GCOUNT"] = groups
    text = header.tostring().encode()
    path = tmp_path / "master.fits"
    path.write_bytes(gzip.compress(text) if packed else text)
    for read in (read_image, read_units):
        with pytest.raises(DamagedInputError, match=f"master.fits.*GCOUNT = {groups}"):
            read(path)


@pytest.mark.parametrize(
    ("lengths", "offsets"),
    [
        ([1 << 62, 4], [0, 0]),  # times four bytes it is nothing, modulo 2^64
        ([1000, 1000], [0, 0]),  # each is there, but not both
        ([4, 1001], [0, 0]),
        ([4, 4], [0, 3997]),
    ],
)
def test_arrays_of_variable_length_take_no_more_than_there_is(
    tmp_path: Path, lengths: list[int], offsets: list[int]
) -> None:
    path = tmp_path / "table.fits"
    column = fits.Column("v", "QE()", array=np.array([np.ones(600, "f4"), np.ones(400, "f4")], dtype=object))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(path)
    assert [len(v) for v in read_table(read_units(path)[1])["v"].split()] == [600, 400]
    content = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        first = hdus[1].fileinfo()["datLoc"]
    content[first : first + 32] = np.array([lengths, offsets], dtype=">i8").T.tobytes()
    path.write_bytes(content)
    with pytest.raises(DamagedInputError, match="outside its heap"):
        read_table(read_units(path)[1])
