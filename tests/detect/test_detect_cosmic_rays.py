from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import ndimage

from hscbox.detect.cosmic_ray_steepness import steepness_of
from hscbox.detect.cosmic_ray_values import replace_pixels
from hscbox.detect.cosmic_rays import find_cosmic_rays
from hscbox.detect.repair import RepairConfig, RepairTask
from hscbox.errors import TooManyCosmicRaysError
from hscbox.image.mask import mask_bits
from hscbox.image.psf import GaussianPsf

from .scenes import SIGMA, add_gaussian, exposure_of

CR = mask_bits("CR")


def tracks(shape: tuple[int, int], n: int, seed: int = 1) -> np.ndarray:
    """Straight tracks of 1 to 15 pixels with 300 to 3000 counts per pixel of length."""
    rng = np.random.default_rng(seed)
    charge = np.zeros(shape)
    for _ in range(n):
        length, angle, per_pixel = rng.uniform(1, 15), rng.uniform(0, np.pi), rng.uniform(300, 3000)
        x, y = rng.uniform(20, shape[1] - 20), rng.uniform(20, shape[0] - 20)
        for t in np.arange(0, length, 0.1):
            charge[int(y + t * np.sin(angle)), int(x + t * np.cos(angle))] += 0.1 * per_pixel
    return charge


def stars() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = np.zeros((600, 500))
    positions = rng.uniform(20, [480, 580], size=(120, 2))
    for (x, y), flux in zip(positions, 10 ** rng.uniform(3.3, 5.8, 120), strict=True):
        add_gaussian(truth, x, y, flux)
    return truth, positions


def test_tracks_are_found_and_stars_are_not() -> None:
    truth, positions = stars()
    charge = tracks(truth.shape, 80)
    exposure = exposure_of(truth)
    exposure.image += charge.astype(np.float32)
    before = exposure.image.copy()
    RepairTask(RepairConfig(), "t").run(exposure, keep_crs=True)
    np.testing.assert_array_equal(exposure.image, before)
    found = (exposure.mask & CR) != 0
    significance = charge / np.sqrt(exposure.variance)
    assert found[significance > 10].mean() >= 0.98
    assert ndimage.binary_dilation(significance > 3, np.ones((3, 3)))[found].mean() >= 0.95
    cores = np.zeros(truth.shape, bool)
    for x, y in np.rint(positions).astype(int):
        core = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        cores[core] = charge[y - 3 : y + 4, x - 3 : x + 4].max() == 0
    assert cores.sum() > 700
    assert not found[cores].any()


def test_stars_alone_leave_no_mark_and_nothing_changes() -> None:
    # FWHM of 3 px: SIGMA * 2.355 = 3.06.
    truth, _ = stars()
    exposure = exposure_of(truth)
    exposure.mask[5, 5] = CR
    before = exposure.image.copy()
    result = RepairTask(RepairConfig(), "t").run(exposure)
    assert result.cosmic_rays is not None and result.cosmic_rays.n == 0
    np.testing.assert_array_equal(exposure.image, before)
    assert not exposure.mask.any()


def test_replacement_restores_sky_and_star_wings() -> None:
    truth, _ = stars()
    charge = tracks(truth.shape, 80)
    exposure = exposure_of(truth)
    exposure.image += charge.astype(np.float32)
    RepairTask(RepairConfig(), "t").run(exposure)
    found = (exposure.mask & CR) != 0
    np.testing.assert_array_equal((exposure.mask & mask_bits("INTRP")) != 0, found)
    sky = found & (truth < 1.0)
    assert sky.sum() > 400
    residual = exposure.image[sky]
    assert abs(np.median(residual)) < 8.0  # a third of the noise of 25
    assert np.std(residual) < 40.0
    assert np.abs(residual).max() < 150.0


def test_replacement_by_hand() -> None:
    image = np.full((11, 11), 3.0, np.float32)
    variance = np.zeros((11, 11), np.float32)
    lost = np.zeros((11, 11), bool)
    lost[5, 5] = True
    image[5, 5] = 1e5
    replace_pixels(image, variance, lost, np.array([5]), np.array([5]), 0.0)
    assert image[5, 5] == pytest.approx(3.0, abs=1e-5)
    # A row on a slope, all else lost: the line between the nearest sound pixels on either side.
    lost[:] = True
    lost[5, 1] = lost[5, 8] = False
    image[5, 1], image[5, 8] = 10.0, 80.0
    replace_pixels(image, variance, lost, np.array([5]), np.array([5]), 0.0)
    assert image[5, 5] == pytest.approx(10.0 + 4 * 10.0)
    lost[:] = True
    replace_pixels(image, variance, lost, np.array([5]), np.array([5]), 7.0)
    assert image[5, 5] == 7.0


