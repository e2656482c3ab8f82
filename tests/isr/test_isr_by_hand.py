"""Small parts of the corrections with numbers worked out by hand, and what can be set."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable

import numpy as np
import pytest
from settings import numbers

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.detector import Detector
from hscbox.image.exposure import Exposure
from hscbox.isr.brighter_fatter import _sum_of_absolutes, brighter_fatter_correction
from hscbox.isr.config import IsrConfig
from hscbox.isr.fringe import _inliers, fit_fringe_scale, subtract_fringes
from hscbox.isr.gains import add_electrons, electrons_of
from hscbox.isr.linearity import linearize
from hscbox.isr.overscan import fit_overscan, overscan_level
from hscbox.isr.sky_level import measure_sky_level


def test_numbers_of_the_configuration() -> None:
    assert numbers(IsrConfig) == {
        "overscanOrder": (30, 0, None),
        "brighterFatterMaxIter": (10, 1, None),
        "growSaturationFootprintSize": (1, 0, None),
        "fringe.num": (30000, 1, None),
        "fringe.small": (3, 1, None),
        "fringe.large": (30, 1, None),
        "qa.flatness.meshX": (256, 1, None),
        "qa.flatness.meshY": (256, 1, None),
    }


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (
            brighter_fatter_correction,
            {
                "max_iter": "brighterFatterMaxIter",
                "threshold": "brighterFatterThreshold",
                "conserve": "brighterFatterConserveCharge",
            },
        ),
        (
            overscan_level,
            {
                "fit_type": "overscanFitType",
                "order": "overscanOrder",
                "max_deviation": "overscanMaxDev",
                "reject": "overscanRej",
            },
        ),
        (fit_overscan, {"fit_type": "overscanFitType", "order": "overscanOrder"}),
        (
            measure_sky_level,
            {
                "mesh_x": "qa.flatness.meshX",
                "mesh_y": "qa.flatness.meshY",
                "n_sigma": "qa.flatness.clipSigma",
                "n_iter": "qa.flatness.nIter",
            },
        ),
        (subtract_fringes, {n: f"fringe.{n}" for n in ("num", "small", "large", "iterations", "clip", "pedestal")}),
        (fit_fringe_scale, {n: f"fringe.{n}" for n in ("iterations", "clip", "pedestal")}),
    ],
)
def test_what_a_function_takes_by_itself_is_what_is_configured(function: Callable, names: dict[str, str]) -> None:
    parameters = inspect.signature(function).parameters
    configured = IsrConfig().toDict()
    for name, path in names.items():
        value = configured
        for part in path.split("."):
            value = value[part]
        assert parameters[name].default == value


@pytest.mark.parametrize("place", [0, 1, 6, 7])
def test_holes_take_the_value_beside_them(place: int) -> None:
    image = np.full((3, 8), np.nan, np.float32)
    image[0, place], image[1, [2, 5]] = 30.0, [10.0, np.inf]
    gains = np.full(8, 2.0, np.float32)
    electrons = electrons_of(image, gains)
    assert electrons.tolist() == [[60.0] * 8, [20.0] * 8, [0.0] * 8]
    image[1, 5] = 40.0
    assert electrons_of(image, gains)[1].tolist() == [20.0] * 5 + [80.0] * 3
    add_electrons(electrons, np.full((3, 8), 3.0, np.float32), gains)
    assert electrons[2].tolist() == [1.5] * 8


@pytest.mark.parametrize("n", range(10))
def test_sums_of_absolute_changes(n: int) -> None:
    values = np.random.default_rng(n).normal(0.0, 1e3, n).astype(np.float32)
    assert _sum_of_absolutes(values) == pytest.approx(np.abs(values.astype(float)).sum(), rel=1e-12)


def test_outliers_are_those_far_from_the_median() -> None:
    # Quartiles of 0 to 104 are 26 and 78: the limit is 3 x 0.74 x 52 = 115.4 from the median, 52.
    values = np.concatenate([np.arange(2.0, 103.0), [-63.0, -64.0, 167.0, 168.0, np.nan]])
    assert np.flatnonzero(~_inliers(values, 3.0)).tolist() == [102, 104, 105]
    assert not _inliers(np.full(3, np.nan), 3.0).any()


@pytest.mark.parametrize(("rows", "iterations"), [(18, 0), (19, 2)])
def test_frames_of_the_kernel_and_its_border_have_no_pixel_to_correct(rows: int, iterations: int) -> None:
    # The kernel has 17 rows: half of it and one pixel, 9, are the border on either side.
    image = np.random.default_rng(1).normal(6400.0, 80.0, (rows, 60)).astype(np.float32)
    fit = brighter_fatter_correction(image, brighter_fatter_kernel(), threshold=1.0)
    assert fit.iterations == iterations and fit.correction.any() == bool(iterations)


def test_an_amplifier_without_coefficient_stays_as_it_is(detector: Detector, exposure: Exposure) -> None:
    coefficients = (0.0, 1e-6, 1.0, -2e-7)
    amps = tuple(
        dataclasses.replace(amp, linearity_type="PROPORTIONAL", linearity_c0=c)
        for amp, c in zip(detector.amplifiers, coefficients, strict=True)
    )
    exposure.image[:, 5] = np.inf
    before = exposure.image.astype(float)
    assert linearize(exposure, dataclasses.replace(detector, amplifiers=amps))
    for amp, c in zip(amps, coefficients, strict=True):
        part = before[amp.trimmed.slices]
        with np.errstate(invalid="ignore"):
            expected = part * (1 + c * part) if c else part
        assert exposure.image[amp.trimmed.slices] == pytest.approx(expected, rel=1e-6)
