from __future__ import annotations

import logging

import numpy as np
import pytest

from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.characterize.measure_apcorr import MeasureApCorrConfig, MeasureApCorrTask, fit_correction
from hscbox.characterize.measure_psf import choose_reserved
from hscbox.characterize.star_selector import ObjectSizeStarSelectorConfig, select_stars
from hscbox.errors import ApCorrError, NoPsfStarsError
from hscbox.image.exposure import Exposure


def test_stars_are_the_compact_clump():
    rng = np.random.default_rng(1)
    width = np.concatenate([rng.normal(1.35, 0.03, 80), rng.uniform(1.6, 4.0, 200), [0.5, np.nan, 12.0]])
    flux = np.full(len(width), 2e4)
    flagged = np.zeros(len(width), bool)
    flagged[0] = True
    flux[1] = 100.0
    stars = select_stars(width, flux, flagged, ObjectSizeStarSelectorConfig())
    assert not stars[[0, 1]].any()
    assert stars[2:80].mean() > 0.9
    assert stars[80:].sum() <= 3
    assert not stars[-3:].any()


def test_no_star_is_an_error_with_numbers():
    with pytest.raises(NoPsfStarsError, match="None of 5") as caught:
        select_stars(np.full(5, 1.3), np.full(5, 10.0), np.zeros(5, bool), ObjectSizeStarSelectorConfig())
    assert caught.value.numbers == {"sources": 5, "bright": 0}
    assert caught.value.code == "no-psf-stars" and caught.value.exit_status == 20 and "fluxMin" in caught.value.remedy
    config = ObjectSizeStarSelectorConfig()
    config.widthMin = 11.0
    with pytest.raises(ValueError, match="widthMin"):
        config.validate()


def test_reserve_is_a_seeded_fraction():
    first = choose_reserved(99, 0.2, [1])
    assert first.sum() == 19
    assert np.array_equal(first, choose_reserved(99, 0.2, [1]))
    assert not np.array_equal(first, choose_reserved(99, 0.2, [2]))
    assert choose_reserved(3, 0.2, [1]).sum() == 0


def surface(x, y):
    return 1.05 + 0.02 * (x / 1000 - 1) - 0.01 * (y / 2000 - 1) ** 2


def test_correction_field_is_recovered():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 2047, 80), rng.uniform(0, 4175, 80)
    ratio = surface(x, y) + rng.normal(0, 0.002, 80)
    ratio[[5, 50]] += 0.3
    bbox, config, error = (0, 0, 2047, 4175), MeasureApCorrConfig(), np.full(80, 0.002)
    field, rms, kept = fit_correction(x, y, ratio, error, bbox, config)
    assert not kept[[5, 50]].any() and kept.sum() >= 76
    assert rms == pytest.approx(0.002, rel=0.3)
    assert field.evaluate(x, y) == pytest.approx(surface(x, y), abs=0.002)
    # Three stars cannot determine more than a constant.
    field, _, _ = fit_correction(x[:3], y[:3], np.array([1.0, 2.0, 3.0]), error[:3], bbox, config)
    assert field.coefficients.shape == (1, 1) and field.coefficients[0, 0] == pytest.approx(2.0)


@pytest.mark.parametrize(("tilt", "followed"), [(0.0, False), (0.02, True)])
def test_variation_is_followed_only_where_the_stars_prove_it(tilt, followed):
    """Sixty stars with 5 mmag each would tilt a free surface by 2 mmag; 20 mmag they prove."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(0, 2047, 60), rng.uniform(0, 4175, 60)
    ratio = 1.0 + tilt * (y / 2087.5 - 1) + rng.normal(0, 0.005, 60)
    field, _, _ = fit_correction(x, y, ratio, np.full(60, 0.005), (0, 0, 2047, 4175), MeasureApCorrConfig())
    edges = field.evaluate(1024.0, 4175.0) - field.evaluate(1024.0, 0.0)
    assert edges == pytest.approx(2 * tilt, abs=0.01 if followed else 0.0015)


def test_noisy_stars_do_not_decide():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(0, 2047, 80), rng.uniform(0, 4175, 80)
    error = np.where(np.arange(80) < 20, 0.002, 0.1)
    ratio = surface(x, y) + rng.normal(size=80) * error
    field, rms, _ = fit_correction(x, y, ratio, error, (0, 0, 2047, 4175), MeasureApCorrConfig())
    assert np.sqrt(np.mean((field.evaluate(x, y) - surface(x, y)) ** 2)) < 0.003
    assert rms < 0.01


def catalogue(n: int) -> tuple[MeasureApCorrTask, SourceCatalog]:
    schema = make_minimal_schema()
    for name in ("c_x", "c_y", "ref_flux", "ref_fluxSigma", "psf_flux", "extra_flux"):
        schema.add_field(name, "D")
    for name in ("ref_flag", "psf_flag", "extra_flag", "calib_psfUsed"):
        schema.add_field(name, "Flag")
    schema.set_alias("slot_Centroid", "c")
    schema.set_alias("slot_CalibFlux", "ref")
    config = MeasureApCorrConfig()
    config.allowFailure = ["extra"]
    task = MeasureApCorrTask(config, "t.measureApCorr", schema, ["psf", "extra"])
    catalog = SourceCatalog(schema, n)
    rng = np.random.default_rng(3)
    catalog["c_x"], catalog["c_y"] = rng.uniform(0, 99, n), rng.uniform(0, 79, n)
    catalog["psf_flux"], catalog["ref_flux"] = 100.0, 110.0 * rng.normal(1, 1e-3, n)
    catalog["ref_fluxSigma"] = 0.1
    catalog["calib_psfUsed"] = True
    return task, catalog


def exposure() -> Exposure:
    return Exposure(np.zeros((80, 100), np.float32), np.zeros((80, 100), np.int32), np.ones((80, 100), np.float32))


def test_corrections_of_a_catalogue(caplog):
    task, catalog = catalogue(30)
    catalog["psf_flag"][3] = True
    catalog["calib_psfUsed"][4] = False
    with caplog.at_level(logging.INFO):
        corrections = task.run(exposure=exposure(), catalog=catalog)
    # A flux that may fail is skipped with a warning.
    assert sorted(corrections) == ["psf_flux", "psf_fluxSigma"]
    assert corrections["psf_flux"].evaluate(50.0, 40.0) == pytest.approx(1.1, rel=2e-3)
    assert corrections["psf_fluxSigma"].coefficients.shape == (1, 1)
    used = catalog["apcorr_psf_used"]
    assert not used[[3, 4]].any() and used.sum() >= 26
    assert not catalog["apcorr_slot_CalibFlux_used"].any()
    assert caplog.messages[0] == "Measuring aperture corrections for 2 flux fields"
    assert caplog.messages[1].startswith("Unable to measure aperture correction for 'extra'")
    assert caplog.messages[2].startswith("Aperture correction for psf: RMS 0.00")


def test_too_few_stars_for_a_required_correction():
    task, catalog = catalogue(1)
    with pytest.raises(ApCorrError, match="required algorithm 'psf': only 1 sources"):
        task.run(exposure=exposure(), catalog=catalog)
