from __future__ import annotations

import logging

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hscbox.detect.background import BackgroundConfig, fit_background
from hscbox.detect.cell_statistics import cell_statistics
from hscbox.detect.source_wings import predict_wings
from hscbox.errors import BackgroundError
from hscbox.image.mask import mask_bits

WIDTH, HEIGHT = 900, 1100


def clipped_reference(values: np.ndarray) -> tuple[float, float]:
    """Clipped mean and its error, written from the definition with numpy only."""
    v = values.astype(np.float64)
    q25, q50, q75 = np.quantile(v, [0.25, 0.5, 0.75])
    kept = v[np.abs(v - q50) <= 3 * 0.741301109252802 * (q75 - q25)]
    for _ in range(2):
        kept = v[np.abs(v - kept.mean()) <= 3 * kept.std(ddof=1)]
    return kept.mean(), kept.std(ddof=1) / np.sqrt(len(kept))


def surface() -> np.ndarray:
    """A Chebyshev surface of total degree 6 with known coefficients."""
    rng = np.random.default_rng(3)
    j, i = np.indices((7, 7))
    coefficients = rng.normal(size=(7, 7)) * 20.0 / (1 + i + j) ** 2
    coefficients[i + j > 6] = 0.0
    coefficients[0, 0] = 1870.0
    x = (2 * np.arange(WIDTH) - (WIDTH - 1)) / WIDTH
    y = (2 * np.arange(HEIGHT) - (HEIGHT - 1)) / HEIGHT
    return chebyshev.chebgrid2d(y, x, coefficients)


def test_cells_agree_with_plain_numpy() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(100.0, 5.0, size=(97, 103)).astype(np.float32)
    image[rng.random(image.shape) < 0.03] += 500.0
    mask = (rng.random(image.shape) < 0.2).astype(np.int32) * 4
    image[5, 5] = np.nan
    x_edges, y_edges = np.array([0, 7, 50, 103]), np.array([0, 40, 97])
    values, errors = cell_statistics(image, mask, 4, x_edges, y_edges)
    assert values.shape == errors.shape == (2, 3)
    for j in range(2):
        for i in range(3):
            cell = np.s_[y_edges[j] : y_edges[j + 1], x_edges[i] : x_edges[i + 1]]
            good = image[cell][(mask[cell] == 0) & np.isfinite(image[cell])]
            mean, error = clipped_reference(good)
            assert values[j, i] == pytest.approx(mean, rel=1e-6)
            assert errors[j, i] == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 65, 66, 67, 1000])
def test_median_of_samples_of_any_size(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(1, n)).astype(np.float32)
    median, _ = cell_statistics(
        values, np.zeros(values.shape, np.int32), 0, np.array([0, n]), np.array([0, 1]), "MEDIAN"
    )
    assert median[0, 0] == pytest.approx(np.median(values.astype(np.float64)), abs=1e-7)


def test_masked_cell_has_no_value() -> None:
    image = np.ones((20, 20), np.float32)
    mask = np.full((20, 20), 1, np.int32)
    values, errors = cell_statistics(image, mask, 1, np.array([0, 20]), np.array([0, 20]))
    assert np.isnan(values).all() and np.isnan(errors).all()


