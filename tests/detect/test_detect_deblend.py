from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import ndimage

from hscbox.catalog.footprint import PEAK_DTYPE, Footprint
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.detect.deblend import SourceDeblendConfig, SourceDeblendTask
from hscbox.detect.deblend_templates import has_flux_at_border, make_monotonic, ramp_image, symmetric_template
from hscbox.detect.detection import SourceDetectionConfig, SourceDetectionTask, make_source_catalog
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.numerics.median_filter import median_5x5

from .scenes import add_exponential, add_gaussian, add_moffat, exposure_of


def deblend(exposure: Exposure, config: SourceDeblendConfig | None = None) -> SourceCatalog:
    schema = make_minimal_schema()
    task = SourceDeblendTask(config or SourceDeblendConfig(), "processCcd.calibrate.deblend", schema)
    detection = SourceDetectionConfig()
    detection.reEstimateBackground = False
    found = SourceDetectionTask(detection, "t").run(exposure)
    catalog = make_source_catalog(found.footprints, schema, 7)
    task.run(exposure, catalog)
    return catalog


def pair(separation: float = 7.0) -> np.ndarray:
    truth = np.zeros((120, 140))
    add_gaussian(truth, 60.3, 60.2, 300000.0)
    add_gaussian(truth, 60.3 + separation, 61.1, 150000.0)
    return truth


def galaxies() -> np.ndarray:
    truth = np.zeros((120, 140))
    add_gaussian(truth, 58.0, 60.0, 600000.0, sigma=3.0)
    add_gaussian(truth, 70.0, 62.0, 300000.0, sigma=2.6)
    return truth


def test_two_stars_get_their_fluxes() -> None:
    exposure = exposure_of(pair())
    catalog = deblend(exposure)
    assert len(catalog) == 3
    assert catalog["deblend_nChild"].tolist() == [2, 0, 0]
    assert catalog["parent"].tolist() == [0, catalog["id"][0], catalog["id"][0]]
    assert catalog["id"].tolist() == [(7 << 32) + 1, (7 << 32) + 2, (7 << 32) + 3]
    assert catalog["deblend_deblendedAsPsf"].tolist() == [False, True, True]
    np.testing.assert_allclose(catalog["deblend_psfFlux"][1:], [300000, 150000], rtol=0.01)
    np.testing.assert_allclose(catalog["deblend_psfCenter_x"][1:], [60.3, 67.3], atol=0.02)
    np.testing.assert_allclose(catalog["deblend_psfCenter_y"][1:], [60.2, 61.1], atol=0.02)
    sums = [float(f.heavy.image.sum()) for f in catalog.footprints[1:]]
    np.testing.assert_allclose(sums, [300000, 150000], rtol=0.01)


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_bright_stars_between_pixels_are_point_sources(offset: float) -> None:
    # One linear step from the peak pixel is not enough for a star at S/N 500 half a pixel away.
    truth = np.zeros((120, 140))
    add_gaussian(truth, 60 + offset, 60 + offset / 2, 300000.0)
    add_gaussian(truth, 67 + offset, 61 - offset / 2, 150000.0)
    catalog = deblend(exposure_of(truth, seed=2))
    assert catalog["deblend_deblendedAsPsf"].tolist() == [False, True, True]
    np.testing.assert_allclose(catalog["deblend_psfFlux"][1:], [300000, 150000], rtol=0.01)


def test_sum_of_children_is_the_parent_where_templates_exist() -> None:
    exposure = exposure_of(galaxies())
    catalog = deblend(exposure)
    assert catalog["deblend_nChild"][0] == len(catalog) - 1 >= 2
    total = np.zeros(exposure.image.shape)
    covered = np.zeros(total.shape, bool)
    for footprint in catalog.footprints[1:]:
        pixels = footprint.indices()
        assert len(footprint.peaks) == 1
        total[pixels] += footprint.heavy.image
        covered[pixels] |= footprint.heavy.image != 0
        np.testing.assert_array_equal(footprint.heavy.variance, exposure.variance[pixels])
        np.testing.assert_array_equal(footprint.heavy.mask, exposure.mask[pixels])
    np.testing.assert_allclose(total[covered], exposure.image[covered], rtol=1e-5, atol=1e-3)
    parent = np.zeros(total.shape, bool)
    parent[catalog.footprints[0].indices()] = True
    assert not (covered & ~parent).any()


