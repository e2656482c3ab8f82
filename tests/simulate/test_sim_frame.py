from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hscbox.simulate.effects import Effects
from hscbox.simulate.frame import ideal_frame, simulate_frame
from hscbox.simulate.illumination import area_dimming, flat_field, fringe_pattern, sky_image, unlit
from hscbox.simulate.patterns import bias_structure, dark_rate, pedestals, scene_defects, serial_drift
from hscbox.simulate.scene import Scene

EMPTY = Scene(rows=128, star_density=0.0, galaxy_density=0.0, faint_limit=20.0)


def scene_with(*effects: str, **changes: object) -> Scene:
    return replace(EMPTY, effects=Effects.only(*effects), **changes)


def detector_frame(scene: Scene) -> np.ndarray:
    """Return the raw frame of a scene mirrored as the camera says."""
    raw = simulate_frame(scene).raw.astype(np.float64)
    return raw[:, ::-1] if scene.detector.mirror == "LR" else raw[::-1]


def trimmed(scene: Scene) -> np.ndarray:
    """Return exposed pixels above the true pedestal."""
    raw, level = detector_frame(scene), pedestals(scene)
    image = np.empty(scene.shape)
    for amplifier in scene.detector.amplifiers:
        image[amplifier.trimmed.slices] = raw[amplifier.data.slices] - level[amplifier.index]
    return image


@pytest.mark.parametrize("ccd", [55, 0, 37, 100, 103])
def test_without_effects_raw_is_truth_plus_pedestal(ccd: int) -> None:
    scene = replace(EMPTY, ccd=ccd, effects=Effects.only(), sky_level=1234.0)
    assert np.abs(trimmed(scene) - 1234.0).max() <= 0.5
    raw, level = detector_frame(scene), pedestals(scene)
    assert raw.shape == (128 + 65, 2144)
    for amplifier in scene.detector.amplifiers:
        assert np.abs(raw[amplifier.serial_overscan.slices] - level[amplifier.index]).max() <= 0.5
        assert np.abs(raw[:49, amplifier.raw.slices[1]] - level[amplifier.index]).max() <= 0.5


def test_imaging_windows_in_the_file() -> None:
    # Rows 49.. of the file for normal CCDs; the corner CCDs are stored so that the camera's windows hold after
    # the mirror in y.
    for ccd, first in ((55, 49), (100, 16)):
        raw = simulate_frame(replace(EMPTY, ccd=ccd, effects=Effects.only())).raw
        lit = np.flatnonzero(raw[:, 300] > 1500)
        assert (lit.min(), lit.max()) == (first, first + 127)
    lit = np.flatnonzero(raw[60] > 1500)
    assert lit.min() == 8 and len(lit) == 2048


def test_same_scene_same_bytes_other_seed_other_bytes() -> None:
    scene = Scene(rows=96, faint_limit=24.0)
    first = simulate_frame(scene).raw
    assert np.array_equal(first, simulate_frame(scene).raw)
    assert not np.array_equal(first, simulate_frame(replace(scene, seed=2)).raw)


def test_photon_noise_is_that_of_the_gain() -> None:
    scene = scene_with("photon_noise", sky_level=3000.0)
    image = trimmed(scene)
    for amplifier in scene.detector.amplifiers:
        part = image[amplifier.trimmed.slices]
        assert part.mean() == pytest.approx(3000.0, abs=0.6)
        # Variance of the mean level over gain, plus the rounding's 1/12.
        assert part.var() == pytest.approx(3000.0 / amplifier.gain + 1 / 12, rel=0.03)


def test_read_noise_everywhere() -> None:
    scene = scene_with("read_noise", sky_level=100.0)
    raw = detector_frame(scene)
    for amplifier in scene.detector.amplifiers:
        for box in (amplifier.data, amplifier.serial_overscan):
            assert raw[box.slices].var() == pytest.approx(amplifier.read_noise**2 + 1 / 12, rel=0.12)


