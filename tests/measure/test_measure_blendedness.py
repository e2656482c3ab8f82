from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from fixtures.footprints import make_peaks

from hscbox.catalog.footprint import Footprint, HeavyPixels
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.measure.plugins.blendedness import _bias

from .fields import SIGMA, disc, exposure_of, gaussian, measure, task_for

SHAPE = (130, 150)
NAME = "base_Blendedness"


def blend(separation: float, fluxes: tuple[float, float]) -> SourceCatalog:
    """Measure two noiseless Gaussians of known pixels; row 0 is the blend."""
    centres = (60.0, 60.0 + separation)
    parts = [gaussian(SHAPE, x, 60.0, flux) for x, flux in zip(centres, fluxes, strict=True)]
    task, schema = task_for(NAME)
    catalog = SourceCatalog(schema, 3)
    both = disc(SHAPE, centres[0], 60, 14).union(disc(SHAPE, centres[1], 60, 14))
    catalog.footprints = [both]
    for x, part in zip(centres, parts, strict=True):
        child = Footprint(both.spans, make_peaks([x], [60], [1.0]))
        pixels = part[child.indices()].astype(np.float32)
        child.heavy = HeavyPixels(pixels, np.zeros(len(pixels), np.int32), np.ones(len(pixels), np.float32))
        catalog.footprints.append(child)
    catalog["parent"] = [0, 1, 1]
    task.run(catalog=catalog, exposure=exposure_of(parts[0] + parts[1], 1e-6), exposure_id=3)
    return catalog


def test_isolated_sources_are_not_blended():
    catalog = measure(exposure_of(gaussian(SHAPE, 70.2, 60.1, 1e4), 1e-6), [(70.2, 60.1)], NAME)
    for column in ("old", "raw_flux", "abs_flux"):
        assert catalog[f"{NAME}_{column}"][0] == pytest.approx(0, abs=1e-6)
    # The weight is cut at 3 sigma, which takes 1.1 per cent of sum(w I) and 0.01 per cent of sum(w^2).
    assert catalog[f"{NAME}_raw_flux_child"][0] == pytest.approx(1e4, rel=0.02)
    assert catalog[f"{NAME}_raw_child_xx"][0] == pytest.approx(SIGMA**2, rel=0.02)
    assert not catalog[f"{NAME}_flag"][0]


@pytest.mark.parametrize(("separation", "ratio"), [(4.0, 0.3), (3.0, 1.0), (6.0, 3.0)])
def test_blendedness_of_two_gaussians(separation, ratio):
    catalog = blend(separation, (1e4, ratio * 1e4))
    # Under a weight of the same width, a neighbour at distance d counts with exp(-d^2 / 4 sigma^2).
    neighbour = ratio * np.exp(-(separation**2) / (4 * SIGMA**2))
    for column in ("raw_flux", "abs_flux"):
        assert catalog[f"{NAME}_{column}"][1] == pytest.approx(neighbour / (1 + neighbour), abs=0.02)
    assert catalog[f"{NAME}_old"][1] == pytest.approx(neighbour, rel=0.01)
    assert catalog[f"{NAME}_old"][0] == 0
    parent, child = (catalog[f"{NAME}_raw_{side}_xx"][1] for side in ("parent", "child"))
    assert parent > child == pytest.approx(SIGMA**2, rel=0.02)


@pytest.mark.parametrize("value", [-5.0, -1.0, 0.0, 0.7, 3.0, 12.0])
def test_bias_of_absolute_values(value):
    sigma = 2.0
    # The truth, if it is not negative, has the mean of a truncated normal distribution ...
    truth = scipy.stats.truncnorm.mean(-value / sigma, np.inf, loc=value, scale=sigma)
    # ... and the absolute value of truth and noise that of a folded one.
    expected = scipy.stats.foldnorm.mean(truth / sigma, scale=sigma) - truth
    assert _bias(value, sigma**2) == pytest.approx(expected, rel=1e-6)
    assert _bias(-1e4, sigma**2) == pytest.approx(np.sqrt(2 / np.pi) * sigma)


def test_sources_without_shape_are_flagged():
    catalog = measure(exposure_of(-gaussian(SHAPE, 70, 60, 1e4)), [(70, 60)], NAME)
    assert catalog[f"{NAME}_flag"][0] and catalog[f"{NAME}_flag_noCentroid"][0]
