"""Loops of this room against plain numpy, and single pixels against a count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.footprints import footprint_of, make_peaks
from scipy import ndimage

from hscbox.detect.cell_statistics import cell_statistics
from hscbox.detect.cosmic_ray_steepness import any_around, is_steep
from hscbox.detect.cosmic_ray_values import replace_pixels
from hscbox.detect.deblend_apportion import apportion, stamp_pixels, template_pixels
from hscbox.detect.deblend_peaks import contrast_kernel, join_saturated_peaks, significant_peaks
from hscbox.detect.footprints import find_footprints
from hscbox.detect.runs import peak_pixels
from hscbox.detect.shoulders import add_shoulder_peaks
from hscbox.image.mask import mask_bits
from hscbox.numerics.convolve import smooth

from .scenes import SIGMA, add_gaussian

# (dy, dx) of vertical, horizontal, rising and falling diagonal.
DIRECTIONS = ((1, 0), (0, 1), (1, 1), (-1, 1))


def test_steepness_of_single_pixels_against_the_two_conditions() -> None:
    rng = np.random.default_rng(7)
    image = (rng.gamma(0.7, 60.0, (30, 33)) - 20.0).astype(np.float32)
    image[10, 10] = -500.0
    variance = rng.uniform(20.0, 100.0, image.shape).astype(np.float32)
    limits, background, min_sigma, factor = np.array([0.35, 0.5, 0.2, 0.3]), 4.0, 2.0, 0.7
    n_steep = 0
    for y in range(30):
        for x in range(33):
            sigma = np.sqrt(float(variance[y, x]))
            high, means = False, []
            for (dy, dx), limit in zip(DIRECTIONS, limits, strict=True):
                ends = [(y + s * dy, x + s * dx) for s in (-1, 1)]
                if not all(0 <= j < 30 and 0 <= i < 33 for j, i in ends):
                    continue
                # No neighbour counts for less than 3 sigma below the sky.
                mean = np.mean([max(float(image[end]), background - 3.0 * sigma) for end in ends])
                high |= image[y, x] - mean >= min_sigma * sigma
                noise = np.sqrt(sum(float(variance[end]) for end in ends)) / 2
                if limit * (image[y, x] - background - factor * sigma) > mean - background + factor * noise:
                    means.append(mean)
            found, substitute = is_steep(image, variance, y, x, limits, background, min_sigma, factor)
            assert found == (high and bool(means))
            if means:
                assert substitute == pytest.approx(means[0], abs=1e-4)
            n_steep += found
    assert 50 < n_steep < 500


def test_a_pixel_at_the_limit_is_not_steeper_than_it() -> None:
    image = np.array([[0.0, 2.0, 0.0], [2.0, 4.0, 2.0], [0.0, 2.0, 0.0]], np.float32) + 0.0
    image[0, 0] = image[0, 2] = image[2, 0] = image[2, 2] = 2.0
    one = np.ones((3, 3), np.float32)
    assert not is_steep(image, one, 1, 1, np.full(4, 0.5), 0.0, 1.0, 0.0)[0]
    assert is_steep(image, one, 1, 1, np.full(4, 0.5 + 1e-9), 0.0, 1.0, 0.0)[0]
    assert is_steep(image, one, 1, 1, np.full(4, 0.6), 0.0, 2.0, 0.0)[0]
    assert not is_steep(image, one, 1, 1, np.full(4, 0.6), 0.0, 2.0 + 1e-9, 0.0)[0]


def test_any_around_is_dilation() -> None:
    mask = np.where(np.random.default_rng(3).random((20, 22)) < 0.05, 6, 1).astype(np.int32)
    expected = ndimage.binary_dilation(mask & 4 != 0, np.ones((3, 3)))
    assert np.array_equal([[any_around(mask, y, x, 4) for x in range(22)] for y in range(20)], expected)


@pytest.mark.parametrize(("dy", "dx"), DIRECTIONS)
def test_lost_pixels_between_two_sound_ones_in_any_direction(dy: int, dx: int) -> None:
    image, variance, lost = np.zeros((61, 61), np.float32), np.ones((61, 61), np.float32), np.ones((61, 61), bool)
    here = np.array([30]), np.array([30])
    # A single one, on one side: nothing to go between.
    lost[30 + 3 * dy, 30 + 3 * dx], image[30 + 3 * dy, 30 + 3 * dx] = False, 40.0
    replace_pixels(image, variance, lost, *here, 7.0)
    assert image[30, 30] == 7.0
    lost[30 - 5 * dy, 30 - 5 * dx], image[30 - 5 * dy, 30 - 5 * dx] = False, 80.0
    replace_pixels(image, variance, lost, *here, 7.0)
    assert image[30, 30] == pytest.approx(40.0 + 3 / 8 * 40.0)
    # A closer pair, in length, wins: 3 + 3 steps across it.
    ay, ax = (0, 1) if dx == 0 else (1, 0)
    for side in (-3, 3):
        lost[30 + side * ay, 30 + side * ax], image[30 + side * ay, 30 + side * ax] = False, 10.0
    replace_pixels(image, variance, lost, *here, 7.0)
    assert image[30, 30] == pytest.approx(10.0)


@pytest.mark.parametrize(("steps", "value"), [(20, 50.0), (21, 7.0)])
def test_sound_pixels_are_looked_for_within_twenty_steps(steps: int, value: float) -> None:
    image, variance, lost = np.full((61, 61), 50.0, np.float32), np.ones((61, 61), np.float32), np.ones((61, 61), bool)
    lost[30, [30 - steps, 30 + steps]] = False
    replace_pixels(image, variance, lost, np.array([30]), np.array([30]), 7.0)
    assert image[30, 30] == value


@pytest.mark.parametrize("border", [0, 1, 3])
def test_peaks_are_local_maxima_off_the_border(border: int) -> None:
    rng = np.random.default_rng(border)
    image = rng.integers(0, 30, (24, 31)).astype(np.float32)
    runs = np.array([(y, 0, 30) for y in range(24)], np.int32)
    x, y, group = peak_pixels(image, runs, np.zeros(24, np.int64), 1, border, np.float32(1.0))
    expected = image == ndimage.maximum_filter(image, 3)
    edge = border + 1
    expected[:edge] = expected[-edge:] = expected[:, :edge] = expected[:, -edge:] = False
    assert expected[edge, :].any() and expected[:, -edge - 1].any() and expected[-edge - 1, :].any()
    assert list(zip(y, x, strict=True)) == list(zip(*np.nonzero(expected), strict=True)) and not group.any()
    # Holes have their peaks where they are deepest.
    again = peak_pixels(-image, runs, np.zeros(24, np.int64), 1, border, np.float32(-1.0))
    assert np.array_equal(again[0], x) and np.array_equal(again[1], y)


def test_peaks_of_a_saturated_star_become_one_in_the_middle_of_its_core() -> None:
    mask = np.zeros((60, 70), np.int32)
    mask[30:35, 40:47] = mask_bits("SAT")
    footprint = footprint_of(
        np.hypot(*np.mgrid[-32:28, -43:27]) < 14.0, peaks=make_peaks([40, 47, 52], [29, 35, 25], [900.0, 800.0, 50.0])
    )
    peaks = join_saturated_peaks(mask, footprint, mask_bits("SAT")).peaks
    assert peaks["i_x"].tolist() == [43, 52] and peaks["i_y"].tolist() == [32, 25]
    assert peaks["f_x"].tolist() == [43.0, 52.0] and peaks["f_y"].tolist() == [32.0, 25.0]
    assert peaks["peakValue"].tolist() == [900.0, 50.0]


def test_of_peaks_on_a_trail_the_brightest_stays() -> None:
    mask = np.zeros((60, 70), np.int32)
    mask[10:50, 40:42] = mask[29:32, 37:45] = mask_bits("SAT")
    footprint = footprint_of(mask != 0, peaks=make_peaks([40, 41, 41], [12, 47, 16], [900.0, 800.0, 700.0]))
    peaks = join_saturated_peaks(mask, footprint, mask_bits("SAT")).peaks
    assert peaks["i_x"].tolist() == [40] and peaks["i_y"].tolist() == [12]


def test_contrast_of_peaks_is_that_of_the_convolved_image() -> None:
    """At the peaks of noise the convolution by scipy reaches what decides, to 1e-5 of it."""
    rng = np.random.default_rng(9)
    image = rng.normal(0.0, 5.0, (50, 54)).astype(np.float32)
    variance = rng.uniform(20.0, 30.0, image.shape).astype(np.float32)
    kernel = contrast_kernel(SIGMA)
    contrast = ndimage.maximum_filter(ndimage.correlate(image.astype(float), kernel, mode="constant"), 3)
    contrast /= np.sqrt(variance * np.sum(kernel**2))
    x, y = rng.integers(2, 52, 30), rng.integers(2, 48, 30)
    footprint = footprint_of(np.ones(image.shape, bool), peaks=make_peaks(x, y, np.linspace(90, 10, 30)))
    px, py = footprint.peaks["i_x"], footprint.peaks["i_y"]
    for least in (0.5, 1.0, 1.5):
        kept = contrast[py, px] >= least
        kept[0] = True
        found = significant_peaks(image, variance, footprint, kernel, least).peaks
        assert np.array_equal(found["i_x"], px[kept]) and np.array_equal(found["i_y"], py[kept])


@pytest.mark.parametrize("statistic", ["MEANCLIP", "MEAN", "MEDIAN"])
def test_statistics_of_cells_and_their_errors(statistic: str) -> None:
    rng = np.random.default_rng(11)
    image = rng.normal(10.0, 4.0, (60, 80)).astype(np.float32)
    mask = (rng.random(image.shape) < 0.1).astype(np.int32)
    values, errors = cell_statistics(image, mask, 1, np.array([0, 30, 80]), np.array([0, 60]), statistic)
    for k, columns in enumerate((slice(0, 30), slice(30, 80))):
        good = image[:, columns][mask[:, columns] == 0].astype(float)
        mean, error = good.mean(), good.std() / np.sqrt(good.size)
        if statistic == "MEDIAN":
            # A median of normal deviates scatters by sqrt(pi / 2) of what their mean does.
            mean, error = np.median(good), 1.2533 * error
        assert values[0, k] == pytest.approx(mean, abs=1e-5 if statistic != "MEANCLIP" else 0.1 * error)
        assert errors[0, k] == pytest.approx(error, rel=0.02 if statistic == "MEANCLIP" else 1e-3)


def test_a_bend_beside_a_masked_bump_is_no_peak() -> None:
    """The difference of Gaussians is highest in a masked pixel; the ones beside it are lower, and so no maxima."""
    image = np.zeros((61, 67))
    add_gaussian(image, 30.2, 28.9, 400000.0, sigma=4.5)
    add_gaussian(image, 39.0, 32.0, 9000.0)
    image = image.astype(np.float32)
    smoothed, border = smooth(image, SIGMA)
    plain = find_footprints(smoothed, 27.0, border=border)
    variance, mask = np.full(image.shape, 100.0, np.float32), np.zeros(image.shape, np.int32)

    def n_peaks() -> int:
        return len(add_shoulder_peaks(plain, image, smoothed, variance, mask, SIGMA, 4.0).peaks)

    assert n_peaks() == len(plain.peaks) + 1
    for pixels in (np.s_[32, 39], np.s_[32, :], np.s_[:, 39]):
        mask[:] = 0
        mask[pixels] = mask_bits("CR")
        assert n_peaks() == len(plain.peaks)


def test_flux_is_shared_in_proportion_to_templates() -> None:
    rng = np.random.default_rng(13)
    image = rng.normal(50.0, 9.0, (9, 11)).astype(np.float32)
    templates = [rng.normal(1.0, 1.0, image.shape) for _ in range(3)]
    members = [rng.random(image.shape) < 0.8 for _ in range(3)]
    pixels = [template_pixels(t, m, 0, 0) for t, m in zip(templates, members, strict=True)]
    flux = apportion(image, *(np.concatenate([p[k] for p in pixels]) for k in range(3)))
    positive = [np.where(m, np.maximum(t, 0.0), 0.0) for t, m in zip(templates, members, strict=True)]
    total, n = sum(positive), 0
    for part, (ys, xs, values) in zip(positive, pixels, strict=True):
        own = flux[n : n + len(ys)]
        n += len(ys)
        assert set(zip(*np.nonzero(part), strict=True)) <= set(zip(ys.tolist(), xs.tolist(), strict=True))
        share = np.where(part > 0, image * part / np.where(total > 0, total, 1.0), 0.0)
        assert own == pytest.approx(share[ys, xs], rel=1e-5) and len(values) == len(own)


@pytest.mark.parametrize(("x0", "y0"), [(3, 4), (-3, 2), (2, -3), (9, 8), (-9, 2), (2, 40)])
def test_pixels_of_a_stamp_inside_a_blend(x0: int, y0: int) -> None:
    rng = np.random.default_rng(15)
    inside = np.zeros((14, 16), np.uint8)
    inside[1:13, 1:15] = 1
    stamp = rng.uniform(0.1, 1.0, (7, 7))
    ys, xs, values = stamp_pixels(stamp, 20.0, inside, x0, y0)
    expected = [
        (y, x, 20.0 * stamp[y - y0, x - x0])
        for y in range(14)
        for x in range(16)
        if inside[y, x] and 0 <= y - y0 < 7 and 0 <= x - x0 < 7
    ]
    assert [tuple(p) for p in zip(ys.tolist(), xs.tolist(), values.tolist(), strict=True)] == expected