def test_known_surface_is_recovered_beside_masked_sources() -> None:
    rng = np.random.default_rng(2)
    truth = surface()
    image = truth + rng.normal(0.0, 25.0, truth.shape)
    mask = np.zeros(truth.shape, np.int32)
    for x, y in rng.integers(0, 900, size=(60, 2)):
        area = np.s_[max(y - 12, 0) : y + 12, max(x - 12, 0) : x + 12]
        image[area] += 3000.0
        mask[area] |= mask_bits("DETECTED")
    config = BackgroundConfig()
    config.binSize = 50
    # These sources end at their masks.
    config.wingStrength = 0.0
    model = fit_background(image.astype(np.float32), mask, config)
    assert model.stats.shape == (1100 // 50 + 1, 900 // 50 + 1)
    difference = model.evaluate() - truth
    # 28 terms from 10^6 pixels of noise 25: expected rms 25 * sqrt(28 / 10^6) = 0.13; the mean of a curved cell is not
    # the value at its centre, which adds a little.
    assert np.sqrt(np.mean(difference**2)) < 0.2
    assert np.abs(difference).max() < 2.5


def test_hsc_grid_is_17_by_33() -> None:
    image = np.random.default_rng(1).normal(size=(4176, 2048)).astype(np.float32)
    model = fit_background(image, np.zeros(image.shape, np.int32), BackgroundConfig())
    assert model.stats.shape == (33, 17)
    assert np.nanmax(np.abs(model.stats)) < 5 / 120


def test_few_rows_lower_the_order(caplog: pytest.LogCaptureFixture) -> None:
    image = np.random.default_rng(4).normal(50.0, 3.0, size=(256, 2048)).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        model = fit_background(image, np.zeros(image.shape, np.int32), BackgroundConfig(), logging.getLogger("d"))
    assert model.stats.shape == (3, 17)
    assert model.approx_order == 2
    assert "reducing the order to 2" in caplog.text
    assert np.abs(model.evaluate() - 50.0).max() < 0.2


def test_no_valid_cell_is_an_error() -> None:
    image = np.zeros((300, 300), np.float32)
    mask = np.full((300, 300), mask_bits("NO_DATA"), np.int32)
    with pytest.raises(BackgroundError, match="all 9 cells"):
        fit_background(image, mask, BackgroundConfig())


def test_contradicting_orders_are_refused() -> None:
    config = BackgroundConfig()
    config.approxOrderY = 3
    with pytest.raises(ValueError, match="contradicts approxOrderX"):
        config.validate()


def aureole_scene() -> tuple[np.ndarray, np.ndarray]:
    """Return light and mask of stars whose wings fall as r^(-11/3); their masks end where the wings are at 20 ADU."""
    rng = np.random.default_rng(8)
    light, mask = np.zeros((768, 640)), np.zeros((768, 640), np.int32)
    rows, columns = np.indices(light.shape)
    for x, y, flux in zip(
        rng.uniform(0, 640, 45), rng.uniform(0, 768, 45), 10 ** rng.uniform(4.0, 5.8, 45), strict=True
    ):
        r = np.hypot(columns - x, rows - y)
        star = 0.85 * flux * np.maximum(r, 2.0) ** (-11 / 3)
        light += star * flux / star.sum()
        mask[star > 20.0] |= mask_bits("DETECTED")
    return light, mask


def test_wings_of_sources_stay_out_of_the_background() -> None:
    light, mask = aureole_scene()
    image = (light + np.random.default_rng(9).normal(0.0, 10.0, light.shape)).astype(np.float32)
    wings = light[mask == 0].mean()
    errors = {}
    for name, strength in (("2017", 0.0), ("ours", 0.85)):
        config = BackgroundConfig()
        config.wingStrength, config.cellRejection = strength, 0.0
        errors[name] = float(fit_background(image, mask, config).evaluate().mean())
    # The mean of 490,000 pixels of noise 10 is known to 0.015.
    assert wings > 0.25
    assert errors["2017"] == pytest.approx(wings, abs=0.1)
    assert abs(errors["ours"]) < 0.06


def test_crowded_wings_leave_half_of_the_sky() -> None:
    image = np.random.default_rng(10).normal(3.0, 5.0, (512, 512)).astype(np.float32)
    mask = np.zeros(image.shape, np.int32)
    # One source so bright that its wings exceed the limit everywhere.
    image[:90, :90] += 1e5
    mask[:100, :100] = mask_bits("DETECTED")
    ignored = mask_bits("DETECTED")
    wings = predict_wings(image, mask, ignored, 0, ignored, 0.85, 0.025)
    assert wings is not None and wings.level.shape == (64, 64)
    kept = (np.kron(wings.level, np.ones((8, 8))) <= wings.masked_above) & (mask == 0)
    assert 0.5 <= kept.sum() / (mask == 0).sum() < 0.52
    model = fit_background(image, mask, BackgroundConfig())
    # At most the limit, 0.025 standard deviations, is subtracted from a pixel.
    assert model.evaluate()[256:, 256:].mean() == pytest.approx(3.0 - 0.025 * 5.0, abs=0.1)


def test_wings_of_one_source_are_its_profile() -> None:
    image, mask = (
        np.random.default_rng(4).normal(0.0, 1.0, (160, 240)).astype(np.float32),
        np.zeros((160, 240), np.int32),
    )
    image[68, 124], mask[68, 124] = 1e6, 1
    image[20, 20], mask[20, 20] = 1e6, 3
    wings = predict_wings(image, mask, 1, 2, 3, 0.85, 0.025)
    assert wings is not None
    # Centres of blocks: 8 k + 3.5; the spoilt pixel gives nothing.
    for column in (3, 8, 28):
        assert wings.level[8, column] == pytest.approx(0.85e6 * (8 * abs(column - 15)) ** (-11 / 3), abs=1e-4)


def test_cells_full_of_a_galaxy_are_left_out() -> None:
    rng = np.random.default_rng(12)
    image = rng.normal(20.0, 10.0, (1100, 900))
    y, x = np.indices(image.shape)
    image += 12.0 * np.exp(-0.5 * ((x - 320) ** 2 + (y - 750) ** 2) / 60.0**2)
    config = BackgroundConfig()
    config.binSize = 50
    model = fit_background(image.astype(np.float32), np.zeros(image.shape, np.int32), config)
    assert np.isnan(model.stats[750 // 50, 320 // 50])
    ours = np.abs(model.evaluate() - 20.0).max()
    config.cellRejection = 0.0
    theirs = np.abs(fit_background(image.astype(np.float32), np.zeros(image.shape, np.int32), config).evaluate() - 20.0)
    assert ours < 1.5 < 0.5 * theirs.max()


@pytest.mark.parametrize("part", [np.s_[:, 450:], np.s_[550:], np.s_[:, 225:450]])
def test_lost_half_does_not_bend_the_rest(part: tuple[slice, ...]) -> None:
    """Half of the CCD without light, or one amplifier at zero."""
    truth = surface()
    image = (truth + np.random.default_rng(5).normal(0.0, 25.0, truth.shape)).astype(np.float32)
    mask = np.zeros(image.shape, np.int32)
    image[part], mask[part] = 0.0, mask_bits("NO_DATA")
    config = BackgroundConfig()
    config.binSize = 50
    model = fit_background(image, mask, config)
    error = (model.evaluate() - truth)[mask == 0]
    assert np.sqrt(np.mean(error**2)) < 0.6
    assert np.isfinite(model.evaluate()).all()


def test_image_smaller_than_a_cell() -> None:
    image = np.random.default_rng(7).normal(7.0, 2.0, (50, 90)).astype(np.float32)
    model = fit_background(image, np.zeros(image.shape, np.int32), BackgroundConfig())
    assert model.stats.shape == (1, 1) and model.approx_order == 0
    np.testing.assert_allclose(model.evaluate(), model.stats[0, 0], rtol=1e-6)


def test_image_and_backgrounds_restore_the_sky() -> None:
    truth = surface()
    flattened = (truth + np.random.default_rng(5).normal(0.0, 25.0, truth.shape)).astype(np.float32)
    image, total = flattened.copy(), np.zeros(truth.shape)
    for _ in range(3):
        model = fit_background(image, np.zeros(image.shape, np.int32), BackgroundConfig())
        image -= model.evaluate()
        total += model.evaluate()
    # Each subtraction rounds a number near 1870 to half of its last bit.
    assert np.abs(image + total - flattened).max() <= 3 * 0.5 * np.spacing(np.float32(2047.0))
