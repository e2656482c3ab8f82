"""Bias, variance, linearity, dark, flat, BAD regions, NaNs, gains: closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from isr_frames import calib
from numpy.testing import assert_allclose

from hscbox.camera.boxes import Box
from hscbox.camera.detector import Detector
from hscbox.errors import DamagedInputError, MissingInputError
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.bad_regions import fill_bad_regions
from hscbox.isr.bias import subtract_bias
from hscbox.isr.dark import subtract_dark
from hscbox.isr.defects import interpolate_defects
from hscbox.isr.flat import divide_by_flat
from hscbox.isr.gains import add_electrons, column_gains, electrons_of
from hscbox.isr.inputs import fitting_calib
from hscbox.isr.linearity import linearize
from hscbox.isr.nans import interpolate_nans
from hscbox.isr.variance import set_variance

BAD, INTRP, NO_DATA = mask_bits("BAD"), mask_bits("INTRP"), mask_bits("NO_DATA")


def ramp(exposure: Exposure, low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, exposure.image.size, dtype=np.float32).reshape(exposure.image.shape)


def test_bias(exposure: Exposure) -> None:
    before = exposure.copy()
    mask = np.zeros(exposure.mask.shape, np.int32)
    mask[3, 4] = BAD
    bias = ramp(exposure, -2.0, 3.0)
    subtract_bias(exposure, calib(bias, mask=mask, variance=np.full(mask.shape, 0.5, np.float32)))
    assert_allclose(exposure.image, before.image - bias, rtol=0, atol=1e-4)
    assert_allclose(exposure.variance, before.variance + 0.5, rtol=1e-6, atol=0)
    assert np.argwhere(exposure.mask == BAD).tolist() == [[3, 4]]


def test_variance_is_photon_plus_read_noise_in_adu(exposure: Exposure, detector: Detector) -> None:
    exposure.image[5, 600] = -100.0
    set_variance(exposure, detector)
    for amp in detector.amplifiers:
        area = amp.trimmed.slices
        expected = exposure.image[area].astype(float) / amp.gain + amp.read_noise**2
        assert_allclose(exposure.variance[area], expected, rtol=1e-6, atol=1e-4)
    assert exposure.variance[5, 600] < 0
    amps = (dataclasses.replace(detector.amplifiers[0], gain=float("nan")), *detector.amplifiers[1:])
    exposure.variance[:] = 1.0
    set_variance(exposure, dataclasses.replace(detector, amplifiers=amps))
    assert np.all(exposure.variance[:, :512] == 1.0) and exposure.variance[0, 512] > 100


def test_linearity(exposure: Exposure, detector: Detector) -> None:
    exposure.image *= 20.0
    before = exposure.copy()
    assert linearize(exposure, detector)
    for amp in detector.amplifiers:
        area = amp.trimmed.slices
        raw = before.image[area].astype(float)
        assert_allclose(exposure.image[area], raw * (1 + amp.linearity_c0 * raw), rtol=3e-7, atol=0)
    assert np.array_equal(exposure.variance, before.variance)
    amps = tuple(dataclasses.replace(amp, linearity_type="None") for amp in detector.amplifiers)
    assert not linearize(before, dataclasses.replace(detector, amplifiers=amps))


def test_dark_is_per_second(exposure: Exposure) -> None:
    before = exposure.copy()
    dark = ramp(exposure, 0.0, 0.01)
    subtract_dark(exposure, calib(dark, variance=dark), 300.0)
    assert_allclose(exposure.image, before.image - 300 * dark, rtol=0, atol=2e-4)
    assert_allclose(exposure.variance, before.variance + 90000 * dark, rtol=1e-5, atol=0)
    for wrong in (float("nan"), -1.0):
        with pytest.raises(DamagedInputError):
            subtract_dark(exposure, calib(dark), wrong)


def test_flat_propagates_both_variances(exposure: Exposure) -> None:
    before = exposure.copy()
    flat = ramp(exposure, 0.5, 1.2)
    flat_variance = ramp(exposure, 1e-6, 4e-6)
    mask = np.zeros(flat.shape, np.int32)
    mask[:2] = NO_DATA
    divide_by_flat(exposure, calib(flat, mask=mask, variance=flat_variance))
    image, variance, response = (plane.astype(float) for plane in (before.image, before.variance, flat))
    assert_allclose(exposure.image, image / response, rtol=1e-6, atol=0)
    expected = (variance + image**2 * flat_variance / response**2) / response**2
    assert_allclose(exposure.variance, expected, rtol=1e-5, atol=0)
    assert np.all(exposure.mask[:2] == NO_DATA) and not exposure.mask[2:].any()
    divide_by_flat(before, calib(flat))
    assert_allclose(before.variance, variance / response**2, rtol=1e-6, atol=0)


def test_zero_and_nan_in_the_flat_end_as_flagged_interpolation(exposure: Exposure) -> None:
    flat = np.ones(exposure.image.shape, np.float32)
    flat[10, 20], flat[11, 30], flat[12, 40] = 0.0, np.nan, np.inf
    exposure.image[:] = 500.0
    divide_by_flat(exposure, calib(flat))
    assert interpolate_nans(exposure) == 2
    flagged = np.argwhere(exposure.mask == (mask_bits("UNMASKEDNAN") | INTRP)).tolist()
    assert flagged == [[10, 20], [11, 30]]
    assert exposure.image[10, 20] == pytest.approx(500.0) and exposure.image[11, 30] == pytest.approx(500.0)
    assert np.all(np.isfinite(exposure.variance))
    assert interpolate_nans(exposure) == 0


def test_defects_are_bad_and_interpolated(exposure: Exposure, detector: Detector) -> None:
    exposure.image[:] = 77.0
    exposure.image[5:9, 100:102] = 4e4
    n = interpolate_defects(exposure, [Box(100, 5, 2, 4), Box(2040, 120, 50, 50), Box(3000, 0, 5, 5)], detector)
    assert n == 8 + 8 * 8
    assert np.all(exposure.mask[5:9, 100:102] == (BAD | INTRP)) and np.count_nonzero(exposure.mask) == n
    assert_allclose(exposure.image, 77.0, rtol=1e-6, atol=0)


def test_bad_regions_get_the_clipped_mean_unless_interpolated(exposure: Exposure) -> None:
    exposure.image[:] = 10.0
    exposure.mask[0, :3] = [BAD, BAD | INTRP, mask_bits("SAT")]
    exposure.image[0, :3] = [900.0, 800.0, 700.0]
    assert fill_bad_regions(exposure) == (1, 10.0)
    assert exposure.image[0, :3].tolist() == [10.0, 800.0, 700.0]
    assert fill_bad_regions(exposure, "MEDIAN") == (1, 10.0)
    exposure.mask |= BAD
    assert fill_bad_regions(exposure)[0] == 0


def test_gains_and_back(exposure: Exposure, detector: Detector) -> None:
    exposure.image[0, :3] = [np.nan, np.inf, -np.inf]
    gains = column_gains(detector)
    electrons = electrons_of(exposure.image, gains)
    assert electrons[0, :3].tolist() == [electrons[0, 3]] * 3
    amp = detector.amplifiers[3]
    assert_allclose(electrons[amp.trimmed.slices], exposure.image[amp.trimmed.slices] * amp.gain, rtol=1e-6, atol=0)
    image = np.zeros_like(exposure.image)
    add_electrons(image, electrons, gains)
    assert_allclose(image[1:], exposure.image[1:], rtol=1e-6, atol=0)
    amps = (dataclasses.replace(detector.amplifiers[0], gain=float("nan")), *detector.amplifiers[1:])
    unknown = column_gains(dataclasses.replace(detector, amplifiers=amps))
    assert (unknown[:512] == 1.0).all() and np.array_equal(unknown[512:], gains[512:])


def test_masters_are_cut_or_refused() -> None:
    master = calib(np.arange(60.0).reshape(6, 10), "BIAS-2015-10-10-055.fits")
    assert fitting_calib(master, "bias", (6, 10)) is master
    assert fitting_calib(master, "bias", (4, 10)).image.tolist() == master.image[:4].tolist()
    for shape in ((7, 10), (6, 9), (6, 11)):
        with pytest.raises(DamagedInputError, match="BIAS-2015-10-10-055"):
            fitting_calib(master, "bias", shape)
    with pytest.raises(MissingInputError, match="Unable to retrieve dark"):
        fitting_calib(None, "dark", (6, 10))