def test_extended_objects_are_no_point_sources_and_share_well() -> None:
    catalog = deblend(exposure_of(galaxies()))
    bright = [f for f in catalog.footprints[1:] if f.heavy.image.sum() > 30000]
    assert len(bright) == 2
    flags = catalog["deblend_deblendedAsPsf"][1:]
    assert not flags[[f in bright for f in catalog.footprints[1:]]].any()
    sums = sorted(float(f.heavy.image.sum()) for f in bright)
    # A minimum of two noisy pixels loses light; the symmetric part of a blended galaxy is not the whole of it.
    np.testing.assert_allclose(sums, [300000, 600000], rtol=0.06)


def test_log(caplog: pytest.LogCaptureFixture) -> None:
    truth = pair()
    add_gaussian(truth, 30.0, 100.0, 50000.0)
    with caplog.at_level(logging.INFO, logger="processCcd.calibrate.deblend"):
        deblend(exposure_of(truth))
    assert [r.getMessage() for r in caplog.records if r.name == "processCcd.calibrate.deblend"] == [
        "Deblending 2 sources",
        "Deblended: of 2 sources, 1 were deblended, creating 2 children, total 4 sources",
    ]


def test_big_footprints_are_left_alone() -> None:
    config = SourceDeblendConfig()
    config.maxFootprintArea = 50
    exposure = exposure_of(pair())
    catalog = deblend(exposure, config)
    assert len(catalog) == 1
    assert catalog["deblend_nChild"][0] == 2
    for flag in ("parentTooBig", "skipped"):
        assert catalog[f"deblend_{flag}"][0]
    assert not catalog["deblend_masked"][0]
    marked = (exposure.mask & mask_bits("NOT_DEBLENDED")) != 0
    assert marked.sum() == catalog.footprints[0].area
    assert marked[catalog.footprints[0].indices()].all()


def test_masked_blends_are_left_alone() -> None:
    config = SourceDeblendConfig()
    # Detection finds nothing in such pixels: only the growth of a footprint reaches them.
    config.maskLimits["NO_DATA"] = 0.05
    exposure = exposure_of(pair())
    exposure.mask[:, 70:] |= mask_bits("NO_DATA")
    catalog = deblend(exposure, config)
    assert catalog["deblend_masked"][0] and catalog["deblend_skipped"][0]
    assert not catalog["deblend_parentTooBig"][0]


def test_limit_on_peaks() -> None:
    truth = pair()
    add_gaussian(truth, 60.0, 68.0, 90000.0)
    config = SourceDeblendConfig()
    config.maxNumberOfPeaks = 2
    catalog = deblend(exposure_of(truth), config)
    assert catalog["deblend_tooManyPeaks"][0]
    assert catalog["deblend_nChild"][0] == 2
    config.maxNumberOfPeaks = 3
    catalog = deblend(exposure_of(truth), config)
    assert not catalog["deblend_tooManyPeaks"][0]
    assert catalog["deblend_nChild"][0] == 3


def test_blend_at_the_corner_of_the_image() -> None:
    truth = np.zeros((80, 90))
    add_gaussian(truth, 5.0, 6.0, 200000.0)
    add_gaussian(truth, 11.0, 5.0, 200000.0, sigma=2.5)
    catalog = deblend(exposure_of(truth))
    assert catalog["deblend_nChild"][0] >= 2
    for footprint in catalog.footprints:
        ys, xs = footprint.indices()
        assert ys.min() >= 0 and xs.min() >= 0


def test_symmetric_template() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(5.0, 4.0, size=(21, 25)).astype(np.float32)
    inside = (rng.random(image.shape) < 0.9).astype(np.uint8)
    cx, cy = 9, 12
    values, member = symmetric_template(image, inside, cx, cy)
    np.testing.assert_array_equal(values, values[::-1, ::-1])
    np.testing.assert_array_equal(member, member[::-1, ::-1])
    ry, rx = values.shape[0] // 2, values.shape[1] // 2
    assert (rx, ry) == (9, 8)
    for dy in range(-ry, ry + 1):
        for dx in range(-rx, rx + 1):
            both = bool(inside[cy + dy, cx + dx] and inside[cy - dy, cx - dx])
            assert member[ry + dy, rx + dx] == both
            expected = max(min(image[cy + dy, cx + dx], image[cy - dy, cx - dx]), 0.0) if both else 0.0
            assert values[ry + dy, rx + dx] == expected


