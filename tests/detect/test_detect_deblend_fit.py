"""Fits of PSFs to the peaks of a blend against dense least squares by numpy, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hscbox.detect.deblend_psf_fit import fit_peaks
from hscbox.detect.deblend_templates import has_flux_at_border
from hscbox.image.psf import GaussianPsf

SHAPE = (44, 52)
INNER, OUTER = 4, 6


def drawn(x: list[int], y: list[int], sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Narrow stamps: their outermost pixels hold a per cent of the middle one.
    psf = GaussianPsf(9, sigma)
    images = [psf.image(px + 0.2, py - 0.1) for px, py in zip(x, y, strict=True)]
    return np.stack([i[0] for i in images]), np.array([i[1] for i in images]), np.array([i[2] for i in images])


def plane(stamp: np.ndarray, x0: int, y0: int) -> np.ndarray:
    """Return a stamp in a plane of the image's shape with a margin of 20 around it."""
    wide = np.zeros((SHAPE[0] + 40, SHAPE[1] + 40))
    wide[y0 + 20 : y0 + 20 + stamp.shape[0], x0 + 20 : x0 + 20 + stamp.shape[1]] = stamp
    return wide


def slope(wide: np.ndarray, axis: int) -> np.ndarray:
    """The derivative from five points (Abramowitz & Stegun 25.3.6)."""
    f = [np.roll(wide, -k, axis) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / 12


@pytest.mark.parametrize("derivatives", [False, True])
def test_fits_are_weighted_least_squares(derivatives: bool) -> None:
    rng = np.random.default_rng(4)
    # A pair, two near corners, one that is listed twice and one beside it.
    peak_x, peak_y = [20, 25, 2, 50, 40, 40, 44], [20, 23, 41, 3, 30, 30, 33]
    image = rng.normal(0.0, 3.0, SHAPE).astype(np.float32)
    variance = rng.uniform(5.0, 15.0, SHAPE).astype(np.float32)
    others = drawn(peak_x, peak_y, 1.4)
    own = drawn(peak_x, peak_y, 1.6)
    for stamp, x0, y0 in zip(*own, strict=True):
        image += 900.0 * plane(stamp, x0, y0)[20:-20, 20:-20].astype(np.float32)
    inside = (rng.random(SHAPE) < 0.95).astype(np.uint8)
    image[21, 22], image[24, 24], variance[18, 19], variance[22, 22] = np.nan, np.inf, 0.0, np.nan
    region = (image, variance, inside, INNER, OUTER, 2)
    peaks = (np.array(peak_x), np.array(peak_y), *others)
    which = np.arange(len(peak_x))
    results = fit_peaks(region, peaks, which, *own, derivatives)
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for i in which:
        dx, dy = u - peak_x[i], v - peak_y[i]
        ramp = np.clip((OUTER - np.hypot(dx, dy)) / (OUTER - INNER), 0.0, 1.0)
        used = (ramp > 0) & (inside != 0) & np.isfinite(image) & (variance > 0)
        wide = plane(own[0][i], own[1][i], own[2][i])
        terms = [wide[20:-20, 20:-20], np.ones(SHAPE), dx, dy]
        for k in which:
            far = (peak_x[k] - peak_x[i]) ** 2 + (peak_y[k] - peak_y[i]) ** 2
            # Farther than the radius of the fit and half a stamp.
            if k != i and far < (OUTER + 4) ** 2:
                terms.append(plane(others[0][k], others[1][k], others[2][k])[20:-20, 20:-20])
        if derivatives:
            terms += [-slope(wide, axis)[20:-20, 20:-20] for axis in (1, 0)]
        root = np.sqrt(ramp[used] / variance[used])
        rows = np.stack([term[used] for term in terms], axis=1) * root[:, None]
        solution = np.linalg.lstsq(rows, image[used] * root, rcond=None)[0]
        chi2 = np.sum((image[used] * root - rows @ solution) ** 2)
        assert results[i, 0] == pytest.approx(solution[0], rel=1e-5)
        assert results[i, 1] == pytest.approx(chi2 / (ramp[used].sum() - len(terms)), rel=1e-5)
        shift = solution[-2:] / solution[0] if derivatives else np.zeros(2)
        assert results[i, 2:] == pytest.approx(shift, rel=1e-4, abs=1e-7)


def test_no_more_than_sixteen_neighbours_the_nearest_count() -> None:
    """Of seventeen neighbours one is not fitted: that at (-5, -5), the farthest; here it has light."""
    places = [(x, y) for x in (-5, -2, 1, 4) for y in (-5, -2, 1, 4)]
    peak_x, peak_y = [25, *(25 + x for x, _ in places), 21], [20, *(20 + y for _, y in places), 25]
    stamps = drawn(peak_x, peak_y, 0.8)
    image = np.zeros(SHAPE, np.float32)
    for k, light in ((0, 500.0), (1, 3000.0)):
        image += light * plane(stamps[0][k], stamps[1][k], stamps[2][k])[20:-20, 20:-20].astype(np.float32)
    region = (image, np.ones(SHAPE, np.float32), np.ones(SHAPE, np.uint8), 7, 9, 2)
    peaks = (np.array(peak_x), np.array(peak_y), *stamps)
    first = np.array([0])
    without_farthest = fit_peaks(region, peaks, first, *(s[:1] for s in stamps), False)
    peaks = tuple(np.delete(p, 17, axis=0) for p in peaks)
    with_all = fit_peaks(region, peaks, first, *(s[:1] for s in stamps), False)
    assert with_all[0, :2] == pytest.approx([500.0, 0.0], abs=0.01)
    assert without_farthest[0, 1] > 1.0


@pytest.mark.parametrize(("width", "height", "fits"), [(3, 9, True), (9, 3, True), (2, 9, False), (9, 2, False)])
def test_tiny_regions_and_few_pixels_have_no_point_source(width: int, height: int, fits: bool) -> None:
    stamps = drawn([20], [20], 1.4)
    inside = np.zeros(SHAPE, np.uint8)
    inside[20 : 20 + height, 20 : 20 + width] = 1
    region = (np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32), inside, INNER, OUTER, 2)
    result = fit_peaks(region, (np.array([20]), np.array([20]), *stamps), np.array([0]), *stamps, False)
    assert np.isfinite(result[0, 1]) == fits


def test_border_of_a_template_is_what_erosion_takes() -> None:
    rng = np.random.default_rng(6)
    for _ in range(40):
        member = rng.random((7, 9)) < 0.85
        values = rng.uniform(0.0, 10.0, member.shape)
        border = member & ~ndimage.binary_erosion(member)
        highest = values[border].max()
        assert has_flux_at_border(values, member, highest - 1e-9)
        assert not has_flux_at_border(values, member, highest)