def test_least_of_four_is_unbiased_in_noise() -> None:
    rng = np.random.default_rng(9)
    image = rng.normal(0.0, 10.0, size=(400, 400)).astype(np.float32)
    variance = np.full(image.shape, 100.0, np.float32)
    y, x = (grid.ravel() for grid in np.mgrid[10:390:6, 10:390:6])
    lost = np.zeros(image.shape, bool)
    lost[y, x] = True
    # A background far below, so that no prediction is refused as too faint.
    replace_pixels(image, variance, lost, y, x, -1000.0)
    assert abs(image[y, x].mean()) < 4 * 8.0 / np.sqrt(len(y))


def test_vetoes() -> None:
    image = np.zeros((40, 40), np.float32)
    for x in (5, 15, 25, 35):
        image[20, x] = 5000.0
    mask = np.zeros((40, 40), np.int32)
    mask[20, 15], mask[21, 26], mask[21, 36] = mask_bits("SAT"), mask_bits("INTRP"), mask_bits("BAD")
    limits = steepness_of(GaussianPsf(11, SIGMA).kernel_image(0.0, 0.0), 0.4)
    rays = find_cosmic_rays(image, mask, np.full((40, 40), 100.0, np.float32), steepness=limits, background=0.0)
    assert rays.x.tolist() == [5, 35]
    assert rays.n == 2


def test_faint_groups_are_dropped_and_groups_counted_whole() -> None:
    image = np.zeros((30, 30), np.float32)
    image[10, 5:9] = 80.0  # one ray of 320 counts, though every pixel is below the limit of 150
    image[20, 20] = 120.0
    limits = steepness_of(GaussianPsf(11, SIGMA).kernel_image(0.0, 0.0), 0.4)
    rays = find_cosmic_rays(
        image, np.zeros((30, 30), np.int32), np.full((30, 30), 25.0, np.float32), steepness=limits, background=0.0
    )
    assert rays.n == 1
    assert rays.x.tolist() == [5, 6, 7, 8]


def test_growth_takes_the_faint_end_of_a_track() -> None:
    image = np.zeros((30, 30), np.float32)
    image[10, 5:10] = [1000.0, 1000.0, 40.0, 40.0, 40.0]
    limits = steepness_of(GaussianPsf(11, SIGMA).kernel_image(0.0, 0.0), 0.4)
    found = [
        find_cosmic_rays(
            image,
            np.zeros((30, 30), np.int32),
            np.full((30, 30), 100.0, np.float32),
            steepness=limits,
            background=0.0,
            n_iteration=n,
        ).x.tolist()
        for n in range(4)
    ]
    # 40 counts are 4 sigma: below 6, above 3. Within a round, a new pixel is not grown from.
    assert found == [[5, 6], [5, 6, 7], [5, 6, 7, 8], [5, 6, 7, 8, 9]]


SHARP = GaussianPsf(11, 1.5).kernel_image(0.0, 0.0)


def flagged(image: np.ndarray, mask: np.ndarray | None = None, **options: object) -> np.ndarray:
    """Return the map of cosmic rays in an image of noise 10 on a sky of 0."""
    rays = find_cosmic_rays(
        image.astype(np.float32),
        np.zeros(image.shape, np.int32) if mask is None else mask,
        np.full(image.shape, 100.0, np.float32),
        steepness=steepness_of(SHARP, 0.4),
        background=0.0,
        **options,  # type: ignore[arg-type]
    )
    found = np.zeros(image.shape, bool)
    found[rays.y, rays.x] = True
    return found


def test_a_wide_track_is_followed_to_its_ends() -> None:
    # Two equal columns: across them the mean of the neighbours is half of the pixel, above 0.4 x 0.80 (the PSF's
    # own ratio), below 0.8 x 0.80. Only a bright pixel at the last end of the scan passes the strict test.
    image = np.zeros((40, 40))
    image[5:35, 20:22] = 80.0
    image[34, 21] = 2000.0
    strict = flagged(image)
    loose = flagged(image, track_steepness=steepness_of(SHARP, 0.8, largest=0.55))
    assert 0 < strict.sum() < 12
    np.testing.assert_array_equal(loose, image > 0)


