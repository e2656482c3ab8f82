from __future__ import annotations

import numpy as np
import pytest

from hscbox.image.psf import DoubleGaussianPsf, GaussianPsf, KernelPsf, Psf, PsfexPsf, polynomial_basis
from hscbox.numerics.adaptive_moments import adaptive_moments


def gaussian_components(sxx: float, syy: float, sxy: float, samples: int = 81) -> np.ndarray:
    """Samples of 0.5 px of a Gaussian of known covariance [px^2]."""
    grid = (np.arange(samples) - samples // 2) * 0.5
    inverse = np.linalg.inv([[sxx, sxy], [sxy, syy]])
    x, y = grid[None, :], grid[:, None]
    return np.exp(-0.5 * (inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2))


def constant_psf(sxx: float, syy: float, sxy: float) -> PsfexPsf:
    components = gaussian_components(sxx, syy, sxy)[None].astype(np.float32)
    return PsfexPsf(components, 0.5, 0, (0.0, 0.0), (1.0, 1.0), (7.0, 9.0))


def kernel_psf() -> KernelPsf:
    return KernelPsf(GaussianPsf(21, 2.0).kernel_image()[None], [[1.0]], (5.0, 6.0))


@pytest.mark.parametrize(
    "psf",
    [GaussianPsf(41, 2.0), DoubleGaussianPsf(41, 1.5, 3.0, 0.1), constant_psf(4.5, 3.2, 0.7), kernel_psf()],
    ids=repr,
)
@pytest.mark.parametrize("position", [(100.0, 200.0), (1000.3, 2000.75), (17.5, 18.49), (-0.6, 3.2)])
def test_images_are_centred_and_normalised(psf: Psf, position: tuple[float, float]) -> None:
    x, y = position
    stamp, x0, y0 = psf.image(x, y)
    half = psf.size // 2
    assert stamp.shape == (psf.size, psf.size)
    assert (x0 + half, y0 + half) == (np.floor(x + 0.5), np.floor(y + 0.5))
    assert stamp.sum() == pytest.approx(1.0, abs=1e-12)
    rows, columns = np.mgrid[: psf.size, : psf.size]
    # Normalised Lanczos kernels keep constants but not slopes: a ripple of 0.02 samples (Lanczos-3) or pixels (-5).
    tolerance = 1e-4 if isinstance(psf, DoubleGaussianPsf) else 0.012
    assert (stamp * columns).sum() + x0 == pytest.approx(x, abs=tolerance)
    assert (stamp * rows).sum() + y0 == pytest.approx(y, abs=tolerance)


def test_components_reproduce_the_moments_of_the_gaussian_they_sample() -> None:
    psf = constant_psf(4.5, 3.2, 0.7)
    assert psf.size == 41
    # Interpolation with a kernel of finite width blurs by a few 1e-3 px^2.
    assert psf.shape(3.0, 4.0) == pytest.approx((4.5, 3.2, 0.7), abs=5e-3)
    assert psf.determinant_radius() == pytest.approx((4.5 * 3.2 - 0.7**2) ** 0.25, abs=2e-3)


def test_kernel_image_takes_every_second_sample() -> None:
    psf = constant_psf(4.5, 3.2, 0.7)
    expected = gaussian_components(4.5, 3.2, 0.7)[::2, ::2]
    assert np.allclose(psf.kernel_image(), expected / expected.sum(), rtol=0, atol=1e-8)


def test_half_pixel_offset_takes_the_samples_between() -> None:
    # Half a pixel is one sample of 0.5 px: no interpolation is left.
    psf = constant_psf(4.5, 3.2, 0.7)
    stamp, x0, y0 = psf.image(9.5, 12.0)
    assert (x0, y0) == (10 - 20, 12 - 20)
    expected = np.zeros((41, 41))
    samples = gaussian_components(4.5, 3.2, 0.7)
    expected[:, :-1] = samples[::2, 1::2]
    assert np.allclose(stamp, expected / expected.sum(), rtol=0, atol=1e-8)


def test_spatial_variation(psfex: PsfexPsf) -> None:
    x, y = 1500.0, 3100.0
    u, v = 500.0 / 1800.0, 1100.0 / 3900.0
    weights = [1.0, u, u * u, v, u * v, v * v]
    expected = sum(w * c.astype(float) for w, c in zip(weights, psfex.components, strict=True))[::2, ::2]
    assert np.allclose(psfex.kernel_image(x, y), expected / expected.sum(), rtol=0, atol=1e-12)


def test_basis_order() -> None:
    u, v = np.array([2.0]), np.array([3.0])
    assert polynomial_basis(u, v, 2)[0].tolist() == [1, 2, 4, 3, 6, 9]


def test_batch_equals_single_calls(psfex: PsfexPsf) -> None:
    xs, ys = np.array([10.2, 1500.5, 2047.9]), np.array([4100.4, 0.1, 2222.5])
    stamps, x0s, y0s = psfex.images(xs, ys)
    for k in range(3):
        stamp, x0, y0 = psfex.image(xs[k], ys[k])
        assert np.array_equal(stamps[k], stamp) and (x0s[k], y0s[k]) == (x0, y0)
        assert psfex.shape(xs[k], ys[k]) == tuple(psfex.shapes(xs, ys)[k])


def test_centred_stamps_do_not_depend_on_their_company(psfex: PsfexPsf) -> None:
    """A star on the middle of a pixel has the kernel's image, among others that are not."""
    stamps, _, _ = psfex.images([10.0, 10.3, 400.0], [20.0, 20.4, 300.0])
    np.testing.assert_allclose(stamps[0], psfex.kernel_image(10.0, 20.0), rtol=0, atol=1e-15)
    np.testing.assert_allclose(stamps[2], psfex.kernel_image(400.0, 300.0), rtol=0, atol=1e-15)


def test_no_positions(psfex: PsfexPsf) -> None:
    assert psfex.images([], [])[0].shape == (0, 21, 21)
    assert psfex.shapes([], []).shape == (0, 3)


def test_shifted_psf_is_the_same_psf_elsewhere(psfex: PsfexPsf) -> None:
    moved = psfex.shifted(-100, -200)
    assert np.allclose(moved.kernel_image(900, 800), psfex.kernel_image(1000, 1000), rtol=0, atol=1e-15)
    assert moved.average_position == (911.5, 1840.25)


def test_gaussian_values() -> None:
    stamp = GaussianPsf(11, 1.5).kernel_image()
    assert stamp[5, 7] / stamp[5, 5] == pytest.approx(np.exp(-4 / (2 * 1.5**2)))
    # Of the unit Gaussian 1/(2 pi sigma^2) lies in the central pixel, nearly.
    assert stamp[5, 5] == pytest.approx(1 / (2 * np.pi * 1.5**2), rel=1e-3)


@pytest.mark.parametrize("make", [lambda: GaussianPsf(10, 1.5), lambda: GaussianPsf(11, 0.0)])
def test_impossible_psfs(make: object) -> None:
    with pytest.raises(ValueError):
        make()  # type: ignore[operator]


def test_no_array_leads_into_a_psf() -> None:
    samples = np.asfortranarray(gaussian_components(4.0, 4.0, 0.0)[None].astype(np.float32))
    kernels = GaussianPsf(21, 2.0).kernel_image()[None]
    for given, psf in (
        (samples, PsfexPsf(samples, 0.5, 0, (0.0, 0.0), (1.0, 1.0), (7.0, 9.0))),
        (kernels, KernelPsf(kernels, [[1.0]], (5.0, 6.0))),
        (np.zeros(1), GaussianPsf(21, 2.0)),
    ):
        before = psf.kernel_image()
        given[...] = 3.0
        for stamps in (psf.kernel_image(), psf.image(3.2, 4.6)[0], psf.kernel_images([1.0], [2.0])):
            stamps[...] = 5.0
        for array in (value for name, value in vars(psf).items() if not name.startswith("_")):
            if isinstance(array, np.ndarray):
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 7.0
        assert np.array_equal(psf.kernel_image(), before)


def test_wrong_number_of_components() -> None:
    with pytest.raises(ValueError, match="degree 2"):
        PsfexPsf(np.ones((5, 9, 9), np.float32), 0.5, 2, (0, 0), (1, 1), (0, 0))


def test_moments_of_the_psf_at_a_fractional_position() -> None:
    stamp, x0, y0 = GaussianPsf(41, 2.0).image(100.3, 200.6)
    moments = adaptive_moments(stamp, 100.3 - x0, 200.6 - y0)
    assert (moments.xx, moments.yy, moments.xy) == pytest.approx((4.0, 4.0, 0.0), abs=2e-4)
