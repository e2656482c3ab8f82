from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hscbox.detect.footprints import disc_half_widths, find_footprints, grow_footprints
from hscbox.numerics.convolve import gaussian_kernel, kernel_width, smooth

EIGHT = np.ones((3, 3))


def disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x * x + y * y <= radius * radius


def noise(shape: tuple[int, int] = (80, 61), seed: int = 1) -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2).astype(np.float32)


def brute_force(member: np.ndarray) -> list[np.ndarray]:
    """Masks of the 8-connected groups in the order of their first pixel in raster order."""
    labels, n = ndimage.label(member, structure=EIGHT)
    groups = [labels == k for k in range(1, n + 1)]
    return sorted(groups, key=lambda group: int(np.argmax(group.ravel())))


def as_mask(footprint: object, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[footprint.indices()] = True  # type: ignore[attr-defined]
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_labels_agree_with_scipy(seed: int) -> None:
    image = noise(seed=seed)
    expected = brute_force(image >= 0.25)
    found = find_footprints(image, 0.25).footprints()
    assert len(found) == len(expected) > 20
    for footprint, mask in zip(found, expected, strict=True):
        np.testing.assert_array_equal(as_mask(footprint, image.shape), mask)


@pytest.mark.parametrize("seed", range(3))
def test_growth_agrees_with_scipy(seed: int) -> None:
    image = noise(seed=10 + seed)
    expected = brute_force(ndimage.binary_dilation(image >= 0.45, structure=disc(4)))
    found = find_footprints(image, 0.45)
    grown = grow_footprints(found, 4, image.shape)
    assert 1 < grown.n < found.n
    assert len(grown.peaks) == len(found.peaks)
    for footprint, mask in zip(grown.footprints(), expected, strict=True):
        np.testing.assert_array_equal(as_mask(footprint, image.shape), mask)
        peaks = footprint.peaks
        assert mask[peaks["i_y"], peaks["i_x"]].all()
        assert (np.diff(peaks["peakValue"]) <= 0).all()


def test_diamond_growth() -> None:
    image = np.zeros((21, 21), np.float32)
    image[10, 10] = 5.0
    grown = grow_footprints(find_footprints(image, 1.0), 3, image.shape, isotropic=False).footprints()[0]
    y, x = np.mgrid[-10:11, -10:11]
    np.testing.assert_array_equal(as_mask(grown, image.shape), np.abs(x) + np.abs(y) <= 3)
    assert disc_half_widths(2).tolist() == [0, 1, 2, 1, 0]


def test_peaks_agree_with_maximum_filter() -> None:
    image = noise(seed=4)
    found = find_footprints(image, 0.2)
    brightest = (image == ndimage.maximum_filter(image, 3)) & (image >= 0.2)
    brightest[0] = brightest[-1] = False
    brightest[:, 0] = brightest[:, -1] = False
    got = np.zeros(image.shape, bool)
    got[found.peaks["i_y"], found.peaks["i_x"]] = True
    # Footprints whose brightest pixel lies in the outermost rows have one more peak, there.
    assert (got & ~brightest).sum() == sum(not brightest[as_mask(f, image.shape)].any() for f in found.footprints())
    np.testing.assert_array_equal(got & brightest, brightest)


def test_plateau_has_a_peak_for_every_pixel() -> None:
    image = np.zeros((9, 12), np.float32)
    image[3:6, 4:7] = [[2, 3, 3], [1, 3, 2], [1, 1, 1]]
    peaks = find_footprints(image, 1.0).footprints()[0].peaks
    # Ties: by x, then y.
    assert [(p["i_x"], p["i_y"]) for p in peaks] == [(5, 3), (5, 4), (6, 3)]
    assert peaks["f_x"].tolist() == [5.0, 5.0, 6.0]


def test_include_multiplier_and_smallest_area() -> None:
    image = np.zeros((12, 30), np.float32)
    image[5, 3:6] = [5, 60, 5]
    image[5, 10:13] = [5, 40, 5]
    image[5, 20] = 90
    kept = find_footprints(image, 5.0, include_multiplier=10.0).footprints()
    assert [int(f.peaks["i_x"][0]) for f in kept] == [4, 20]
    kept = find_footprints(image, 5.0, include_multiplier=10.0, min_pixels=2).footprints()
    assert [int(f.peaks["i_x"][0]) for f in kept] == [4]


def test_negative_footprints_and_nan() -> None:
    image = np.zeros((12, 12), np.float32)
    image[4, 4], image[8, 8], image[2, 9] = -7.0, 7.0, np.nan
    found = find_footprints(image, 5.0, negative=True)
    assert found.n == 1
    assert (found.peaks["i_x"][0], found.peaks["peakValue"][0]) == (4, -7.0)


def test_nothing_above_the_threshold() -> None:
    found = find_footprints(np.zeros((9, 9), np.float32), 1.0)
    assert found.n == 0 and found.footprints() == []
    assert grow_footprints(found, 3, (9, 9)).n == 0


@pytest.mark.parametrize(("sigma", "width"), [(1.5, 11), (1.3, 9), (1.0, 7), (2.0, 15)])
def test_kernel_width(sigma: float, width: int) -> None:
    assert kernel_width(sigma) == width


def test_smoothing_agrees_with_scipy() -> None:
    image = np.random.default_rng(6).normal(size=(60, 47)).astype(np.float32)
    smoothed, border = smooth(image, 1.5)
    assert border == 5
    kernel = gaussian_kernel(1.5, 11)
    expected = ndimage.convolve1d(ndimage.convolve1d(image.astype(float), kernel, axis=0), kernel, axis=1)
    np.testing.assert_allclose(smoothed[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-6)
    assert np.isnan(smoothed).sum() == 60 * 47 - 50 * 37


def test_image_smaller_than_the_kernel() -> None:
    smoothed, _ = smooth(np.ones((8, 40), np.float32), 1.5)
    assert np.isnan(smoothed).all()
