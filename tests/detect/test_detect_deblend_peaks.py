from __future__ import annotations

import numpy as np
import pytest

from hscbox.catalog.footprint import PEAK_DTYPE, Footprint
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.detect.deblend import SourceDeblendConfig, SourceDeblendTask
from hscbox.detect.deblend_peaks import contrast_kernel, join_saturated_peaks, significant_peaks
from hscbox.detect.detection import SourceDetectionConfig, SourceDetectionTask, make_source_catalog
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.numerics.convolve import smooth

from .scenes import SIGMA, add_exponential, add_gaussian, add_moffat, exposure_of

SHAPE = (160, 160)


def deblend(exposure: Exposure, **options: object) -> SourceCatalog:
    config, schema = SourceDeblendConfig(), make_minimal_schema()
    for name, value in options.items():
        setattr(config, name, value)
    detection = SourceDetectionConfig()
    detection.reEstimateBackground = False
    detection.thresholdType = "value"
    # 5 standard deviations of the sky of 25 ADU behind the smoothing.
    detection.thresholdValue = 5 * 25.0 / np.sqrt(4 * np.pi * SIGMA**2)
    task = SourceDeblendTask(config, "t", schema)
    catalog = make_source_catalog(SourceDetectionTask(detection, "t").run(exposure).footprints, schema, 7)
    task.run(exposure, catalog)
    return catalog


def leaves(catalog: SourceCatalog) -> np.ndarray:
    """Return x and y of the peaks of childless rows, (n, 2)."""
    rows = np.flatnonzero(catalog["deblend_nChild"] == 0)
    return np.array([(catalog.footprints[r].peaks["i_x"][0], catalog.footprints[r].peaks["i_y"][0]) for r in rows])


def whole(exposure: Exposure, peaks: list[tuple[int, int]]) -> Footprint:
    """Return all of the image as a footprint."""
    rows = np.arange(exposure.height)
    spans = np.stack([rows, np.zeros_like(rows), np.full_like(rows, exposure.width - 1)], axis=1).astype(np.int32)
    table = np.zeros(len(peaks), PEAK_DTYPE)
    table["i_x"], table["i_y"] = np.transpose(peaks)
    table["f_x"], table["f_y"] = np.transpose(peaks)
    return Footprint(spans, table)


def test_kernel_sees_neither_level_nor_slope() -> None:
    kernel = contrast_kernel(SIGMA)
    offset = np.arange(len(kernel)) - len(kernel) // 2
    assert abs(kernel.sum()) < 1e-12
    assert abs((kernel * offset).sum()) < 1e-12
    noise = np.random.default_rng(1).normal(size=(600, 600)).astype(np.float32)
    difference = smooth(noise, SIGMA)[0] - smooth(noise, 1.5 * SIGMA)[0]
    assert np.nanvar(difference) == pytest.approx((kernel**2).sum(), rel=0.02)


def test_noise_on_the_wing_of_a_galaxy_is_no_object() -> None:
    truth = np.zeros(SHAPE)
    add_exponential(truth, 80.2, 79.7, 4e5, 10.0)
    before = after = 0
    for seed in range(6):
        exposure = exposure_of(truth, seed=seed)
        before += len(leaves(deblend(exposure.copy(), minPeakSignificance=0.0))) - 1
        positions = leaves(deblend(exposure))
        after += len(positions) - 1
        assert np.hypot(*(positions - (80.2, 79.7)).T).min() < 2.0
    assert before > 30
    assert after < 0.2 * before


def test_star_on_the_wing_of_a_galaxy_stays() -> None:
    truth = np.zeros(SHAPE)
    add_exponential(truth, 80.2, 79.7, 4e5, 10.0)
    # S/N 12 to 14 where the galaxy has 20 to 90 ADU a pixel.
    stars = [(100.3, 80.1), (79.0, 52.2), (60.4, 95.3), (97.7, 98.0)]
    for star in stars:
        add_gaussian(truth, *star, 1700.0)
    for seed in range(4):
        positions = leaves(deblend(exposure_of(truth, seed=seed)))
        for star in stars:
            assert np.hypot(*(positions - star).T).min() < 2.0


