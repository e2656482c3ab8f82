from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hscbox.image.mask import mask_bits
from hscbox.image.thumbnail import bin_image, make_thumbnail, stretch
from hscbox.products.thumbnail import write_png


def test_binning_means_and_unites() -> None:
    image = np.arange(8 * 13, dtype=np.float32).reshape(8, 13)
    mask = np.zeros((8, 13), dtype=np.int32)
    mask[1, 6], mask[2, 5] = 1, 4
    pixels, bits = bin_image(image, mask, 4)
    assert pixels.shape == (2, 3)
    assert pixels[1, 2] == image[4:8, 8:12].mean()
    assert bits.tolist() == [[0, 5, 0], [0, 0, 0]]


def test_stretch_follows_the_formula() -> None:
    # 17.66 asinh(4 x), truncated.
    values = np.array([-1.0, 0.0, 1.0, 10.0, 1e9])
    expected = [
        0,
        0,
        int(25.5 / np.arcsinh(2.0) * np.arcsinh(4.0)),
        int(25.5 / np.arcsinh(2.0) * np.arcsinh(40.0)),
        255,
    ]
    assert stretch(values + 7.0, 7.0).tolist() == expected


def test_thumbnail_of_noise_and_a_saturated_star() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(100.0, 40.0, (240, 200)).astype(np.float32)
    mask = np.zeros(image.shape, dtype=np.int32)
    y, x = np.mgrid[:240, :200]
    image += (5e4 * np.exp(-((x - 100) ** 2 + (y - 60) ** 2) / 72)).astype(np.float32)
    core = (x - 100) ** 2 + (y - 60) ** 2 < 36
    image[core], mask[core] = 0.0, mask_bits("SAT")
    thumbnail = make_thumbnail(image, mask)
    assert thumbnail.shape == (60, 50) and thumbnail.dtype == np.uint8
    assert thumbnail[15, 25] == thumbnail.max(), "saturated core takes the brightest value"
    # Sky at 3 sigma above black; binning makes sigma 10 ADU: 17.66 asinh(4 * 30) = 96.
    assert np.median(thumbnail) == pytest.approx(96, abs=4)


def test_nothing_good_is_black() -> None:
    image = np.full((8, 8), 5.0, dtype=np.float32)
    assert make_thumbnail(image, np.full((8, 8), mask_bits("BAD"), np.int32)).tolist() == [[0, 0], [0, 0]]


def test_png(tmp_path: Path) -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(3, 2) * 40
    write_png(tmp_path / "thumb.png", grey)
    picture = Image.open(tmp_path / "thumb.png")
    assert picture.mode == "RGBA" and picture.size == (2, 3)
    assert picture.getpixel((1, 0)) == (40, 40, 40, 255), "row 0 is at the top"
    write_png(tmp_path / "again.png", grey)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "thumb.png").read_bytes()