def test_tracks_end_at_stars_defects_and_the_border() -> None:
    looser = steepness_of(SHARP, 0.8, largest=0.55)
    image = np.zeros((60, 60))
    add_gaussian(image, 30.0, 30.0, 20000.0, sigma=1.5)
    core = image > 100
    image[30, 20:27] += 500.0
    found = flagged(image, track_steepness=looser)
    assert found[30, 20:27].all()
    assert not found[29:32, 29:32].any()
    assert not (found & core)[:, 28:].any()
    image = np.zeros((20, 20))
    image[:, 10] = 100.0
    mask = np.zeros((20, 20), np.int32)
    mask[12, 10] = mask_bits("SAT")
    image[3, 10] = 2000.0
    found = flagged(image, mask, n_iteration=0, track_steepness=looser)
    assert not found[12, 10]
    assert found[:11, 10].all()


def test_a_deep_hole_makes_no_cosmic_rays() -> None:
    image = np.random.default_rng(5).normal(0.0, 10.0, (60, 60))
    image[30, 30] = -25000.0
    assert not flagged(image, track_steepness=steepness_of(SHARP, 0.8, largest=0.55)).any()


def test_values_on_sky_do_not_lean_on_the_edge_of_the_track() -> None:
    # A track with edges of 2 sigma that stay unflagged. Surroundings: rows 2 and more away from the lost one.
    image = np.full((21, 21), 5.0, np.float32)
    image[9:12, :] = 25.0
    image[10, :] = 900.0
    variance = np.full(image.shape, 100.0, np.float32)
    lost = np.zeros(image.shape, bool)
    lost[10, :] = True
    y, x = np.full(21, 10), np.arange(21)
    replace_pixels(image, variance, lost, y, x, 4.5)
    np.testing.assert_allclose(image[10], 5.0)
    image[10, :] = 900.0
    replace_pixels(image, variance, lost, y, x, 4.5, smooth_sky=False)
    # By columns: 0.7737 (25 + 25) - 0.2737 (5 + 5) = 36, and noise on top.
    assert (image[10, 2:-2] > 35.0).all()


def test_values_on_a_star_follow_its_profile() -> None:
    image = np.zeros((41, 41))
    add_gaussian(image, 20.0, 20.0, 50000.0)
    truth = image.copy()
    lost = np.zeros(image.shape, bool)
    lost[20, 17:24] = True
    hit = image.astype(np.float32)
    hit[lost] = 1e5
    y, x = np.nonzero(lost)
    replace_pixels(hit, np.full(image.shape, 100.0, np.float32), lost, y, x, 0.0)
    # Least of the predictions at the centre: the diagonal one, for a profile sampled at sqrt(2) and sqrt(8) px.
    near, far = np.exp(-1 / SIGMA**2), np.exp(-4 / SIGMA**2)
    assert hit[20, 20] == pytest.approx(truth[20, 20] * (1.4716 * near - 0.4716 * far), rel=0.01)
    ratio = hit[lost] / truth[lost]
    assert ratio.min() > 0.7 and ratio.max() < 1.1


def test_steepness_of_a_gaussian() -> None:
    limits = steepness_of(GaussianPsf(11, 1.5).kernel_image(0.0, 0.0), 0.4)
    assert limits.horizontal == pytest.approx(0.4 * np.exp(-0.5 / 1.5**2))
    assert limits.vertical == pytest.approx(limits.horizontal)
    assert limits.diagonal == pytest.approx(0.4 * np.exp(-1 / 1.5**2))
    capped = steepness_of(GaussianPsf(11, 1.5).kernel_image(0.0, 0.0), 0.8, largest=0.55)
    assert capped.limits == pytest.approx([0.55, 0.55, 0.8 * np.exp(-1 / 1.5**2), 0.8 * np.exp(-1 / 1.5**2)])


def test_too_many_pixels_are_an_error_and_log(caplog: pytest.LogCaptureFixture) -> None:
    exposure = exposure_of(np.zeros((200, 200)))
    exposure.image[50:150:4, 50:150:4] += 5000.0
    config = RepairConfig()
    config.cosmicray.nCrPixelMax = 100
    before = exposure.image.copy()
    with pytest.raises(TooManyCosmicRaysError, match="more than 100 pixels"):
        RepairTask(config, "t").run(exposure)
    np.testing.assert_array_equal(exposure.image, before)
    config.cosmicray.nCrPixelMax = 1000
    with caplog.at_level(logging.INFO):
        RepairTask(config, "t").run(exposure)
    assert caplog.messages == ["Identified 625 cosmic rays."]
