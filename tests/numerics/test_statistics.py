"""Clipped statistics against literal numpy transcriptions of the definition."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.numerics.statistics import clipped_mean, good_values, median, median_and_clipped_mean, quantiles


def literal_clipped_mean(values: np.ndarray) -> tuple[float, float, int]:
    """Three passes, each from all values: median and IQR first, then mean and standard deviation."""
    v = values.astype(np.float64)
    q1, q2, q3 = np.quantile(v, [0.25, 0.5, 0.75])
    kept = v[np.abs(v - q2) <= 3 * 0.741301109252802 * (q3 - q1)]
    for _ in range(2):
        kept = v[np.abs(v - kept.mean()) <= 3 * kept.std(ddof=1)]
    return float(kept.mean()), float(kept.std(ddof=1)), kept.size


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rng = np.random.default_rng(11)
    data = rng.normal(1870.0, 25.0, (700, 401)).astype(np.float32)
    data[:20] += rng.exponential(3000.0, (20, 401)).astype(np.float32)
    data[5, 7], data[6, 8] = np.nan, np.inf
    data[100:110, :50] = -40.0
    return data


@pytest.mark.parametrize("rows", [40, 700])
def test_clipped_mean_follows_definition_for_both_selection_methods(image: np.ndarray, rows: int) -> None:
    values = image[:rows]
    mean, std, n = clipped_mean(values)
    expected = literal_clipped_mean(values[np.isfinite(values)])
    assert n == expected[2]
    assert mean == pytest.approx(expected[0], rel=1e-12)
    assert std == pytest.approx(expected[1], rel=1e-10)


def test_masked_pixels_do_not_count(image: np.ndarray) -> None:
    mask = np.zeros(image.shape, np.int32)
    mask[:20] = 2
    mask[300:] = 4
    good = image[20:300]
    assert clipped_mean(image, mask, 2 | 4)[:2] == pytest.approx(literal_clipped_mean(good)[:2], rel=1e-10)
    assert good_values(image, mask, 2 | 4).size == good.size
    assert clipped_mean(image, mask, 8) == clipped_mean(image)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_quantiles_equal_numpy(image: np.ndarray, dtype: type) -> None:
    values = np.where(np.isfinite(image), image, 0.0).astype(dtype)
    wanted = [0.0, 0.01, 0.25, 0.5, 0.9, 1.0]
    assert quantiles(values, wanted) == pytest.approx(np.quantile(values.astype(np.float64), wanted), rel=1e-14)


def test_radix_selection_orders_negative_and_signed_zero_values() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(0, 1e-3, 150_000), rng.normal(0, 1e6, 150_001), [0.0, -0.0]])
    values = values.astype(np.float32).reshape(1, -1)
    wanted = [0.001, 0.3, 0.5, 0.7, 0.999]
    assert quantiles(values, wanted) == pytest.approx(np.quantile(values.astype(np.float64), wanted), rel=1e-14)


def test_few_values() -> None:
    assert np.isnan(clipped_mean(np.array([np.nan])).mean) and clipped_mean(np.array([np.nan])).n == 0
    single = clipped_mean(np.array([7.0]))
    assert single.mean == 7.0 and single.n == 1 and np.isnan(single.std)
    constant = clipped_mean(np.full((4, 5), 3.25, np.float32))
    assert constant == (3.25, 0.0, 20) and constant.error == 0.0
    assert np.isnan(median(np.array([], np.float32)))


def test_no_iterations_gives_plain_moments_and_median_comes_along() -> None:
    values = np.array([1.0, 2.0, 4.0, 100.0])
    middle, plain = median_and_clipped_mean(values, n_iter=0)
    assert middle == 3.0
    assert plain.mean == pytest.approx(26.75) and plain.std == pytest.approx(np.std(values, ddof=1)) and plain.n == 4
    assert plain.error == pytest.approx(np.std(values, ddof=1) / 2)
