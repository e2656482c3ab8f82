from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from hscbox.catalog.source_catalog import make_minimal_schema
from hscbox.detect.detection import SourceDetectionConfig, SourceDetectionTask, make_source_catalog
from hscbox.errors import DataError
from hscbox.image.mask import mask_bits
from hscbox.products.catalog import read_catalog, write_catalog

from .scenes import SIGMA, add_gaussian, exposure_of


def starfield(flux: float) -> tuple[np.ndarray, np.ndarray]:
    """Return noiseless counts and (n, 2) positions of stars on a jittered grid."""
    rng = np.random.default_rng(7)
    truth = np.zeros((500, 420))
    grid = np.stack(np.meshgrid(np.arange(25, 400, 25.0), np.arange(25, 480, 25.0)), axis=-1).reshape(-1, 2)
    positions = grid + rng.uniform(-4, 4, grid.shape)
    for x, y in positions:
        add_gaussian(truth, x, y, flux)
    return truth, positions


def peaks_of(footprints: list) -> np.ndarray:
    return np.array([[p["f_x"], p["f_y"]] for f in footprints for p in f.peaks])


def test_all_stars_and_nothing_else_is_found() -> None:
    # Noise of the matched filter: 25 * 2 sqrt(pi) * 1.3 = 115 counts of flux; these stars are at 15 sigma.
    truth, positions = starfield(1730.0)
    result = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure_of(truth))
    peaks = peaks_of(result.footprints)
    assert cKDTree(peaks).query(positions)[0].max() < 2.0
    assert len(peaks) == len(positions)


def test_half_of_the_stars_at_the_threshold_are_found() -> None:
    truth, positions = starfield(5 * 115.0)
    config = SourceDetectionConfig()
    config.reEstimateBackground = False
    result = SourceDetectionTask(config, "t").run(exposure_of(truth))
    found = cKDTree(positions).query(peaks_of(result.footprints))[0] < 2.5
    # The brightest pixel near the star, not the pixel of the star, is compared: more than half.
    assert 0.35 < found.sum() / len(positions) < 0.9


def test_numbers_mask_and_background() -> None:
    truth, _ = starfield(40000.0)
    exposure = exposure_of(truth + 11.0)
    exposure.mask[200:210, 200:210] |= mask_bits("DETECTED", "DETECTED_NEGATIVE")
    config = SourceDetectionConfig()
    # Gaussian stars have no wings.
    config.background.wingStrength = 0.0
    result = SourceDetectionTask(config, "t").run(exposure)
    assert result.sigma == pytest.approx(SIGMA, rel=1e-3)
    assert (result.n_grow, result.kernel_width) == (3, 9)
    # White noise of 25 smoothed by the Gaussian: 25 / (2 sqrt(pi) sigma).
    assert result.threshold == pytest.approx(5 * 25 / (2 * np.sqrt(np.pi) * SIGMA), rel=0.1)
    detected = np.zeros(truth.shape, bool)
    for footprint in result.footprints:
        detected[footprint.indices()] = True
    np.testing.assert_array_equal((exposure.mask & mask_bits("DETECTED")) != 0, detected)
    assert not (exposure.mask & mask_bits("DETECTED_NEGATIVE")).any()
    edge = np.ones(truth.shape, bool)
    edge[4:-4, 4:-4] = False
    np.testing.assert_array_equal((exposure.mask & mask_bits("EDGE")) != 0, edge)
    assert result.background is not None
    assert result.background.evaluate().mean() == pytest.approx(11.0, abs=0.5)
    assert np.median(exposure.image[~detected]) == pytest.approx(0.0, abs=0.5)


def test_dark_pixels_protect_the_background_but_are_no_sources() -> None:
    truth = np.zeros((300, 300))
    truth[100:140, 100:140] = -5000.0
    exposure = exposure_of(np.zeros((300, 300)))
    exposure.image += truth.astype(np.float32)
    result = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure)
    assert result.n_negative == 1 and not result.footprints
    assert np.abs(np.median(exposure.image[150:])) < 2.0


