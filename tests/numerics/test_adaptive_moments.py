from __future__ import annotations

import galsim
import numpy as np
import pytest

from hscbox.numerics.adaptive_moments import SHIFT, UNWEIGHTED, UNWEIGHTED_BAD, adaptive_moments


def gaussian(
    xx: float, yy: float, xy: float, flux: float, x: float, y: float, shape: tuple[int, int] = (61, 75)
) -> np.ndarray:
    """Surface brightness at the pixel centres of a Gaussian of known covariance."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    dx, dy, det = columns - x, rows - y, xx * yy - xy * xy
    return flux / (2 * np.pi * np.sqrt(det)) * np.exp(-0.5 * (dx * dx * yy + dy * dy * xx - 2 * dx * dy * xy) / det)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("xx", "yy", "xy"), [(4.0, 4.0, 0.0), (9.0, 3.0, 2.0), (2.2, 12.0, -3.0), (1.2, 1.0, 0.2)])
def test_gaussians_give_their_covariance(dtype: type, xx: float, yy: float, xy: float) -> None:
    image = gaussian(xx, yy, xy, 1234.0, 37.3, 29.8).astype(dtype)
    result = adaptive_moments(image, 37.3, 29.8)
    assert result.flags == 0
    # The weight is cut at r^T W^-1 r = 14, and the iteration stops when sizes change by less than 1e-4.
    assert (result.xx, result.yy, result.xy) == pytest.approx((xx, yy, xy), rel=2e-3, abs=2e-3)
    assert (result.x, result.y) == pytest.approx((37.3, 29.8), abs=1e-3)
    assert result.flux == pytest.approx(1234.0, rel=2e-3)
    assert result.peak == pytest.approx(1234.0 / (2 * np.pi * np.sqrt(xx * yy - xy * xy)), rel=2e-3)


def test_agrees_with_galsim_on_a_galaxy() -> None:
    profile = galsim.Convolve(
        galsim.Exponential(half_light_radius=3.0).shear(e1=0.3, e2=-0.1), galsim.Moffat(3.0, fwhm=4.0)
    )
    image = profile.drawImage(nx=81, ny=81, scale=1.0)
    theirs = galsim.hsm.FindAdaptiveMom(image)
    result = adaptive_moments(image.array, theirs.moments_centroid.x - 1, theirs.moments_centroid.y - 1)
    assert result.flags == 0
    assert np.sqrt(np.sqrt(result.xx * result.yy - result.xy**2)) == pytest.approx(theirs.moments_sigma, rel=1e-3)
    trace = result.xx + result.yy
    shear = theirs.observed_shape
    assert ((result.xx - result.yy) / trace, 2 * result.xy / trace) == pytest.approx((shear.e1, shear.e2), abs=1e-3)


def test_an_object_narrower_than_a_pixel() -> None:
    # Variance of the pixel-averaged Gaussian: 0.35^2 + 1/12.
    image = galsim.Gaussian(sigma=0.35, flux=50.0).drawImage(nx=21, ny=21, scale=1.0).array
    result = adaptive_moments(image, 10.0, 10.0)
    assert result.flags == 0
    assert result.xx == pytest.approx(result.yy, rel=1e-4)
    # The 4 x 4 points stand for the pixel's square, so the pixel is not counted twice.
    assert 0.35**2 < result.xx < 0.35**2 + 2 / 12


def test_one_bright_pixel_has_no_moments() -> None:
    image = np.zeros((21, 23))
    image[10, 11] = 50.0
    assert adaptive_moments(image, 11.0, 10.0).flags == UNWEIGHTED | UNWEIGHTED_BAD


def test_integer_centres_are_accepted() -> None:
    image = gaussian(4.0, 5.0, 0.0, 10.0, 30.0, 20.0)
    assert adaptive_moments(image, 30, 20) == adaptive_moments(image, 30.0, 20.0)


def test_empty_image_is_bad() -> None:
    result = adaptive_moments(np.zeros((30, 30)), 15.0, 15.0)
    assert result.flags == UNWEIGHTED | UNWEIGHTED_BAD
    assert (result.xx, result.yy, result.xy) == (1 / 12, 1 / 12, 0.0)
    assert np.isnan(result.flux)


def test_wrong_centre_is_flagged() -> None:
    result = adaptive_moments(gaussian(4.0, 4.0, 0.0, 100.0, 33.0, 30.0), 28.0, 30.0)
    assert result.flags & SHIFT


def test_nan_is_survived() -> None:
    image = gaussian(4.0, 4.0, 0.0, 100.0, 30.0, 30.0)
    image[30, 31] = np.nan
    assert adaptive_moments(image, 30.0, 30.0).flags & UNWEIGHTED_BAD


@pytest.mark.parametrize("position", [(-5.0, 10.0), (500.0, 500.0)])
def test_centre_outside_the_image(position: tuple[float, float]) -> None:
    assert adaptive_moments(np.ones((20, 30)), *position).flags & UNWEIGHTED
