from __future__ import annotations

import logging

import numpy as np
import pytest
from fixtures.footprints import make_peaks

from hscbox.catalog.footprint import Footprint, HeavyPixels
from hscbox.catalog.schema import Schema
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.errors import ConfigError, PsfFitError
from hscbox.image.bounded_field import ChebyshevField
from hscbox.image.mask import mask_bits
from hscbox.measure.apply_apcorr import ApplyApCorrConfig, ApplyApCorrTask
from hscbox.measure.catalog_calculation import CatalogCalculationConfig, CatalogCalculationTask
from hscbox.measure.noise_replacer import NoiseReplacerConfig, replace_by_noise
from hscbox.measure.task import SingleFrameMeasurementConfig

from .fields import disc, exposure_of, gaussian, measure, task_for

SHAPE = (150, 160)


def test_noise_replacement_is_restored_exactly_and_is_deterministic():
    rng = np.random.default_rng(1)
    original = rng.normal(3, 10, SHAPE).astype(np.float32)
    footprints = [disc(SHAPE, 50, 60), disc(SHAPE, 58, 60), disc(SHAPE, 100, 100)]
    first, second, other = original.copy(), original.copy(), original.copy()
    pixels = replace_by_noise(first, footprints, 42, NoiseReplacerConfig())
    replace_by_noise(second, footprints, 42, NoiseReplacerConfig())
    replace_by_noise(other, footprints, 43, NoiseReplacerConfig())
    assert np.array_equal(first, second) and not np.array_equal(first, other)
    covered = np.zeros(SHAPE, bool)
    for footprint in footprints:
        covered[footprint.indices()] = True
    assert np.array_equal(first[~covered], original[~covered])
    assert (first[covered] != original[covered]).all()
    assert first[covered].mean() == pytest.approx(3, abs=4 * 10 / np.sqrt(covered.sum()))
    assert first[covered].std() == pytest.approx(10, rel=0.1)
    pixels.work.reshape(-1)[pixels.where] = original.reshape(-1)[pixels.where]
    assert np.array_equal(first, original)


def test_run_leaves_the_exposure_alone_and_repeats_itself():
    rng = np.random.default_rng(8)
    image = rng.normal(0, 5, SHAPE) + gaussian(SHAPE, 60, 70, 1e4) + gaussian(SHAPE, 70, 72, 2e4)
    exposure = exposure_of(image, 25.0)
    before = exposure.copy()
    catalogs = [measure(exposure, [(60, 70), (70, 72)], "base_PsfFlux") for _ in range(2)]
    assert np.array_equal(exposure.image, before.image) and np.array_equal(exposure.mask, before.mask)
    for name in catalogs[0].schema.names():
        assert np.array_equal(catalogs[0][name], catalogs[1][name], equal_nan=catalogs[0][name].dtype.kind == "f")


def test_neighbours_do_not_contribute():
    image = gaussian(SHAPE, 60.0, 70.0, 1e4) + gaussian(SHAPE, 90.0, 70.0, 1e6)
    name = "base_CircularApertureFlux"
    catalog = measure(exposure_of(image, 1e-4), [(60.0, 70.0), (90.0, 70.0)], name)
    # Clipping leaves noise of nearly zero, so that the aperture of 35 px sees the source alone.
    assert catalog[f"{name}_35_0_flux"][0] == pytest.approx(1e4, rel=1e-2)


def test_children_are_measured_with_their_own_pixels():
    x = [60.0, 66.0]
    parts = [gaussian(SHAPE, c, 70.0, flux) for c, flux in zip(x, (1e4, 3e4), strict=True)]
    image = parts[0] + parts[1]
    task, schema = task_for("base_PsfFlux")
    catalog = SourceCatalog(schema, 3)
    both = disc(SHAPE, 60, 70).union(disc(SHAPE, 66, 70))
    catalog.footprints = [both]
    for centre, part in zip(x, parts, strict=True):
        child = Footprint(both.spans, make_peaks([centre], [70], [1.0]))
        ys, xs = child.indices()
        heavy = part[ys, xs].astype(np.float32)
        child.heavy = HeavyPixels(heavy, np.zeros(len(ys), np.int32), np.ones(len(ys), np.float32))
        catalog.footprints.append(child)
    catalog["parent"] = [0, 1, 1]
    task.run(catalog=catalog, exposure=exposure_of(image), exposure_id=3)
    assert catalog["base_PsfFlux_flux"][1:] == pytest.approx([1e4, 3e4], rel=1e-3)
    assert catalog["base_SdssCentroid_x"][1:] == pytest.approx(x, abs=0.01)


