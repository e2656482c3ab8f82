from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fixtures.strict_fits import open_checked

from hscbox.errors import DamagedInputError
from hscbox.fits.metadata import Metadata
from hscbox.products.masked_image import read_image, write_masked_image
from hscbox.products.planes import mask_from_file

IMAGE = (np.arange(35, dtype=np.float32) * 1.5).reshape(5, 7)
MASK = (np.arange(35, dtype=np.int32) % 512).reshape(5, 7)
HEADER = Metadata(
    {"OBSTYPE": "flat", "CALIB_ID": "filter=HSC-R calibDate=2015-10-10 ccd=55", "CALIB_INPUT_0": "(40984,)"}
)


def test_three_planes(tmp_path: Path) -> None:
    write_masked_image(tmp_path / "flat.fits", IMAGE, MASK, IMAGE + 7, HEADER)
    image, mask, variance, header = read_image(tmp_path / "flat.fits")
    assert np.array_equal(image, IMAGE) and mask is not None and np.array_equal(mask, MASK)
    assert variance is not None and np.array_equal(variance, IMAGE + 7)
    assert header == HEADER
    with open_checked(tmp_path / "flat.fits") as hdus:
        assert [hdu.header.get("EXTTYPE") for hdu in hdus] == [None, "IMAGE", "MASK", "VARIANCE"]


def test_single_image(tmp_path: Path) -> None:
    write_masked_image(tmp_path / "bias.fits", IMAGE, header=HEADER)
    image, mask, variance, header = read_image(tmp_path / "bias.fits")
    assert np.array_equal(image, IMAGE) and mask is None and variance is None
    assert header == HEADER
    with open_checked(tmp_path / "bias.fits") as hdus:
        assert len(hdus) == 1


@pytest.mark.parametrize("form", ["double", "scaled", "gz", "fz", "fz of unsigned numbers", "extension"])
def test_files_of_other_programs(tmp_path: Path, form: str) -> None:
    path = tmp_path / "dark.fits"
    values = np.tile(IMAGE, (10, 10))
    if form == "double":
        fits.PrimaryHDU(values.astype(np.float64)).writeto(path)
    elif form == "scaled":
        hdu = fits.PrimaryHDU((values / 1.5).astype(np.int16))
        hdu.header["BSCALE"] = 1.5
        hdu.writeto(path)
    elif form == "gz":
        fits.PrimaryHDU(values).writeto(path)
        path.write_bytes(gzip.compress(path.read_bytes()))
    elif form == "fz":
        fits.HDUList(
            [fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type="GZIP_1", quantize_level=0)]
        ).writeto(path)
    elif form == "fz of unsigned numbers":
        values = np.arange(3500, dtype=np.uint16).reshape(50, 70) * 18
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type="RICE_1")]).writeto(path)
    else:
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values)]).writeto(path)
    image, mask, variance, _ = read_image(path)
    assert image.dtype == np.float32 and image.dtype.isnative
    assert np.array_equal(image, values)
    assert mask is None and variance is None


def test_planes_are_translated_by_name() -> None:
    # SAT at 4, BAD at 0, CROSSTALK at 3, one plane that is not known here.
    pixels = np.array([[1, 16, 8], [25, 64, 0]], dtype=np.int32)
    header = {"MP_BAD": 0, "MP_SAT": 4, "MP_CROSSTALK": 3, "MP_BRIGHT_OBJECT": 6}
    assert mask_from_file(pixels, header).tolist() == [[1, 2, 512], [1 + 2 + 512, 0, 0]]
    assert mask_from_file(np.array([[0x7FF]]), {}).tolist() == [[0x1FF]]
    assert mask_from_file(pixels.astype(np.uint8), header).dtype == np.int32


def test_sizes_that_differ(tmp_path: Path) -> None:
    planes = [fits.PrimaryHDU(), fits.ImageHDU(IMAGE), fits.ImageHDU(MASK[:-1])]
    for hdu, kind in zip(planes[1:], ("IMAGE", "MASK"), strict=True):
        hdu.header["EXTTYPE"] = kind
    fits.HDUList(planes).writeto(tmp_path / "flat.fits")
    with pytest.raises(DamagedInputError, match="7 x 4 pixels, the image 7 x 5"):
        read_image(tmp_path / "flat.fits")


def test_no_image(tmp_path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2, 2)))]).writeto(tmp_path / "cube.fits")
    with pytest.raises(DamagedInputError, match="no two-dimensional image"):
        read_image(tmp_path / "cube.fits")
