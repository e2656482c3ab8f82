"""Mask planes, metadata, zero points and the exposure itself."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.errors import ConfigError
from hscbox.fits.metadata import Metadata
from hscbox.image.calib_image import CalibImage
from hscbox.image.exposure import Exposure
from hscbox.image.mask import MASK_PLANES, mask_bits
from hscbox.image.photo_calib import PhotoCalib


def test_plane_numbers_are_the_published_ones() -> None:
    assert list(MASK_PLANES) == [
        "BAD",
        "SAT",
        "INTRP",
        "CR",
        "EDGE",
        "DETECTED",
        "DETECTED_NEGATIVE",
        "SUSPECT",
        "NO_DATA",
        "CROSSTALK",
        "NOT_DEBLENDED",
        "UNMASKEDNAN",
    ]
    assert list(MASK_PLANES.values()) == list(range(12))
    assert mask_bits("SAT", "CR") == 0b1010
    with pytest.raises(ConfigError, match="VIGNETTED"):
        mask_bits("VIGNETTED")


def test_metadata_keeps_order_comments_and_lists() -> None:
    metadata = Metadata({"B": 1})
    metadata.set("A", "x", "why")
    metadata.add("A", "y")
    metadata.add("C", 2.5)
    copy = metadata.copy()
    del metadata["B"]
    assert list(metadata) == ["A", "C"] and list(copy) == ["B", "A", "C"]
    assert metadata["A"] == ["x", "y"] and copy.comment("A") == "why"


def test_zero_point() -> None:
    calib = PhotoCalib.from_zero_point(27.0, 0.01)
    assert calib.flux_mag0 == pytest.approx(10**10.8)
    assert calib.zero_point == pytest.approx(27.0) and calib.zero_point_err == pytest.approx(0.01)
    assert calib.magnitude(100.0) == pytest.approx(22.0)
    magnitudes = calib.magnitude(np.array([1.0, 0.0, -5.0]))
    assert magnitudes[0] == pytest.approx(27.0) and np.isnan(magnitudes[1:]).all()
    assert calib.magnitude_err(np.array([1000.0]), np.array([10.0])) == pytest.approx(1.0857362e-2)
    with pytest.raises(ValueError):
        PhotoCalib(0.0)


def test_exposure_copy_has_its_own_pixels() -> None:
    shape = (3, 5)
    exposure = Exposure(np.ones(shape, np.float32), np.zeros(shape, np.int32), np.ones(shape, np.float32))
    copy = exposure.copy()
    copy.image[0, 0], copy.metadata["A"] = 7.0, 1
    assert exposure.image[0, 0] == 1.0 and "A" not in exposure.metadata
    assert (exposure.width, exposure.height) == (5, 3)
    with pytest.raises(ValueError, match="alike"):
        Exposure(np.ones(shape, np.float32), np.zeros((3, 4), np.int32), np.ones(shape, np.float32))


def test_calib_rows() -> None:
    image = np.arange(12, dtype=np.float32).reshape(4, 3)
    calib = CalibImage(image, variance=image + 1, name="BIAS.fits")
    assert np.array_equal(calib.rows(2).image, image[:2]) and calib.rows(2).mask is None
    assert calib.rows(2).variance is not None and calib.rows(2).name == "BIAS.fits"