def test_pixel_flags_against_brute_force():
    rng = np.random.default_rng(9)
    planes = ("BAD", "SAT", "INTRP", "CR", "EDGE", "NO_DATA", "SUSPECT")
    exposure = exposure_of(gaussian(SHAPE, 5, 5, 1.0))
    for plane in planes:
        hit = rng.random(SHAPE) < 0.002
        exposure.mask[hit] |= mask_bits(plane)
    positions = [tuple(p) for p in rng.uniform(20, 130, (40, 2)).round()]
    catalog = measure(exposure, positions, "base_PixelFlags")
    name = "base_PixelFlags_flag"
    anywhere = {"interpolated": "INTRP", "saturated": "SAT", "cr": "CR", "bad": "BAD", "suspect": "SUSPECT"}
    for i, footprint in enumerate(catalog.footprints):
        bits = np.bitwise_or.reduce(exposure.mask[footprint.indices()])
        x, y = (int(np.floor(catalog[f"slot_Centroid_{axis}"][i] + 0.5)) for axis in "xy")
        centre = np.bitwise_or.reduce(exposure.mask[y - 1 : y + 2, x - 1 : x + 2], axis=None)
        for ending, plane in anywhere.items():
            assert catalog[f"{name}_{ending}"][i] == bool(bits & mask_bits(plane))
        for ending in ("interpolated", "saturated", "cr", "suspect"):
            assert catalog[f"{name}_{ending}Center"][i] == bool(centre & mask_bits(anywhere[ending]))
        assert catalog[f"{name}_edge"][i] == bool(bits & mask_bits("EDGE", "NO_DATA"))
    assert catalog[f"{name}_saturated"].any() and not catalog[f"{name}_saturated"].all()


def test_variance_is_the_median_outside_of_detections():
    exposure = exposure_of(gaussian(SHAPE, 70, 70, 1e5), 4.0)
    exposure.variance[66:75, 66:75] = 100.0
    exposure.mask[64:77, 64:77] |= mask_bits("DETECTED")
    catalog = measure(exposure, [(70, 70)], "base_Variance")
    assert catalog["base_Variance_value"][0] == 4.0
    exposure.mask[:] |= mask_bits("DETECTED")
    catalog = measure(exposure, [(70, 70)], "base_Variance")
    assert catalog["base_Variance_flag_emptyFootprint"][0] and catalog["base_Variance_flag"][0]


def test_portions_give_the_same_as_the_whole(monkeypatch):
    rng = np.random.default_rng(12)
    positions = [(float(x), float(y)) for x in range(30, 140, 25) for y in range(30, 130, 25)]
    image = rng.normal(0, 5, SHAPE) + sum(gaussian(SHAPE, x, y, 2e4) for x, y in positions)
    plugins = ("base_PsfFlux", "base_Blendedness", "ext_shapeHSM_HsmSourceMoments", "ext_photometryKron_KronFlux")
    whole = measure(exposure_of(image, 25.0), positions, *plugins)
    monkeypatch.setattr("hscbox.measure.task._PORTION", 7)
    parts = measure(exposure_of(image, 25.0), positions, *plugins)
    for name in whole.schema.names():
        assert np.array_equal(whole[name], parts[name], equal_nan=whole[name].dtype.kind == "f")


def test_what_is_not_fitted_is_nan_and_flagged():
    names = ("modelfit_CModel", "modelfit_DoubleShapeletPsfApprox")
    catalog = measure(exposure_of(gaussian(SHAPE, 70, 70, 1e5)), [(70, 70)], *names)
    failures = [f"modelfit_CModel{stage}_flag" for stage in ("", "_initial", "_exp", "_dev")]
    assert all(catalog[flag][0] for flag in [*failures, "modelfit_DoubleShapeletPsfApprox_flag"])
    for field in catalog.schema:
        if field.name.startswith(names) and field.dtype == "D" and not field.name.endswith("_time"):
            assert np.isnan(catalog[field.name][0])


