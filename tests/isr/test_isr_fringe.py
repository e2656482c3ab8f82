"""Fringe scale: medians against numpy, recovery of a known scale."""

from __future__ import annotations

import numpy as np
import pytest
from isr_frames import EXPOSURE_ID, calib
from lsst.pex.config import FieldValidationError

from hscbox.errors import DataError
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.box_levels import box_means, box_medians
from hscbox.isr.config import FringeConfig
from hscbox.isr.fringe import contrast, fit_fringe_scale, random_positions, subtract_fringes


def pattern(shape: tuple[int, ...], period: float = 20.0) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (0.01 * np.sin(2 * np.pi * (x + 0.4 * y) / period)).astype(np.float32)


@pytest.mark.parametrize("field", ["num", "small", "large"])
def test_impossible_boxes_are_refused(field: str) -> None:
    config = FringeConfig()
    config.validate()
    with pytest.raises(FieldValidationError):
        setattr(config, field, 0)
    config.small = config.large
    with pytest.raises(FieldValidationError, match="below large"):
        config.validate()


@pytest.mark.parametrize("half", [1, 3, 20])
def test_box_levels_equal_numpy(half: int) -> None:
    rng = np.random.default_rng(half)
    image = rng.normal(10.0, 3.0, (80, 120)).astype(np.float32)
    image[:, 60:] = np.round(image[:, 60:])  # ties
    image[10:14] *= 1e4
    usable = rng.random(image.shape) > 0.3
    usable[:45, :45] = False
    xs, ys = rng.integers(half, 120 - half, 300), rng.integers(half, 80 - half, 300)
    result, means = box_medians(image, usable, xs, ys, half), box_means(image, usable, xs, ys, half)
    empty = 0
    for k, (x, y) in enumerate(zip(xs, ys, strict=True)):
        box = np.s_[y - half : y + half, x - half : x + half]
        values = image[box][usable[box]].astype(np.float64)
        if values.size:
            assert result[k] == np.median(values)
            assert means[k] == pytest.approx(values.mean(), rel=1e-7, abs=1e-6)
        else:
            empty += 1
            assert np.isnan(result[k]) and np.isnan(means[k])
    assert empty > 0


@pytest.mark.parametrize("period", [20.0, 40.0, 94.0])
def test_scale_of_a_known_pattern_is_found_and_subtracted(exposure: Exposure, period: float) -> None:
    fringe = pattern(exposure.image.shape, period)
    exposure.image += 3000.0 * fringe
    exposure.image[40:60, 500:520] = 5e4
    exposure.mask[40:60, 500:520] = mask_bits("SAT")
    clean = exposure.image - 3000.0 * fringe
    fit = subtract_fringes(exposure, calib(fringe), EXPOSURE_ID)
    # The amplitude is that of the noise; one row in 33 of a CCD leaves about 1 per cent of uncertainty.
    assert fit.scale == pytest.approx(3000.0, rel=0.02)
    assert np.std(exposure.image - clean) < 0.02 * 3000 * 0.0071
    assert fit.n_used > 25000 and fit.n_positions == 30000


def test_fit_rejects_outliers_and_pedestal_is_optional() -> None:
    rng = np.random.default_rng(0)
    shape = rng.normal(0.0, 0.01, 4000)
    science = 700.0 * shape + 2.0 + rng.normal(0.0, 0.5, shape.size)
    science[::50] += 400.0
    science[7] = np.nan
    with_pedestal = fit_fringe_scale(science, shape, pedestal=True)
    assert with_pedestal.scale == pytest.approx(700.0, abs=5.0)
    assert with_pedestal.pedestal == pytest.approx(2.0, abs=0.05)
    assert with_pedestal.rms == pytest.approx(0.5, rel=0.1)
    assert fit_fringe_scale(science, shape).pedestal == 0.0


def test_contrast_of_a_linear_slope_is_nothing() -> None:
    y, x = np.mgrid[:100, :100]
    image = (5.0 + 0.5 * x - 0.25 * y).astype(np.float32)
    where = np.zeros(image.shape, np.int32), np.array([50, 40]), np.array([50, 61]), 3, 30
    for level in (box_medians, box_means):
        assert contrast(level, image, *where) == pytest.approx([0.0, 0.0], abs=1e-4)


def test_positions_depend_on_the_exposure_only_and_keep_the_box_inside() -> None:
    xs, ys = random_positions(EXPOSURE_ID, 5000, 30, (128, 2048))
    again = random_positions(EXPOSURE_ID, 5000, 30, (128, 2048))
    assert np.array_equal(xs, again[0]) and np.array_equal(ys, again[1])
    assert xs.min() == 30 and xs.max() == 2048 - 31 and ys.min() == 30 and ys.max() == 128 - 31
    assert not np.array_equal(xs, random_positions(EXPOSURE_ID + 1, 5000, 30, (128, 2048))[0])


def test_hopeless_cases_are_named(exposure: Exposure) -> None:
    with pytest.raises(DataError, match="too small"):
        random_positions(1, 10, 30, (60, 2048))
    with pytest.raises(DataError, match="0 of 30000"):
        exposure.mask[:] = mask_bits("SAT")
        subtract_fringes(exposure, calib(pattern(exposure.image.shape)), EXPOSURE_ID)
    with pytest.raises(DataError, match="contrast"):
        fit_fringe_scale(np.ones(50), np.zeros(50))