def test_brightest_peak_stays_and_order_is_kept() -> None:
    truth = np.zeros((60, 60))
    add_gaussian(truth, 40, 40, 20000.0)
    add_gaussian(truth, 15, 15, 9000.0)
    exposure = exposure_of(truth)
    footprint = whole(exposure, [(30, 5), (40, 40), (5, 50), (15, 16), (50, 12)])
    kept = significant_peaks(exposure.image, exposure.variance, footprint, contrast_kernel(SIGMA), 6.0)
    assert list(zip(kept.peaks["i_x"], kept.peaks["i_y"], strict=True)) == [(30, 5), (40, 40), (15, 16)]
    np.testing.assert_array_equal(kept.spans, footprint.spans)
    # Without variance there is no judging.
    blind = significant_peaks(exposure.image, exposure.variance * 0, footprint, contrast_kernel(SIGMA), 6.0)
    assert len(blind.peaks) == 5


def saturated_star(x: int, y: int, shape: tuple[int, int] = (160, 120)) -> Exposure:
    """Return a bright star with a flat saturated core and a trail, as interpolation leaves it."""
    truth = np.zeros(shape)
    add_moffat(truth, x, y, 3e6)
    add_gaussian(truth, x + 24.0, y + 3.0, 8000.0)
    exposure = exposure_of(truth)
    rows, columns = np.indices(shape)
    core = np.hypot(columns - x, rows - y) < 4.5
    trail = (abs(columns - x) <= 1) & (rows >= y - 21) & (rows <= y + 17)
    exposure.image[core] = 12000.0
    # Interpolated trails have bumps at their ends, and cores at their rim.
    for bump in ((x, y + 18), (x, y - 22), (x, y + 12), (x - 4, y - 3), (x + 4, y + 3), (x + 3, y - 4)):
        extra = np.zeros(shape)
        add_gaussian(extra, *bump, 30000.0)
        exposure.image += extra.astype(np.float32)
    exposure.mask[core | trail] |= mask_bits("SAT", "INTRP")
    return exposure


def test_saturated_star_is_one_object() -> None:
    exposure = saturated_star(60, 80)
    before = leaves(deblend(exposure.copy(), joinSaturatedPeaks=False))
    assert len(before) >= 6
    positions = leaves(deblend(exposure))
    near = np.hypot(*(positions - (60, 80)).T)
    assert near.min() <= 1.0
    # The star and its true neighbour.
    assert len(positions) == 2
    assert np.hypot(*(positions - (84, 83)).T).min() < 2.0


def test_stars_with_separate_cores_stay_two() -> None:
    exposure = saturated_star(40, 80)
    exposure.mask[75:86, 70:81] |= mask_bits("SAT")
    footprint = whole(exposure, [(40, 81), (75, 80), (40, 98), (74, 74), (20, 20)])
    joined = join_saturated_peaks(exposure.mask, footprint, mask_bits("SAT"))
    # (74, 74) is one pixel off the second core.
    assert list(zip(joined.peaks["i_x"], joined.peaks["i_y"], strict=True)) == [(40, 80), (75, 80), (20, 20)]
    np.testing.assert_array_equal(joined.peaks["f_x"], joined.peaks["i_x"])
    assert footprint.peaks["i_y"][0] == 81


def test_stars_joined_by_a_trail_stay_two_and_a_star_beside_it_stays() -> None:
    mask = np.zeros((200, 80), np.int32)
    rows, columns = np.indices(mask.shape)
    for y, radius in ((40, 6.0), (150, 4.5)):
        mask[np.hypot(columns - 30, rows - y) < radius] |= mask_bits("SAT")
    mask[10:185, 29:32] |= mask_bits("SAT")
    exposure = exposure_of(np.zeros(mask.shape))
    # Rims and middles of the cores, both ends of the trail and a bump in it; then stars beside the trail.
    peaks = [(30, 41), (30, 150), (35, 43), (27, 146), (30, 8), (30, 186), (30, 100), (34, 100), (60, 90)]
    joined = join_saturated_peaks(mask, whole(exposure, peaks), mask_bits("SAT"))
    found = list(zip(joined.peaks["i_x"], joined.peaks["i_y"], strict=True))
    assert found == [(30, 40), (30, 150), (34, 100), (60, 90)]


def test_nothing_saturated_changes_nothing() -> None:
    exposure = exposure_of(np.zeros((40, 40)))
    footprint = whole(exposure, [(10, 10), (20, 20)])
    assert join_saturated_peaks(exposure.mask, footprint, mask_bits("SAT")) is footprint