def test_expected_variance_describes_the_noise() -> None:
    scene = scene_with("photon_noise", "read_noise", "flat", "dark")
    ideal = ideal_frame(scene)
    image = (trimmed(scene) - dark_rate(scene) * scene.exposure_time) / ideal.flat
    chi = (image - ideal.objects - ideal.sky) / np.sqrt(ideal.variance)
    assert chi.std() == pytest.approx(1.0, abs=0.01)
    assert chi.mean() == pytest.approx(0.0, abs=0.01)


def test_nonlinearity_lowers_the_raw_level() -> None:
    scene = scene_with("nonlinearity", sky_level=40_000.0)
    image = trimmed(scene)
    for amplifier in scene.detector.amplifiers:
        level = image[amplifier.trimmed.slices].mean()
        assert level * (1 + amplifier.linearity_c0 * level) == pytest.approx(40_000.0, abs=0.6)
        assert level == pytest.approx(40_000 - amplifier.linearity_c0 * 1.6e9, abs=10)


def test_flat_holds_gain_steps_and_response() -> None:
    scene = scene_with("flat")
    flat = flat_field(scene)
    gains = [amplifier.gain for amplifier in scene.detector.amplifiers]
    left, right = flat[40:, 480:512].mean(), flat[40:, 512:544].mean()
    assert left / right == pytest.approx(gains[1] / gains[0], rel=2e-3)
    inner = flat[40:, 100:400]
    assert inner.std() / inner.mean() == pytest.approx(0.007, rel=0.1)
    assert np.array_equal(flat, flat_field(replace(scene, visit=50000)))
    assert np.all(flat_field(scene_with()) == 1.0)
    assert np.abs(trimmed(scene) - scene.true_sky_level * flat).max() <= 0.51


def test_flats_are_normalised_over_the_focal_plane() -> None:
    levels = [flat_field(replace(EMPTY, ccd=ccd, rows=64)).mean() for ccd in (0, 22, 45, 50, 58, 81, 100)]
    assert 0.6 < min(levels) < 0.95 and 1.1 < max(levels) < 1.35


def test_corner_ccds_are_partly_unlit() -> None:
    assert not unlit(EMPTY.detector).any()
    full = Scene(ccd=9).detector
    # Area fraction outside of the circle, from the facts of the camera.
    assert unlit(full).mean() == pytest.approx(0.3376, abs=0.003)


def test_jacobian_goes_into_sky_and_flat_alike() -> None:
    scene = scene_with("flat", "jacobian", ccd=9)
    ratio = flat_field(scene)[20, 1000] / flat_field(scene_with("flat", ccd=9))[20, 1000]
    assert ratio != pytest.approx(1.0, abs=0.01)
    assert np.abs(trimmed(scene) - scene.true_sky_level * flat_field(scene)).max() < 0.51
    dimming = area_dimming(scene)
    assert dimming[20, 1000] * ratio == pytest.approx(1.0, rel=1e-6)
    assert area_dimming(EMPTY) == 1.0


def test_bias_structure_and_drift() -> None:
    scene = scene_with("bias_structure", sky_level=0.0)
    structure = bias_structure(scene)
    assert np.abs(trimmed(scene) - structure).max() <= 0.51
    assert structure[100, 1023:1025].mean() - np.median(structure[100]) == pytest.approx(2.0, abs=0.9)
    raw = detector_frame(scene_with("overscan_drift", rows=4176, sky_level=0.0))
    drift = serial_drift(scene_with("overscan_drift"), 4241)
    assert 0.3 < drift.std() < 2.0
    # No feature shorter than the waves of 1500 rows.
    assert np.abs(np.diff(drift, axis=1)).max() < 2 * np.pi / 1500 * 2 * np.abs(drift).max()
    for amplifier in scene.detector.amplifiers:
        rows = raw[:, amplifier.serial_overscan.slices[1]].mean(axis=1)
        assert np.abs(rows - pedestals(scene)[amplifier.index] - drift[amplifier.index]).max() <= 0.5
        assert np.array_equal(rows, raw[:, amplifier.data.x0])


