"""Linear prediction against published weights and a brute-force constrained minimisation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from hscbox.camera.boxes import Box
from hscbox.image.interpolate import TRANSITION, interpolate_boxes, interpolate_pixels, prediction_weights
from hscbox.image.mask import mask_bits

INTRP = mask_bits("INTRP")


def planes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = np.asarray(image, np.float32)
    return data, np.full(data.shape, 4.0, np.float32), np.zeros(data.shape, np.int32)


def expected_error(weights: np.ndarray, good: np.ndarray, target: float) -> float:
    """E[(v - sum w g)^2] for the autocorrelation exp(-d^2/4)."""
    among = np.exp(-((good[:, None] - good[None, :]) ** 2) / 4.0)
    to_target = np.exp(-((good - target) ** 2) / 4.0)
    return float(1.0 - 2.0 * weights @ to_target + weights @ among @ weights)


def test_published_weights() -> None:
    assert prediction_weights(2, 2, 1, 0) == pytest.approx([-0.2737, 0.7737, 0.7737, -0.2737], abs=5e-5)
    assert prediction_weights(0, 2, 1, 0) == pytest.approx([1.4288, -0.4288], abs=5e-5)
    assert prediction_weights(2, 0, 1, 0) == pytest.approx([-0.4288, 1.4288], abs=5e-5)
    assert prediction_weights(1, 1, 1, 0) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("n_left", "n_right", "n_bad", "position"), [(2, 2, 3, 0), (1, 2, 4, 2), (2, 1, 2, 1), (0, 2, 5, 3)]
)
def test_weights_minimise_the_expected_error(n_left: int, n_right: int, n_bad: int, position: int) -> None:
    good = np.array([*range(-n_left, 0), *range(n_bad, n_bad + n_right)], float)
    start = np.full(good.size, 1.0 / good.size)
    found = minimize(
        expected_error,
        start,
        args=(good, position),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0},
        tol=1e-14,
    )
    assert prediction_weights(n_left, n_right, n_bad, position) == pytest.approx(found.x, abs=2e-5)


def test_single_bad_pixel_and_its_flag_and_variance() -> None:
    image, variance, mask = planes(np.array([[3.0, 8.0, 999.0, 20.0, 1.0, 5.0]]))
    variance[0] = [1, 2, 99, 4, 8, 16]
    assert interpolate_boxes(image, variance, mask, [Box(2, 0, 1, 1)]) == 1
    w = np.array(prediction_weights(2, 2, 1, 0))
    assert image[0, 2] == pytest.approx(w @ [3, 8, 20, 1], rel=1e-6)
    assert variance[0, 2] == pytest.approx(w @ [1, 2, 4, 8], rel=1e-6)
    assert mask.tolist() == [[0, 0, INTRP, 0, 0, 0]]
    assert image[0, [0, 1, 3, 4, 5]].tolist() == [3, 8, 20, 1, 5]


def test_second_neighbour_that_is_bad_is_not_used() -> None:
    image, variance, mask = planes(np.array([[777.0, 8.0, 999.0, 20.0, 1.0, 5.0]]))
    interpolate_boxes(image, variance, mask, [Box(0, 0, 1, 1), Box(2, 0, 1, 1)])
    assert image[0, 2] == pytest.approx(np.dot(prediction_weights(1, 2, 1, 0), [8, 20, 1]), rel=1e-6)
    # The first pixel has one good neighbour only, and takes its value.
    assert image[0, 0] == pytest.approx(8.0)


def test_overlapping_boxes_make_one_run_and_are_clipped() -> None:
    image, variance, mask = planes(np.arange(60.0).reshape(3, 20))
    truth = image.copy()
    n = interpolate_boxes(image, variance, mask, [Box(4, -5, 3, 7), Box(6, 1, 3, 99), Box(50, 0, 3, 3)])
    changed = mask != 0
    assert n == changed.sum() == 3 * 2 + 3 * 2 - 1
    run = [truth[1, 2], truth[1, 3], truth[1, 9], truth[1, 10]]
    for position in range(5):
        assert image[1, 4 + position] == pytest.approx(np.dot(prediction_weights(2, 2, 5, position), run), rel=1e-6)


def test_wide_run_has_constant_middle() -> None:
    row = np.full(60, 50.0)
    row[10:45] = 1e5
    row[[8, 9, 45, 46]] = [10.0, 20.0, 60.0, 30.0]
    image, variance, mask = planes(row[None])
    interpolate_boxes(image, variance, mask, [Box(10, 0, 35, 1)])
    middle = image[0, 10 + TRANSITION : 45 - TRANSITION]
    assert np.ptp(middle) == 0.0 and middle[0] == pytest.approx(30.0, rel=1e-6)
    # Near the ends the prediction is that of a run with nothing known on the other side's distance.
    for k in range(TRANSITION):
        exact = np.dot(prediction_weights(2, 2, 35, k), [10, 20, 60, 30])
        assert image[0, 10 + k] == pytest.approx(exact, abs=1e-4)
        exact = np.dot(prediction_weights(2, 2, 35, 34 - k), [10, 20, 60, 30])
        assert image[0, 44 - k] == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_wide_run_at_an_edge_falls_back_to_the_clipped_mean(side: str) -> None:
    rng = np.random.default_rng(1)
    image, variance, mask = planes(rng.normal(100.0, 1.0, (40, 50)))
    row = image[7, 20:22].tolist() if side == "left" else image[7, 28:30].tolist()
    box = Box(0, 7, 20, 1) if side == "left" else Box(30, 7, 20, 1)
    image[box.slices] = -1e6
    interpolate_boxes(image, variance, mask, [box])
    result = image[7, :20] if side == "left" else image[7, 30:][::-1]
    near, far = (row[0], row[1]) if side == "left" else (row[1], row[0])
    # Counted from the good side, as if the run were at the left edge.
    for k in range(TRANSITION):
        exact = np.dot(prediction_weights(0, 2, 20, 19 - k), [near, far])
        assert result[19 - k] == pytest.approx(exact, rel=1e-6)
    assert result[19] == pytest.approx(1.4288 * near - 0.4288 * far, rel=1e-4)
    assert np.ptp(result[: 20 - TRANSITION]) == 0.0
    assert result[0] == pytest.approx(100.0, abs=0.1)
    assert result[20 - TRANSITION] != result[0]


def test_row_without_good_pixels_takes_the_mean_of_the_others() -> None:
    image, variance, mask = planes(np.outer([2.0, 777.0, 4.0], np.ones(9)))
    bad = np.zeros(image.shape, bool)
    bad[1] = True
    interpolate_pixels(image, variance, mask, bad)
    assert image[1] == pytest.approx(3.0) and variance[1] == pytest.approx(4.0) and np.all(mask[1] == INTRP)
    everything = np.ones(image.shape, bool)
    interpolate_pixels(image, variance, mask, everything)
    assert np.all(image == 0.0)


def test_constant_image_stays_constant_and_nothing_bad_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    image, variance, mask = planes(np.full((30, 64), 7.25))
    bad = rng.random(image.shape) < 0.4
    assert interpolate_pixels(image, variance, mask, bad) == bad.sum()
    assert image == pytest.approx(7.25, rel=1e-6) and variance == pytest.approx(4.0, rel=1e-6)
    assert np.array_equal(mask != 0, bad)
    before = image.copy()
    assert interpolate_pixels(image, variance, mask, np.zeros_like(bad)) == 0
    assert np.array_equal(before, image)


def test_variance_never_becomes_negative_between_positive_neighbours() -> None:
    image, variance, mask = planes(np.ones((1, 5)))
    variance[0] = [1000.0, 1.0, 5.0, 1.0, 1000.0]
    interpolate_boxes(image, variance, mask, [Box(2, 0, 1, 1)])
    assert variance[0, 2] == pytest.approx((1000 + 1 + 1 + 1000) / 4)