def test_metadata_and_log(caplog):
    task, schema = task_for("base_CircularApertureFlux", "ext_photometryKron_KronFlux")
    catalog = SourceCatalog(schema, 1)
    catalog.footprints = [disc(SHAPE, 70, 70)]
    with caplog.at_level(logging.INFO):
        task.run(catalog=catalog, exposure=exposure_of(gaussian(SHAPE, 70, 70, 1e5)), exposure_id=8196855)
    assert caplog.messages == ["Measuring 1 sources (1 parents, 0 children) "]
    assert list(catalog.metadata) == [
        "base_CircularApertureFlux_radii",
        "ext_photometryKron_KronFlux_nRadiusForFlux",
        "NOISE_SEED_MULTIPLIER",
        "NOISE_SOURCE",
        "NOISE_OFFSET",
        "NOISE_EXPOSURE_ID",
    ]
    assert catalog.metadata["NOISE_EXPOSURE_ID"] == 8196855


def test_errors_of_the_task():
    task, schema = task_for()
    catalog = SourceCatalog(schema, 1)
    exposure = exposure_of(np.zeros(SHAPE))
    with pytest.raises(ValueError, match="no footprint"):
        task.run(catalog=catalog, exposure=exposure, exposure_id=1)
    catalog.footprints = [disc(SHAPE, 70, 70)]
    with pytest.raises(ConfigError, match="centroid slot"):
        task.run(catalog=catalog, exposure=exposure, exposure_id=1, only=["base_SdssShape"])
    exposure.psf = None
    with pytest.raises(PsfFitError, match="no PSF"):
        task.run(catalog=catalog, exposure=exposure, exposure_id=1)
    config = SingleFrameMeasurementConfig()
    config.slots.shape = "ext_unknown"
    with pytest.raises(ValueError, match=r"slots\.shape"):
        config.validate()


def test_no_sources_is_no_error():
    task, schema = task_for("base_CircularApertureFlux")
    catalog = SourceCatalog(schema, 0)
    task.run(catalog=catalog, exposure=exposure_of(np.zeros(SHAPE)), exposure_id=1)
    assert len(catalog) == 0


def flux_schema() -> Schema:
    schema = make_minimal_schema()
    for name in ("c_x", "c_y", "psf_flux", "psf_fluxSigma", "model_flux", "model_fluxSigma"):
        schema.add_field(name, "D")
    for name in ("psf_flag", "model_flag"):
        schema.add_field(name, "Flag")
    for alias, target in (("slot_Centroid", "c"), ("slot_PsfFlux", "psf"), ("slot_ModelFlux", "model")):
        schema.set_alias(alias, target)
    return schema


def test_apply_aperture_corrections():
    schema = flux_schema()
    task = ApplyApCorrTask(ApplyApCorrConfig(), "t.applyApCorr", schema, ["psf", "model"])
    catalog = SourceCatalog(schema, 3)
    catalog["c_x"], catalog["c_y"] = [10.0, 99.0, 120.0], [10.0, 10.0, 10.0]
    catalog["psf_flux"], catalog["psf_fluxSigma"] = 100.0, 2.0
    field = ChebyshevField(np.array([[1.1, 0.1]]), (0, 0, 99, 49))
    task.run(catalog=catalog, ap_corr={"psf_flux": field})
    factor = [1.1 + 0.1 * (2 * 10.0 - 99) / 100, 1.1 + 0.1 * 99 / 100]
    assert catalog["psf_flux"][:2] == pytest.approx(100 * np.array(factor))
    assert catalog["psf_fluxSigma"][:2] == pytest.approx(2 * np.array(factor))
    assert catalog["psf_apCorrSigma"][:2].tolist() == [0, 0]
    # Outside of the domain, and without a field, nothing is applied.
    assert catalog["psf_flag_apCorr"].tolist() == [False, False, True] and catalog["psf_flux"][2] == 100.0
    assert catalog["model_flag_apCorr"].all() and catalog["model_flag"].all()


def test_extendedness_and_area():
    schema = flux_schema()
    task = CatalogCalculationTask(CatalogCalculationConfig(), "t.catalogCalculation", schema)
    catalog = SourceCatalog(schema, 4)
    catalog["psf_flux"], catalog["model_flux"] = [100, 100, 100, np.nan], [104, 106, 100, 100]
    catalog["model_flag"] = [False, False, True, False]
    catalog.footprints = [disc(SHAPE, 70, 70), None, None, None]
    task.run(catalog=catalog)
    value = catalog["base_ClassificationExtendedness_value"]
    assert value[:2].tolist() == [0.0, 1.0] and np.isnan(value[2:]).all()
    assert catalog["base_ClassificationExtendedness_flag"].tolist() == [False, False, True, True]
    assert catalog["base_FootprintArea_value"].tolist() == [disc(SHAPE, 70, 70).area, 0, 0, 0]