def test_include_multiplier_and_log(caplog: pytest.LogCaptureFixture) -> None:
    truth = np.zeros((200, 200))
    add_gaussian(truth, 60, 60, 40 * 115.0)
    add_gaussian(truth, 140, 140, 80 * 115.0)
    config = SourceDetectionConfig()
    config.includeThresholdMultiplier = 10.0
    config.background.binSize = 20
    with caplog.at_level(logging.INFO):
        result = SourceDetectionTask(config, "processCcd.charImage.detection").run(exposure_of(truth))
    assert [round(float(p[0])) for p in peaks_of(result.footprints)] == [140]
    assert caplog.messages == [
        "Detected 1 positive source to 50 sigma.",
        "Resubtracting the background after object detection",
    ]
    assert {record.name for record in caplog.records} == {"processCcd.charImage.detection"}


def test_footprints_are_the_grown_threshold_set() -> None:
    truth, _ = starfield(9000.0)
    exposure = exposure_of(truth)
    config = SourceDetectionConfig()
    config.reEstimateBackground = False
    result = SourceDetectionTask(config, "t").run(exposure)
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / result.sigma) ** 2)
    kernel /= kernel.sum()
    smoothed = ndimage.convolve1d(ndimage.convolve1d(exposure.image.astype(float), kernel, axis=0), kernel, axis=1)
    above = smoothed >= result.threshold
    above[:4] = above[-4:] = False
    above[:, :4] = above[:, -4:] = False
    y, x = np.mgrid[-3:4, -3:4]
    expected = ndimage.binary_dilation(above, structure=x * x + y * y <= 9)
    # Single precision decides a few pixels that lie on the threshold.
    assert ((exposure.mask & mask_bits("DETECTED") != 0) != expected).sum() <= 60


def test_masked_image_is_an_error() -> None:
    exposure = exposure_of(np.zeros((100, 100)))
    exposure.mask |= np.int32(mask_bits("NO_DATA"))
    with pytest.raises(DataError, match="0 pixels without BAD, SAT, EDGE, NO_DATA"):
        SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure)


def test_catalogue_ids() -> None:
    truth = np.zeros((200, 200))
    for x, y in ((150, 40), (40, 90), (100, 150)):
        add_gaussian(truth, x, y, 90000.0)
    result = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure_of(truth))
    catalog = make_source_catalog(result.footprints, make_minimal_schema(), 40984 * 200 + 55)
    assert catalog["id"].tolist() == [35205224155054081, 35205224155054082, 35205224155054083]
    # Lowest row first.
    assert [int(f.peaks["i_x"][0]) for f in catalog.footprints] == [150, 40, 100]


def test_footprints_survive_the_catalogue_file(tmp_path: Path) -> None:
    truth, _ = starfield(3000.0)
    found = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure_of(truth)).footprints
    write_catalog(tmp_path / "SRC.fits", make_source_catalog(found, make_minimal_schema(), 7))
    read = read_catalog(tmp_path / "SRC.fits").footprints
    assert len(read) == len(found) > 200
    for before, after in zip(found, read, strict=True):
        assert after is not None
        np.testing.assert_array_equal(after.spans, before.spans)
        np.testing.assert_array_equal(after.peaks, before.peaks)


def test_empty_field_has_no_sources() -> None:
    exposure = exposure_of(np.zeros((600, 600)))
    result = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure)
    # 5 sigma of 10^5 independent places: 0.03 by chance.
    assert len(result.footprints) <= 1
    assert np.mean(exposure.image) == pytest.approx(0.0, abs=0.2)


