from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hscbox.errors import BackgroundError, DamagedInputError
from hscbox.image.background import BackgroundModel, cell_starts
from hscbox.products.background import read_backgrounds, write_backgrounds

WIDTH, HEIGHT = 512, 1050


def smooth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A polynomial of degree 3, which the surface contains."""
    u, v = x / 300 - 0.7, y / 500 - 1.1
    return 800 + 20 * u - 30 * v + 7 * u * v - 4 * u**3 + 3 * u * v**2


def model(order: int = 6, seed: int = 0) -> BackgroundModel:
    nx, ny = WIDTH // 128 + 1, HEIGHT // 128 + 1
    nx, ny = max(nx, 9), max(ny, 11)
    empty = BackgroundModel(
        np.zeros((ny, nx), np.float32), np.zeros((ny, nx), np.int32), np.ones((ny, nx), np.float32), WIDTH, HEIGHT
    )
    x, y = empty.cell_centres()
    grid_x, grid_y = np.meshgrid(x, y)
    error = np.random.default_rng(seed).uniform(0.5, 2.0, (ny, nx)).astype(np.float32)
    return BackgroundModel(smooth(grid_x, grid_y).astype(np.float32), empty.mask, error, WIDTH, HEIGHT, order)


def test_cells_of_a_full_ccd() -> None:
    # 17 x 33 cells; integer rule of the original.
    starts = cell_starts(2048, 17)
    assert len(starts) == 18 and starts[0] == 0 and starts[-1] == 2048
    assert starts[1] == (2048 + 8) // 17 and set(np.diff(starts)) == {120, 121}
    assert len(cell_starts(4176, 33)) == 34


def test_surface_reproduces_a_polynomial() -> None:
    image = model().evaluate()
    assert image.shape == (HEIGHT, WIDTH) and image.dtype == np.float32
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    assert np.abs(image - smooth(x, y)).max() < 1e-3


def test_evaluate_equals_the_surface_pixel_by_pixel() -> None:
    background = model()
    image = background.evaluate()
    for x, y in [(0, 0), (511, 1049), (17, 900)]:
        assert image[y, x] == np.float32(background.surface().evaluate(x, y))


def test_cells_without_value_or_error_are_skipped() -> None:
    background = model()
    background.stats[3, 4] = np.nan
    background.stats[5, 2], background.error[5, 2] = 1e6, np.inf
    background.stats[6, 1], background.error[6, 1] = 1e6, np.nan
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    # An infinite error means weight 0.
    assert np.abs(background.evaluate() - smooth(x, y)).max() < 1e-3


def test_weights_follow_the_errors() -> None:
    # Order 0: the weighted mean, weights 1/error as in the normal equations of the original.
    background = BackgroundModel(
        np.array([[10.0, 40.0]], np.float32),
        np.zeros((1, 2), np.int32),
        np.array([[1.0, 2.0]], np.float32),
        8,
        4,
        0,
    )
    assert background.evaluate()[0, 0] == pytest.approx((10 + 40 / 2) / 1.5)
    unweighted = BackgroundModel(background.stats, background.mask, background.error, 8, 4, 0, weighting=False)
    assert unweighted.evaluate()[3, 7] == pytest.approx(25.0)


def test_too_few_cells() -> None:
    background = model()
    background.stats[:, 2:] = np.nan
    background.stats[3:, :] = np.nan
    with pytest.raises(BackgroundError, match="6 of 99 background cells"):
        background.evaluate()


def test_round_trip(tmp_path: Path) -> None:
    written = [model(), model(3, seed=1)]
    written[1].mask[2, 3] = 1 << 5
    write_backgrounds(tmp_path / "bkgd.fits", written)
    for ours, back in zip(written, read_backgrounds(tmp_path / "bkgd.fits"), strict=True):
        assert np.array_equal(ours.stats, back.stats) and np.array_equal(ours.mask, back.mask)
        assert np.array_equal(ours.error, back.error)
        assert (back.width, back.height, back.approx_order, back.weighting) == (
            WIDTH,
            HEIGHT,
            ours.approx_order,
            True,
        )
        assert np.array_equal(ours.evaluate(), back.evaluate())


def test_layout(tmp_path: Path) -> None:
    write_backgrounds(tmp_path / "bkgd.fits", [model()] * 4)
    with fits.open(tmp_path / "bkgd.fits", checksum=True) as hdus:
        assert len(hdus) == 12
        assert [hdu.header["BITPIX"] for hdu in hdus[:3]] == [-32, 32, -32]
        assert all(hdu.data.shape == (11, 9) for hdu in hdus)
        for hdu in hdus:
            values = [
                hdu.header[key]
                for key in ("INTERPSTYLE", "UNDERSAMPLESTYLE", "APPROXSTYLE", "APPROXORDERX", "APPROXORDERY")
            ]
            assert values == [5, 1, 0, 6, 6]
            assert hdu.header["APPROXWEIGHTING"] is True
            assert [hdu.header[key] for key in ("BKGD_X0", "BKGD_Y0", "BKGD_WIDTH", "BKGD_HEIGHT")] == [
                0,
                0,
                WIDTH,
                HEIGHT,
            ]
            assert hdu.header["CRPIX1A"] == 1 and "EXTTYPE" not in hdu.header
        assert hdus[1].header["MP_NO_DATA"] == 8


def test_damage(tmp_path: Path) -> None:
    path = tmp_path / "bkgd.fits"
    write_backgrounds(path, [model()])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3 // 2880 * 2880])
    with pytest.raises(DamagedInputError):
        read_backgrounds(path)
    fits.HDUList([fits.PrimaryHDU(np.zeros((2, 2))), fits.ImageHDU(), fits.ImageHDU()]).writeto(path, overwrite=True)
    with pytest.raises(DamagedInputError, match="no list of backgrounds"):
        read_backgrounds(path)
