from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hscbox.catalog.source_catalog import make_minimal_schema
from hscbox.detect.deblend import SourceDeblendConfig, SourceDeblendTask
from hscbox.detect.detection import SourceDetectionConfig, SourceDetectionTask, make_source_catalog
from hscbox.detect.footprints import Detections, find_footprints
from hscbox.detect.shoulders import add_shoulder_peaks, difference_energy
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.numerics.convolve import smooth

from .scenes import SIGMA, add_gaussian, exposure_of

SHAPE = (120, 130)
GALAXY = (60.2, 58.9)
FAINT = (69.0, 62.0)


def galaxy(flux: float = 400000.0, sigma: float = 4.5) -> np.ndarray:
    truth = np.zeros(SHAPE)
    add_gaussian(truth, *GALAXY, flux, sigma=sigma)
    return truth


def galaxy_with_shoulder() -> np.ndarray:
    truth = galaxy()
    add_gaussian(truth, *FAINT, 9000.0)
    return truth


def found_in(exposure: Exposure, significance: float, sigma: float = SIGMA) -> tuple[Detections, Detections]:
    """Return detections without and with the peaks on shoulders."""
    smoothed, border = smooth(exposure.image, sigma)
    plain = find_footprints(smoothed, 27.0, border=border)
    return plain, add_shoulder_peaks(
        plain, exposure.image, smoothed, exposure.variance, exposure.mask, sigma, significance
    )


def distances(found: Detections, x: float, y: float) -> np.ndarray:
    return np.hypot(found.peaks["f_x"] - x, found.peaks["f_y"] - y)


def test_source_on_a_shoulder_gets_a_peak() -> None:
    truth = galaxy_with_shoulder()
    # The premise: smoothing by the PSF leaves one maximum.
    noiseless = ndimage.gaussian_filter(truth, SIGMA)
    assert (noiseless[20:100, 20:110] == ndimage.maximum_filter(noiseless, 3)[20:100, 20:110]).sum() == 1
    hits = 0
    for seed in range(20):
        exposure = exposure_of(truth, seed=seed)
        plain, found = found_in(exposure, 4.0)
        near = distances(found, *FAINT) < 2.0
        hits += int(near.sum() == 1)
        # The peaks there were are all there, and first comes the brightest.
        assert np.isin(plain.peaks["peakValue"], found.peaks["peakValue"]).all()
        assert distances(found, *GALAXY)[0] < 2.5
        smoothed, _ = smooth(exposure.image, SIGMA)
        np.testing.assert_array_equal(found.peaks["peakValue"], smoothed[found.peaks["i_y"], found.peaks["i_x"]])
        assert found.peaks["id"].tolist() == list(range(1, len(found.peaks) + 1))
        for owner in range(found.n):
            assert (np.diff(found.peaks["peakValue"][found.peak_owner == owner]) <= 0).all()
    assert hits >= 19


@pytest.mark.parametrize(
    ("flux", "sigma"), [(60000.0, SIGMA), (3e6, SIGMA), (30000.0, 3.0), (1e6, 3.0), (300000.0, 4.5), (2e6, 4.5)]
)
def test_noise_on_a_lone_source_is_no_source(flux: float, sigma: float) -> None:
    truth = galaxy(flux, sigma)
    added = 0
    for seed in range(60):
        plain, found = found_in(exposure_of(truth, seed=seed), 4.0)
        added += len(found.peaks) - len(plain.peaks)
    assert added == 0


def test_zero_switches_it_off() -> None:
    exposure = exposure_of(galaxy_with_shoulder())
    plain, found = found_in(exposure, 0.0)
    assert found is plain
    smoothed, border = smooth(exposure.image, SIGMA)
    config = SourceDetectionConfig()
    config.reEstimateBackground = False
    config.thresholdType = "value"
    config.thresholdValue = 27.0
    config.nSigmaToGrow = 0.0
    config.shoulderSignificance = 0.0
    result = SourceDetectionTask(config, "t").run(exposure, sigma=SIGMA)
    expected = find_footprints(smoothed, 27.0, border=border).footprints()
    assert len(result.footprints) == len(expected)
    for footprint, other in zip(result.footprints, expected, strict=True):
        np.testing.assert_array_equal(footprint.peaks, other.peaks)
        np.testing.assert_array_equal(footprint.spans, other.spans)


def test_larger_significance_finds_fewer() -> None:
    rng = np.random.default_rng(3)
    truth = galaxy(1e7, 9.0)
    for _ in range(40):
        add_gaussian(truth, rng.uniform(30, 95), rng.uniform(30, 90), rng.uniform(1000, 9000))
    exposure = exposure_of(truth)
    numbers = [len(found_in(exposure, k)[1].peaks) for k in (2.0, 4.0, 8.0, 16.0, 200.0)]
    assert numbers[0] > numbers[1] > numbers[2] > numbers[3] > numbers[4]
    assert numbers == sorted(numbers, reverse=True)
    plain, found = found_in(exposure, 2.0)
    assert numbers[4] == len(plain.peaks)
    # No two peaks of which one is new lie within one FWHM.
    for peak in found.peaks:
        if peak["peakValue"] not in plain.peaks["peakValue"]:
            assert np.sort(distances(found, peak["f_x"], peak["f_y"]))[1] >= 2.35 * SIGMA


@pytest.mark.parametrize("plane", ["SAT", "INTRP", "CR", "BAD", "NO_DATA"])
def test_bad_pixels_have_no_new_peaks(plane: str) -> None:
    exposure = exposure_of(galaxy_with_shoulder(), seed=1)
    assert (distances(found_in(exposure, 4.0)[1], *FAINT) < 2.0).any()
    exposure.mask[60:65, 67:72] |= mask_bits(plane)
    plain, found = found_in(exposure, 4.0)
    assert len(found.peaks) == len(plain.peaks)


def test_energy_is_that_of_the_kernel() -> None:
    # Closed form for wide Gaussians: 1 / (4 pi s^2) each, 1 / (2 pi (s^2 + t^2)) for the product.
    s, t = 3.0, 4.5
    closed = 1 / (4 * np.pi * s * s) + 1 / (4 * np.pi * t * t) - 2 / (2 * np.pi * (s * s + t * t))
    assert difference_energy(s) == pytest.approx(closed, rel=0.02)
    noise = np.random.default_rng(1).normal(size=(600, 600)).astype(np.float32)
    difference = smooth(noise, SIGMA)[0] - smooth(noise, 1.5 * SIGMA)[0]
    assert np.nanvar(difference) == pytest.approx(difference_energy(SIGMA), rel=0.02)


def test_deblended_child_is_the_source() -> None:
    exposure = exposure_of(galaxy_with_shoulder(), seed=4)
    config = SourceDetectionConfig()
    config.reEstimateBackground = False
    schema = make_minimal_schema()
    deblend = SourceDeblendTask(SourceDeblendConfig(), "t", schema)
    found = SourceDetectionTask(config, "t").run(exposure)
    catalog = make_source_catalog(found.footprints, schema, 7)
    deblend.run(exposure, catalog)
    children = [f for f in catalog.footprints[len(found.footprints) :] if f.heavy.image.sum() > 0]
    near = [f for f in children if np.hypot(f.peaks["f_x"][0] - FAINT[0], f.peaks["f_y"][0] - FAINT[1]) < 2.0]
    assert len(near) == 1