def test_half_without_data_is_left_alone() -> None:
    truth, positions = starfield(4000.0)
    exposure = exposure_of(truth)
    exposure.image[:, :210] = np.nan
    exposure.mask[:, :210] |= np.int32(mask_bits("NO_DATA"))
    result = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure)
    # Smoothing reaches 4 pixels.
    lit = positions[positions[:, 0] > 216]
    peaks = peaks_of(result.footprints)
    assert peaks[:, 0].min() >= 214
    assert cKDTree(peaks).query(lit)[0].max() < 2.0
    sky = exposure.mask & mask_bits("DETECTED", "NO_DATA") == 0
    assert np.abs(np.median(exposure.image[sky])) < 1.0


def test_amplifier_at_zero_makes_no_sources() -> None:
    truth, positions = starfield(4000.0)
    exposure = exposure_of(truth)
    exposure.image[:, 105:210] = 0.0
    exposure.variance[:, 105:210] = 0.0
    exposure.mask[:, 105:210] |= np.int32(mask_bits("BAD"))
    peaks = peaks_of(SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure).footprints)
    assert not ((peaks[:, 0] > 110) & (peaks[:, 0] < 205)).any()
    outside = (positions[:, 0] < 100) | (positions[:, 0] > 215)
    assert cKDTree(peaks).query(positions[outside])[0].max() < 2.0


def test_galaxy_over_a_third_of_the_field() -> None:
    truth, positions = starfield(4000.0)
    y, x = np.indices(truth.shape)
    radius = np.hypot(x - 120, y - 130)
    exposure = exposure_of(truth + 3e4 * np.exp(-radius / 22.0))
    result = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure)
    assert max(f.area for f in result.footprints) > 0.2 * truth.size
    far = positions[np.hypot(positions[:, 0] - 120, positions[:, 1] - 130) > 200]
    assert cKDTree(peaks_of(result.footprints)).query(far)[0].max() < 2.0
    assert np.median(exposure.image[radius > 250]) == pytest.approx(0.0, abs=2.5)


def test_star_of_tenth_magnitude() -> None:
    """2 x 10^9 ADU with an aureole, saturated in the middle, on a field of faint stars."""
    truth, positions = starfield(4000.0)
    y, x = np.indices(truth.shape)
    radius = np.hypot(x - 210, y - 250)
    # The aureole of 2017's PSF: flux 0.2 r^(-11/3); nothing above the full well.
    star = np.minimum(4e8 * np.maximum(radius, 1.0) ** (-11 / 3), 5e4)
    exposure = exposure_of(truth + star)
    exposure.mask[star >= 5e4] |= np.int32(mask_bits("SAT"))
    result = SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure)
    far = positions[np.hypot(positions[:, 0] - 210, positions[:, 1] - 250) > 120]
    assert cKDTree(peaks_of(result.footprints)).query(far)[0].max() < 2.0
    # 4e8 * 230^(-11/3) = 0.9 ADU of its light are left at 230 pixels.
    assert np.median(exposure.image[radius > 230]) == pytest.approx(0.5, abs=2.5)


def test_frame_smaller_than_the_kernel_is_an_error() -> None:
    with pytest.raises(DataError, match="over 0 pixels"):
        SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure_of(np.zeros((8, 40))))


@pytest.mark.parametrize("plane", ["NO_DATA", "BAD"])
def test_unknown_pixels_make_no_sources(plane: str) -> None:
    truth, positions = starfield(1730.0)
    exposure = exposure_of(truth)
    exposure.mask[:, 210:] |= mask_bits(plane)
    exposure.image[:, 210:] = 500.0 * np.random.default_rng(3).standard_normal((500, 210)).astype(np.float32)
    peaks = peaks_of(SourceDetectionTask(SourceDetectionConfig(), "t").run(exposure).footprints)
    assert peaks[:, 0].max() < 210
    # What the flat left there is not smoothed into the lit part; a star at its border may lose half of its light.
    lit = positions[positions[:, 0] < 207]
    assert cKDTree(peaks).query(lit)[0].max() < 2.0
    assert abs(len(peaks) - len(lit)) <= np.count_nonzero(np.abs(positions[:, 0] - 210) < 3)