def test_median_agrees_with_scipy() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(23, 30))
    inside = rng.random(values.shape) < 0.8
    smooth = median_5x5(values, inside)
    expected = np.where(inside, ndimage.median_filter(values, 5), values)
    np.testing.assert_array_equal(smooth[2:-2, 2:-2], expected[2:-2, 2:-2])
    np.testing.assert_array_equal(smooth[:2], values[:2])
    np.testing.assert_array_equal(smooth[:, -2:], values[:, -2:])


def test_monotonic_templates_fall_outwards() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-14:15, -17:18]
    values = np.exp(-np.hypot(x, y) / 6.0) * 100 + rng.uniform(0, 20, size=x.shape)
    values[14 + 6, 17 + 8] = 90.0  # a neighbour
    original = values.copy()
    make_monotonic(values)
    assert (values <= original).all()
    assert values[14, 17] == original[14, 17]
    for dy, dx in ((0, 1), (1, 0), (1, 1), (-1, 1), (0, -1), (-1, 0), (1, -1), (-1, -1)):
        ray = np.array([values[14 + k * dy, 17 + k * dx] for k in range(15)])
        assert (np.diff(ray) <= 0).all()
    assert values[14 + 6, 17 + 8] < 45.0


def test_monotonic_leaves_a_profile_that_falls() -> None:
    y, x = np.mgrid[-12:13, -12:13]
    values = 1000.0 * np.exp(-0.5 * (x * x + y * y) / 3.0**2)
    original = values.copy()
    make_monotonic(values)
    # Within a cone of 0.3 about a direction, pixels of the next ring may lie slightly nearer than the casting pixel.
    np.testing.assert_allclose(values, original, rtol=0.0, atol=1e-9)


def test_ramp_continues_the_wings_of_the_psf() -> None:
    y, x = np.mgrid[-10:11, -10:11]
    profile = np.exp(-0.5 * (x * x + y * y) / 2.0**2)
    image = (1000.0 * profile).astype(np.float32)
    inside = (np.abs(x) <= 4).astype(np.uint8) * (np.abs(y) <= 10)
    inside = inside.astype(np.uint8)
    values, member = symmetric_template(image, inside, 10, 10)
    assert has_flux_at_border(values, member, 100.0)
    assert not has_flux_at_border(values, member, 200.0)
    filled = ramp_image(image, inside, np.ones_like(inside), values, member, 10, 10, profile / profile.sum(), 3)
    np.testing.assert_array_equal(filled[inside == 1], image[inside == 1])
    # One pixel right of the border in the row of the peak: the largest is from the border pixel beside it.
    assert filled[10, 15] == pytest.approx(image[10, 14] * np.exp(-0.5 / 4.0), rel=1e-5)
    assert filled[10, 18] == image[10, 18]  # beyond the pad


def test_wings_cut_by_the_border_are_ramped() -> None:
    # A galaxy whose footprint is cut off because only a part is above the threshold.
    truth = galaxies()
    exposure = exposure_of(truth, noise=5.0)
    config = SourceDetectionConfig()
    config.reEstimateBackground = False
    config.thresholdType = "value"
    config.thresholdValue = 1500.0
    config.nSigmaToGrow = 0.0
    schema = make_minimal_schema()
    task = SourceDeblendTask(SourceDeblendConfig(), "t", schema)
    found = SourceDetectionTask(config, "t").run(exposure)
    catalog = make_source_catalog(found.footprints, schema, 7)
    area = catalog.footprints[0].area
    task.run(exposure, catalog)
    assert catalog["deblend_rampedTemplate"].any()
    assert catalog.footprints[0].area > area
    parent = np.zeros(truth.shape, bool)
    parent[catalog.footprints[0].indices()] = True
    for footprint in catalog.footprints[1:]:
        assert parent[footprint.indices()].all()


def test_columns_are_declared_in_order() -> None:
    schema = make_minimal_schema()
    SourceDeblendTask(SourceDeblendConfig(), "t", schema)
    assert schema.names()[4:] == [
        "deblend_nChild",
        "deblend_deblendedAsPsf",
        "deblend_psfCenter_x",
        "deblend_psfCenter_y",
        "deblend_psfFlux",
        "deblend_tooManyPeaks",
        "deblend_parentTooBig",
        "deblend_masked",
        "deblend_skipped",
        "deblend_rampedTemplate",
        "deblend_patchedTemplate",
        "deblend_hasStrayFlux",
    ]
    assert schema.find("deblend_psfCenter_x").unit == "pixel"


