"""Overscan fits against scipy, GSL's extrapolation rule and hand-made rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator, CubicSpline

from hscbox.isr.overscan import bin_rows, collapse_rows, fit_overscan, overscan_level


def abscissa(n: int) -> np.ndarray:
    return 2.0 * np.arange(n) / n - 1.0


@pytest.fixture(scope="module")
def drift() -> np.ndarray:
    rng = np.random.default_rng(2)
    x = abscissa(900)
    return 1012.0 + 3.0 * np.sin(4.0 * x) + rng.normal(0.0, 0.4, x.size)


def test_bins_are_means_of_equal_intervals(drift: np.ndarray) -> None:
    x = abscissa(drift.size)
    masked = np.zeros(drift.size, bool)
    masked[10:20] = True
    centres, means = bin_rows(x, drift, masked, 30)
    # 900 rows in 30 bins from the first to the last row: the last bin includes its upper edge.
    edges = np.linspace(x[0], x[-1], 31)
    for k, upper in enumerate(edges[1:]):
        inside = (x >= edges[k]) & ((x < upper) | (k == 29)) & ~masked
        assert centres[k] == pytest.approx(x[inside].mean()) and means[k] == pytest.approx(drift[inside].mean())


def test_akima_inside_and_parabola_outside(drift: np.ndarray) -> None:
    x, masked = abscissa(drift.size), np.zeros(drift.size, bool)
    centres, means = bin_rows(x, drift, masked, 30)
    level = fit_overscan(drift, masked)
    reference = Akima1DInterpolator(centres, means, method="akima")
    inside = (x >= centres[0]) & (x <= centres[-1])
    assert np.max(np.abs(level[inside] - reference(x[inside]))) < 1e-10
    # The end pieces are cubics; the parabola agrees with value, slope and curvature at the end point.
    for end, outside in ((centres[0], x < centres[0]), (centres[-1], x > centres[-1])):
        assert outside.sum() >= 14
        value, slope, curvature = (float(reference(end, k)) for k in range(3))
        step = x[outside] - end
        assert level[outside] == pytest.approx(value + slope * step + 0.5 * curvature * step**2, abs=1e-9)


def test_akima_follows_a_parabola_exactly_at_the_bin_centres() -> None:
    x = abscissa(600)
    values = 5.0 * x**2 - 2.0 * x + 7.0
    level = fit_overscan(values, np.zeros(x.size, bool))
    assert np.max(np.abs(level - values)) < 0.02


@pytest.mark.parametrize("fit_type", ["CUBIC_SPLINE", "NATURAL_SPLINE"])
def test_other_splines(drift: np.ndarray, fit_type: str) -> None:
    x, masked = abscissa(drift.size), np.zeros(drift.size, bool)
    centres, means = bin_rows(x, drift, masked, 20)
    reference = CubicSpline(centres, means, bc_type="natural" if fit_type == "NATURAL_SPLINE" else "not-a-knot")
    inside = (x >= centres[0]) & (x <= centres[-1])
    level = fit_overscan(drift, masked, fit_type, 20)
    assert level[inside] == pytest.approx(reference(x[inside]), abs=1e-9)


@pytest.mark.parametrize("fit_type", ["POLY", "CHEB", "LEG"])
def test_polynomials_are_one_least_squares_fit(drift: np.ndarray, fit_type: str) -> None:
    x, masked = abscissa(drift.size), np.zeros(drift.size, bool)
    masked[::7] = True
    reference = np.polyval(np.polyfit(x[~masked], drift[~masked], 4), x)
    assert fit_overscan(drift, masked, fit_type, 4) == pytest.approx(reference, abs=1e-8)


def test_constants() -> None:
    rng = np.random.default_rng(8)
    strip = rng.normal(1000.0, 2.0, (50, 16)).astype(np.float32)
    strip[3, 3] = 60000.0
    kept = strip[strip < 5000].astype(np.float64)
    for fit_type, value in (("MEAN", kept.mean()), ("MEDIAN", np.median(kept))):
        level, doubtful = overscan_level(strip, fit_type=fit_type)
        assert level == pytest.approx(np.full(50, value), rel=1e-9) and not doubtful.any()
    assert overscan_level(strip, fit_type="MEANCLIP").level[0] == pytest.approx(1000.0, abs=0.3)


def test_rows_are_clipped_about_their_median() -> None:
    strip = np.tile(np.array([10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0] * 2), (3, 1))
    strip[1, 5] = 500.0
    values, masked = collapse_rows(strip.astype(np.float32), np.zeros(strip.shape, bool))
    assert not masked.any()
    assert values[0] == pytest.approx(13.5)
    # 500 is out; the rest of the row stays (median 13.5, 0.74 IQR about 3).
    assert values[1] == pytest.approx(np.delete(strip[1], 5).mean())


def test_fully_ignored_rows_are_bridged_and_doubtful_only_at_the_ends() -> None:
    strip = np.full((300, 16), 1000.0, np.float32) + np.arange(16, dtype=np.float32) % 3
    strip[:4] = 9000.0
    strip[150] = 9000.0
    strip[-2:] = 9000.0
    level, doubtful = overscan_level(strip)
    assert np.flatnonzero(doubtful).tolist() == [0, 1, 2, 3, 298, 299]
    assert np.ptp(level) < 1e-6 and level[0] == pytest.approx(strip[5].mean())


@pytest.mark.parametrize("n_rows", [1, 2, 4, 9, 29])
def test_short_cut_outs_have_a_level(n_rows: int) -> None:
    strip = np.full((n_rows, 16), 812.0, np.float32)
    assert overscan_level(strip).level == pytest.approx(np.full(n_rows, 812.0))