def test_dark_and_glow() -> None:
    rate = dark_rate(scene_with("dark"))
    assert np.median(rate) == pytest.approx(3e-4)
    assert np.count_nonzero(rate > 3e-4 + 1e-6) == pytest.approx(6e-5 * rate.size, abs=20)
    glow = dark_rate(scene_with("amp_glow", ccd=33, rows=4176))
    assert glow[4175, 0] == pytest.approx(0.4, rel=0.01)
    assert not glow[:3920].any() and not glow[:, 256:].any()
    assert not dark_rate(scene_with("amp_glow")).any()


def test_saturated_star_is_clipped_and_bleeds() -> None:
    scene = replace(
        EMPTY, rows=512, star_density=60.0, effects=Effects.only("saturation", "nonlinearity"), faint_limit=20.0
    )
    frame = simulate_frame(scene)
    assert frame.saturated.any()
    raw = frame.raw[:, ::-1].astype(float)
    for amplifier in scene.detector.amplifiers:
        part = raw[amplifier.data.slices]
        saturated = frame.saturated[amplifier.trimmed.slices]
        assert np.array_equal(part >= amplifier.saturation, saturated)
        # Full well: 2 % above the saturation level.
        assert part.max() <= 1.02 * amplifier.saturation + 0.5
    spans = [np.ptp(np.nonzero(frame.saturated)[axis]) for axis in (0, 1)]
    assert spans[0] > 3
    # A bright column is saturated over more rows than the row is over columns.
    y, x = np.unravel_index((frame.ideal.objects * frame.saturated).argmax(), scene.shape)
    assert frame.saturated[:, x].sum() > frame.saturated[y, max(0, x - 30) : x + 30].sum()


def test_dead_amplifiers_and_hot_columns() -> None:
    assert scene_defects(scene_with("defects", ccd=0)).dead_amplifiers == {1}
    assert scene_defects(scene_with("defects", ccd=9)).dead_amplifiers == {2, 3}
    assert scene_defects(scene_with("defects")).dead_amplifiers == frozenset()
    dead = trimmed(scene_with("defects", ccd=0))
    assert np.abs(dead[:, 512:1024]).max() <= 0.5 and dead[:, :512].min() > 1000
    frame = simulate_frame(scene_with("defects", ccd=0))
    assert frame.dead[:, 512:1024].all() and frame.dead.sum() == 512 * 128


def test_cosmic_rays_reach_the_raw_with_their_true_charge() -> None:
    scene = scene_with("cosmic_rays", "flat", sky_level=500.0)
    frame = simulate_frame(scene)
    charge = trimmed(scene) / frame.ideal.flat - frame.ideal.sky
    below = frame.cosmic_rays < 40_000
    assert np.abs(charge - frame.cosmic_rays)[below].max() < 0.6
    assert frame.cosmic_rays.max() > 100.0


def test_sky_gradient_and_fringes() -> None:
    sky = sky_image(Scene(effects=Effects.only("sky_gradient")))
    assert sky.mean() == pytest.approx(Scene().true_sky_level, rel=1e-4)
    assert 0.001 < np.ptp(sky) / sky.mean() < 0.03
    fringed = scene_with("fringes", filter="HSC-Y", rows=512)
    pattern = fringe_pattern(fringed)
    assert 0.004 < pattern.std() < 0.008 and abs(pattern.mean()) < 1e-6
    relative = trimmed(fringed) / fringed.true_sky_level - 1.0
    slope = (relative * pattern).sum() / (pattern**2).sum()
    assert slope == pytest.approx(1.15, abs=0.01)
    assert np.ptp(trimmed(scene_with("fringes"))) <= 1.0


def test_level_of_the_sky_agrees_with_the_published_frame() -> None:
    # 1871.118 ADU +- 24.922, faint objects included.
    assert Scene().true_sky_level == pytest.approx(1871.118, abs=1.0)
    assert Scene().true_zero_point == pytest.approx(33.322299, abs=1e-4)
    assert np.sqrt(ideal_frame(scene_with("photon_noise", "read_noise", "flat")).variance.mean()) == pytest.approx(
        24.0, abs=0.9
    )
