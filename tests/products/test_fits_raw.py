from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hscbox.camera.camera import load_camera
from hscbox.errors import DamagedInputError, MissingInputError
from hscbox.products.raw import read_raw


def raw_pixels(rows: int) -> np.ndarray:
    """No two neighbours alike; all 16 bits in use."""
    y, x = np.mgrid[:rows, :2144]
    return ((x * 31 + y * 7919) % 65536).astype(np.uint16)


def write_raw(path: Path, pixels: np.ndarray, cards: dict[str, object] | None = None) -> Path:
    hdu = fits.PrimaryHDU(pixels)
    hdu.header.update(cards or {})
    hdu.writeto(path)
    return path


def cut_out_cards(rows: int) -> dict[str, object]:
    last = rows - 16
    values = {"T_EFMN": 50, "T_EFMX": last, "T_OSMN": last + 1, "T_OSMX": rows}
    return {f"{key}{channel}2": value for key, value in values.items() for channel in range(1, 5)}


def test_full_frame_is_mirrored(tmp_path: Path) -> None:
    pixels = raw_pixels(4241)
    path = write_raw(tmp_path / "raw.fits", pixels, {"OBJECT": "M31"})
    raw = read_raw(path, load_camera()[55])
    assert raw.pixels.shape == (4241, 2144) and raw.pixels.dtype == np.float32
    assert np.array_equal(raw.pixels, pixels[:, ::-1].astype(np.float32))
    assert raw.header["OBJECT"] == "M31" and raw.n_rows == 4176
    corner = read_raw(path, load_camera()[101])
    assert np.array_equal(corner.pixels, pixels[::-1].astype(np.float32))


@pytest.mark.parametrize("form", ["plain", "gz", "fz"])
def test_forms_of_a_cut_out(tmp_path: Path, form: str) -> None:
    pixels = raw_pixels(165)
    path = write_raw(tmp_path / "raw.fits", pixels, cut_out_cards(165))
    if form == "gz":
        packed = tmp_path / "raw.fits.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    if form == "fz":
        packed = tmp_path / "raw.fits.fz"
        with fits.open(path) as hdus:
            fits.HDUList(
                [fits.PrimaryHDU(), fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="RICE_1")]
            ).writeto(packed)
        path = packed
    raw = read_raw(path, load_camera()[55])
    assert raw.n_rows == 100
    assert np.array_equal(raw.pixels, pixels[:, ::-1].astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "cards"),
    [
        ((165, 2144), {}),
        ((165, 2144), cut_out_cards(166)),
        ((165, 2144), {**cut_out_cards(165), "T_OSMX32": 4241}),
        ((60, 2144), cut_out_cards(60)),
        ((65, 2144), cut_out_cards(65)),
        ((165, 2048), cut_out_cards(165)),
        ((4242, 2144), {}),
    ],
)
def test_other_sizes_are_refused(tmp_path: Path, shape: tuple[int, int], cards: dict[str, object]) -> None:
    path = write_raw(tmp_path / "raw.fits", np.zeros(shape, np.uint16), cards)
    with pytest.raises(DamagedInputError, match=f"{shape[1]} x {shape[0]} pixels") as caught:
        read_raw(path, load_camera()[55])
    assert "2144 x 4241" in str(caught.value)


def test_truncated(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "raw.fits", raw_pixels(165), cut_out_cards(165))
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(DamagedInputError):
        read_raw(path, load_camera()[55])


def test_truncated_gzip(tmp_path: Path) -> None:
    plain = write_raw(tmp_path / "raw.fits", raw_pixels(165), cut_out_cards(165))
    path = tmp_path / "raw.fits.gz"
    path.write_bytes(gzip.compress(plain.read_bytes())[:-1000])
    with pytest.raises(DamagedInputError):
        read_raw(path, load_camera()[55])


def test_a_header_that_promises_too_much_is_refused_without_taking_memory(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "raw.fits", raw_pixels(165), cut_out_cards(165))
    content = path.read_bytes().replace(b"NAXIS2  =                  165", b"NAXIS2  =          90000000000", 1)
    path.write_bytes(content)
    with pytest.raises(DamagedInputError):
        read_raw(path, load_camera()[55])


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.int32])
def test_other_pixel_types_are_refused(tmp_path: Path, dtype: type) -> None:
    path = write_raw(tmp_path / "raw.fits", np.zeros((165, 2144), dtype), cut_out_cards(165))
    with pytest.raises(DamagedInputError, match="BITPIX"):
        read_raw(path, load_camera()[55])


@pytest.mark.parametrize("packed", [False, True])
def test_a_flipped_bit_is_found_by_the_sum_of_the_data(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "raw.fits"
    hdu = fits.PrimaryHDU(raw_pixels(165))
    hdu.header.update({**cut_out_cards(165), "OBJECT": "M31"})
    hdu.writeto(path, checksum=True)
    content = bytearray(path.read_bytes())
    content[-300_000] ^= 1
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DamagedInputError, match=r"raw\.fits fails its checksum"):
        read_raw(path, load_camera()[55])
    # Headers of raws are corrected by people: their own sum is not held against them.
    content[-300_000] ^= 1
    path.write_bytes(bytes(content).replace(b"'M31     '", b"'M32     '"))
    assert read_raw(path, load_camera()[55]).header["OBJECT"] == "M32"


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_raw(tmp_path / "nowhere.fits", load_camera()[55])


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_after_the_image_does_not_move_the_pixels(tmp_path: Path, packed: bool) -> None:
    pixels = raw_pixels(165)
    image = fits.PrimaryHDU(pixels)
    image.header.update(cut_out_cards(165))
    table = fits.BinTableHDU.from_columns([fits.Column("n", "J", array=np.arange(5000))])
    path = tmp_path / "raw.fits"
    fits.HDUList([image, table]).writeto(path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(read_raw(path, load_camera()[55]).pixels, pixels[:, ::-1].astype(np.float32))