@pytest.mark.parametrize("what", ["nan", "zero variance", "nan variance", "all saturated"])
def test_useless_pixels_end_in_no_error(what: str) -> None:
    exposure = exposure_of(galaxies())
    detection = SourceDetectionConfig()
    detection.reEstimateBackground = False
    schema = make_minimal_schema()
    task = SourceDeblendTask(SourceDeblendConfig(), "t", schema)
    catalog = make_source_catalog(SourceDetectionTask(detection, "t").run(exposure).footprints, schema, 7)
    if what == "nan":
        exposure.image[catalog.footprints[0].indices()] = np.nan
    elif what == "zero variance":
        exposure.variance[:] = 0
    elif what == "nan variance":
        exposure.variance[:] = np.nan
    else:
        exposure.mask |= np.int32(mask_bits("SAT", "INTRP"))
    task.run(exposure, catalog)
    assert not catalog["deblend_deblendedAsPsf"].any()
    if "variance" in what:
        # Noise unknown: flux is shared all the same.
        sums = sorted(float(f.heavy.image.sum()) for f in catalog.footprints[1:])
        np.testing.assert_allclose(sums, [300000, 600000], rtol=0.06)
    else:
        assert len(catalog) == 1
        assert len(catalog.footprints[0].peaks) == 1


def test_blend_without_data_is_skipped_and_marked() -> None:
    exposure = exposure_of(galaxies())
    exposure.mask |= np.int32(mask_bits("NO_DATA"))
    schema = make_minimal_schema()
    task = SourceDeblendTask(SourceDeblendConfig(), "t", schema)
    rows = np.arange(40, 80)
    spans = np.stack([rows, np.full(40, 40), np.full(40, 90)], axis=1).astype(np.int32)
    peaks = np.zeros(2, PEAK_DTYPE)
    peaks["i_x"], peaks["i_y"] = (58, 70), (60, 62)
    catalog = make_source_catalog([Footprint(spans, peaks)], schema, 7)
    task.run(exposure, catalog)
    assert catalog["deblend_masked"].tolist() == [True]
    assert catalog["deblend_nChild"].tolist() == [2]
    assert ((exposure.mask & mask_bits("NOT_DEBLENDED")) != 0).sum() == 40 * 51


def test_galaxy_over_a_third_of_the_field_is_skipped_at_once() -> None:
    # 30 % of the field and thousands of peaks: the work is one look at the pixels.
    truth = np.zeros((500, 500))
    add_exponential(truth, 250.0, 250.0, 3e7, 60.0)
    exposure = exposure_of(truth)
    schema = make_minimal_schema()
    task = SourceDeblendTask(SourceDeblendConfig(), "t", schema)
    detection = SourceDetectionConfig()
    detection.reEstimateBackground = False
    detection.thresholdType = "value"
    detection.thresholdValue = 100.0
    catalog = make_source_catalog(SourceDetectionTask(detection, "t").run(exposure).footprints, schema, 7)
    biggest = max(range(len(catalog)), key=lambda row: catalog.footprints[row].area)
    assert catalog.footprints[biggest].area > 0.3 * truth.size
    assert len(catalog.footprints[biggest].peaks) > 500
    task.run(exposure, catalog)
    assert catalog["deblend_parentTooBig"][biggest] and catalog["deblend_skipped"][biggest]
    assert not (catalog["parent"] == catalog["id"][biggest]).any()


def test_bright_star_with_hundreds_of_peaks_in_its_halo() -> None:
    rng = np.random.default_rng(5)
    truth = np.zeros((260, 260))
    add_moffat(truth, 130.0, 130.0, 2e8)
    faint = rng.uniform(85, 175, (250, 2))
    for x, y in faint:
        add_gaussian(truth, x, y, 30000.0)
    exposure = exposure_of(truth)
    core = np.hypot(*(np.indices(truth.shape) - 130)) < 12
    exposure.image[core] = 50000.0
    exposure.mask[core] |= mask_bits("SAT", "INTRP")
    config = SourceDeblendConfig()
    config.maxFootprintArea = 0
    catalog = deblend(exposure, config)
    children = [f for f in catalog.footprints if f.heavy is not None]
    assert len(children) > 100
    # One object for the star, in its place.
    at = np.array([(f.peaks["i_x"][0], f.peaks["i_y"][0]) for f in children])
    assert (np.hypot(*(at - 130).T) < 12).sum() == 1
    total = np.zeros(truth.shape)
    for footprint in children:
        total[footprint.indices()] += footprint.heavy.image
    covered = total != 0
    np.testing.assert_allclose(total[covered], exposure.image[covered], rtol=1e-4, atol=1e-2)
