"""Weights of the aperture corrections."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.characterize.measure_apcorr import MeasureApCorrConfig, MeasureApCorrTask
from hscbox.image.exposure import Exposure


def test_three_stars_weigh_by_their_noise_and_a_floor() -> None:
    """Three stars allow a constant only: the mean, with weights of 1 / (relative error^2 + 0.003^2)."""
    schema = make_minimal_schema()
    for name in ("c_x", "c_y", "ref_flux", "ref_fluxSigma", "psf_flux"):
        schema.add_field(name, "D")
    for name in ("ref_flag", "psf_flag", "calib_psfUsed"):
        schema.add_field(name, "Flag")
    schema.set_alias("slot_Centroid", "c")
    schema.set_alias("slot_CalibFlux", "ref")
    task = MeasureApCorrTask(MeasureApCorrConfig(), "t.measureApCorr", schema, ["psf"])
    catalog = SourceCatalog(schema, 3)
    catalog["c_x"], catalog["c_y"] = [10.0, 50.0, 90.0], [20.0, 70.0, 30.0]
    ratio, relative = np.array([1.1, 1.104, 1.104]), np.array([0.0, 0.004, 0.004])
    catalog["psf_flux"], catalog["calib_psfUsed"] = 1000.0, True
    catalog["ref_flux"] = 1000.0 * ratio
    catalog["ref_fluxSigma"] = relative * catalog["ref_flux"]
    exposure = Exposure(np.zeros((80, 100), np.float32), np.zeros((80, 100), np.int32), np.ones((80, 100), np.float32))
    corrections = task.run(exposure=exposure, catalog=catalog)
    # Of the ratio itself, which is what is fitted, the error is as much larger as the ratio.
    weight = 1 / (ratio * np.hypot(relative, 0.003)) ** 2
    assert weight[0] / weight[1] == pytest.approx(25 / 9, rel=0.01)
    mean = np.sum(weight * ratio) / weight.sum()
    assert corrections["psf_flux"].evaluate(33.0, 44.0) == pytest.approx(mean, abs=1e-9)
    rms = np.sqrt(np.sum(weight * (ratio - mean) ** 2) / weight.sum())
    assert corrections["psf_fluxSigma"].evaluate(33.0, 44.0) == pytest.approx(rms, rel=1e-6)
