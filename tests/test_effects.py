"""Every effect of the simulator, switched on alone, is removed by its correction.

Each test simulates a cut-out twice with the same random numbers, with one effect and without, reduces the first with
the matching correction and compares. `on` is what is left, `off` what the effect does if nothing corrects it: tests
demand a small `on` and a large `off`, so that none can pass because there was nothing to remove.

Bounds. A raw frame is rounded to whole ADU. Corrections undo an effect in real numbers, so the difference of two
frames keeps two rounding errors of at most 0.5: ROUNDING = 1 ADU in every pixel, sqrt(2/12) = 0.41 rms. Single
precision adds less than 0.01 ADU at 50,000 ADU. Without photon noise nothing else is left. Effects of less than an
ADU vanish in the rounding of a noiseless frame; for them both frames get the same read noise, which dithers: then
rounding errors are independent of the effect, and means of n pixels are good to 0.41 / sqrt(n).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from hscbox.calibrate.fit_wcs import FitTanSipWcsConfig, fit_with_rejection
from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.boxes import Box
from hscbox.camera.camera import load_camera
from hscbox.camera.crosstalk import crosstalk_matrix
from hscbox.camera.defects import defects_for
from hscbox.camera.visit_info import visit_info_from_header
from hscbox.detect.background import BackgroundConfig, fit_background
from hscbox.detect.repair import RepairConfig, RepairTask
from hscbox.image.calib_image import CalibImage
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.image.psf import GaussianPsf
from hscbox.image.wcs import initial_wcs
from hscbox.isr.config import IsrConfig
from hscbox.isr.inputs import IsrInputs
from hscbox.isr.task import IsrTask
from hscbox.products.masked_image import read_image
from hscbox.simulate.effects import Effects
from hscbox.simulate.electronics import add_crosstalk
from hscbox.simulate.frame import SimulatedFrame, simulate_frame
from hscbox.simulate.header import raw_header
from hscbox.simulate.illumination import unlit
from hscbox.simulate.masters import masters_for, write_master
from hscbox.simulate.scene import Scene
from hscbox.simulate.sources import scene_sources, true_pixels

ROUNDING = 1.0 + 0.01
RMS = np.sqrt(2 / 12)

SKY = Scene(rows=192, star_density=0.0, galaxy_density=0.0, faint_limit=20.0, sky_level=1500.0)
"""No objects at all."""
STARS = replace(SKY, star_density=40.0, faint_limit=19.0, zero_point=30.0)
"""A hundred bright stars; this zero point keeps the brightest below 55,000 ADU, where nothing is clipped."""

_MASTERS = {"doBias": "bias", "doDark": "dark", "doFlat": "flat", "doFringe": "fringe"}
_SWITCHES = (
    *_MASTERS, "doSaturation", "doSuspect", "doVariance", "doLinearize", "doCrosstalk", "doBrighterFatter", "doDefect",
    "doWidenSaturationTrails", "doSetBadRegions", "doWriteVignettePolygon",
)  # fmt: skip


def simulate(scene: Scene, *effects: str) -> SimulatedFrame:
    return simulate_frame(scene.with_effects(Effects.only(*effects)))


def pair(scene: Scene, effect: str, *both: str) -> tuple[SimulatedFrame, SimulatedFrame]:
    """Return the frame with the effect and the frame without; both have the effects `both`."""
    return simulate(scene, effect, *both), simulate(scene, *both)


def masters(scene: Scene, kinds: Sequence[str]) -> dict[str, CalibImage]:
    """Return the masters that `hscbox simulate` makes for the scene, as the reduction reads them."""
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        for master in masters_for(scene, scene.date):
            if master.kind in kinds:
                write_master(Path(directory), master, scene)
                image, mask, variance, _ = read_image(Path(directory) / master.path)
                found[master.kind] = CalibImage(image, mask, variance, master.path.name)
    return found


def reduce(
    frame: SimulatedFrame, *steps: str, overscan: bool = True, defects: Sequence[Box] = (), **options: object
) -> Exposure:
    """Return the frame after these corrections and no others; the pedestal is taken off by the overscan."""
    scene, config = frame.scene, IsrConfig()
    for switch in _SWITCHES:
        setattr(config, switch, switch in steps)
    config.doOverscan = overscan
    config.qa.doThumbnailOss = config.qa.doThumbnailFlattened = False
    for name, value in options.items():
        setattr(config, name, value)
    raw = frame.raw[:, ::-1] if scene.detector.mirror == "LR" else frame.raw[::-1]
    inputs = IsrInputs(
        SimpleNamespace(pixels=raw.astype(np.float32), header=frame.header),
        load_camera()[scene.ccd],
        visit_info_from_header(frame.header),
        scene.canonical_filter,
        200 * scene.visit + scene.ccd,
        masters(scene, [_MASTERS[step] for step in steps if step in _MASTERS]),
        brighter_fatter_kernel(),
        defects,
    )
    return IsrTask(config).run(inputs).exposure


def compare(
    frames: tuple[SimulatedFrame, SimulatedFrame], *steps: str, **options: object
) -> tuple[np.ndarray, np.ndarray]:
    """Return `on` and `off`: the frame with the effect, corrected and not, minus the frame without."""
    reference = reduce(frames[1]).image
    return reduce(frames[0], *steps, **options).image - reference, reduce(frames[0]).image - reference


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def has(exposure: Exposure, *planes: str) -> np.ndarray:
    return (exposure.mask & mask_bits(*planes)) != 0


def test_overscan_removes_the_drift_of_the_pedestal() -> None:
    frames = pair(replace(SKY, rows=1024), "overscan_drift", "read_noise")
    on = reduce(frames[0]).image - reduce(frames[1]).image
    off = reduce(frames[0], overscan=False).image - reduce(frames[1], overscan=False).image
    # Means over 16 rows of one amplifier: 8192 pixels, rounding 0.005. What is subtracted goes through bins of 34
    # rows of 16 overscan pixels, rounding 0.41 / sqrt(544) = 0.018, and half as much again where a spline overshoots.
    left, there = (d.reshape(64, 16, 4, 512).mean(axis=(1, 3)) for d in (on, off))
    assert rms(left) < 1.5 * np.hypot(0.018, 0.005)
    # The parabola beyond the outermost bins triples the error of the last bin, here at 3 sigma.
    assert np.abs(left).max() < 3 * 3 * 0.018
    assert rms(there) > 20 * rms(left)
    # The drift is more than an offset in each amplifier, so a constant level would not do.
    assert np.ptp(there, axis=0).min() > 10 * np.hypot(0.018, 0.005)
    assert rms(there - there.mean(axis=0)) > 10 * rms(left)


def test_bias_removes_the_bias_structure() -> None:
    on, off = compare(pair(SKY, "bias_structure", "read_noise"), "doBias")
    assert np.abs(on).max() < ROUNDING
    # Column pattern of 0.3 ADU with a seam of 2 ADU, glow of 0.8 ADU by the register.
    for axis, strength in ((0, 0.3), (1, 0.2)):
        assert rms(on.mean(axis=axis)) < 1.2 * RMS / np.sqrt(on.shape[axis])
        assert rms(off.mean(axis=axis)) > strength
        assert rms(off.mean(axis=axis)) > 10 * rms(on.mean(axis=axis))
    assert off[:, 1023:1025].mean() - off.mean() > 1.0


def test_dark_removes_dark_current_and_warm_pixels() -> None:
    # An hour's exposure: 3e-4 ADU/s make 1.1 ADU.
    on, off = compare(pair(replace(SKY, exposure_time=3600.0), "dark", "read_noise"), "doDark")
    assert np.abs(on).max() < ROUNDING
    assert abs(on.mean()) < 4 * RMS / np.sqrt(on.size)
    assert off.mean() > 1.0
    # 6e-5 of the pixels are warm, 72 ADU on average.
    assert np.count_nonzero(off > 10) > 10 and off.max() > 100


def test_dark_removes_the_glow_of_ccd_33() -> None:
    # The glow is in the last rows, so no cut-out holds it.
    on, off = compare(pair(replace(SKY, ccd=33, rows=4176), "amp_glow", "read_noise"), "doDark")
    assert np.abs(on).max() < ROUNDING
    corner = np.s_[4112:, :64]
    assert abs(on[corner].mean()) < 4 * RMS / 64
    # 0.4 ADU/s for 300 s in the corner itself.
    assert off.max() > 100 and off[corner].mean() > 50
    assert abs(off[:3900].mean()) < 1e-3


@pytest.mark.parametrize("ccd", [55, 50, 9])
def test_flat_removes_vignetting_response_and_gain_steps(ccd: int) -> None:
    frames = pair(replace(SKY, ccd=ccd, sky_level=20_000.0), "flat")
    on, off = compare(frames, "doFlat")
    flat = frames[0].ideal.flat
    # Rounding of the pixel and of the pedestal are divided by the flat; in the other frame they are not.
    assert (np.abs(on) < 0.5 / flat + 0.5 + 0.5 * np.abs(1 / flat - 1) + 0.01).all()
    assert rms(off) > 200 * rms(on)
    # Pixel response of 0.7 % and steps between amplifiers, as in the effect itself.
    np.testing.assert_allclose(off, 20_000 * (flat - 1), atol=ROUNDING)
    assert (np.array([off[:, 512 * k : 512 * (k + 1)].std() for k in range(4)]) > 100).all()
    assert np.array_equal(has(reduce(frames[0], "doFlat"), "NO_DATA"), unlit(frames[0].scene.detector))


@pytest.mark.parametrize("level", [20_000.0, 45_000.0])
def test_linearization_removes_the_nonlinearity(level: float) -> None:
    frames = pair(replace(SKY, sky_level=level), "nonlinearity")
    on, off = compare(frames, "doLinearize")
    for amplifier in frames[0].scene.detector.amplifiers:
        part, slope = amplifier.trimmed.slices, 2 * abs(amplifier.linearity_c0) * level
        # The slope of x (1 + c0 x) magnifies the rounding of pixel and pedestal by 2 c0 x, 2 %.
        assert np.abs(on[part]).max() < ROUNDING + slope
        # Without it the level is low by c0 x^2: 85 or 430 ADU.
        raw = level + off[part].mean()
        np.testing.assert_allclose(off[part], -amplifier.linearity_c0 * raw**2, atol=ROUNDING + slope)
    assert np.abs(off).min() > 50 * np.abs(on).max()


def test_crosstalk_correction_removes_the_ghosts() -> None:
    frames = pair(STARS, "crosstalk", "read_noise")
    assert frames[1].raw.max() < 65_000
    on, off = compare(frames, "doCrosstalk")
    # Ghosts of ghosts stay: (3 x 1.6e-4)^2 x 50,000 = 0.01 ADU.
    assert np.abs(on).max() < ROUNDING + 0.01
    expected = frames[1].ideal.expected
    ghosts = add_crosstalk(expected, frames[0].scene.detector, crosstalk_matrix()) - expected < -2
    assert np.count_nonzero(ghosts) > 100
    assert abs(on[ghosts].mean()) < 4 * RMS / np.sqrt(np.count_nonzero(ghosts))
    # 1.6e-4 of a star of 50,000 ADU are 8 ADU.
    assert off[ghosts].mean() < -2 and off.min() < -6


@pytest.mark.parametrize("threshold", [1000.0, 1.0])
def test_brighter_fatter_correction_sharpens_stars_again(threshold: float) -> None:
    frames = pair(STARS, "brighter_fatter")
    on, off = compare(frames, "doBrighterFatter", brighterFatterThreshold=threshold)
    # The iteration stops when a round moves less than the threshold [electrons] in all. Rounds shrink by more than
    # two, so what is missing is less than that again. Rounding errors next to a star are moved by 3 per cent.
    excess = np.maximum(np.abs(on) - ROUNDING - 0.03, 0.0)
    smallest_gain = min(amplifier.gain for amplifier in frames[0].scene.detector.amplifiers)
    assert excess.sum() < threshold / smallest_gain
    stars = np.abs(off) > 5
    assert np.count_nonzero(stars) > 500
    assert rms(off[stars]) > 400 * rms(on[stars])
    # Centres lose several per cent of their light.
    assert off.min() < -2000


@pytest.fixture(scope="module")
def saturated() -> tuple[SimulatedFrame, SimulatedFrame]:
    """Stars at the usual zero point of r: the brightest are three magnitudes above saturation."""
    return pair(replace(STARS, zero_point=None), "saturation")


def test_saturated_pixels_and_trails_are_masked(saturated: tuple[SimulatedFrame, SimulatedFrame]) -> None:
    frame = saturated[0]
    assert np.count_nonzero(frame.saturated) > 1000
    found = has(reduce(frame, "doSaturation"), "SAT")
    assert found[frame.saturated].mean() >= 0.98
    # Before widening nothing else is masked; a level within rounding of the limit may fall on either side.
    assert np.count_nonzero(found & ~frame.saturated) < 0.02 * np.count_nonzero(found)
    widened = has(reduce(frame, "doSaturation", "doWidenSaturationTrails"), "SAT")
    assert widened[found].all() and np.count_nonzero(widened) > np.count_nonzero(found)
    assert not has(reduce(frame), "SAT").any()


def test_saturated_pixels_and_trails_are_interpolated(saturated: tuple[SimulatedFrame, SimulatedFrame]) -> None:
    exposure, reference = reduce(saturated[0], "doSaturation"), reduce(saturated[1]).image
    on, off = exposure.image - reference, reduce(saturated[0]).image - reference
    # The last pixel of a trail holds what is left, below the limit; growth by one pixel covers it.
    assert np.abs(on[~has(exposure, "INTRP")]).max() < ROUNDING
    # Far out in the trail the sky on both sides tells what is below: 20 ADU of 1500, for the wings of the star.
    trail = saturated[0].saturated & (reference < 1.1 * 1500)
    assert np.count_nonzero(trail) > 200
    assert np.median(off[trail]) > 50_000
    assert np.median(np.abs(on[trail])) < 10 and np.quantile(np.abs(on[trail]), 0.9) < 30


def test_defect_columns_are_masked_and_interpolated() -> None:
    scene = replace(SKY, ccd=100)
    frames = pair(scene, "defects", "sky_gradient")
    boxes = defects_for(scene.ccd, scene.date, scene.rows)
    exposure, reference = reduce(frames[0], "doDefect", defects=boxes), reduce(frames[1]).image
    on, off = exposure.image - reference, reduce(frames[0]).image - reference
    bad = frames[0].dead
    assert np.count_nonzero(bad) > 3 * scene.rows
    assert np.array_equal(has(exposure, "BAD"), bad) and has(exposure, "INTRP")[bad].all()
    # The sky is straight over three columns: what is predicted from the neighbours has their rounding error.
    assert np.abs(on).max() < ROUNDING
    # Dead columns lack 1500 ADU, hot ones have thousands.
    assert np.abs(off[bad]).min() > 1000 and off[bad].min() < -1000 and off[bad].max() > 1000
    assert np.abs(off[~bad]).max() == 0


@pytest.mark.parametrize(("ccd", "date"), [(9, "2015-10-10"), (33, "2016-12-30")])
def test_dead_amplifiers_are_masked_and_filled(ccd: int, date: str) -> None:
    scene = replace(SKY, ccd=ccd, date=date)
    frames = pair(scene, "defects", "sky_gradient")
    boxes = defects_for(ccd, date, scene.rows)
    exposure, reference = reduce(frames[0], "doDefect", "doSetBadRegions", defects=boxes), reduce(frames[1]).image
    on, off = exposure.image - reference, reduce(frames[0]).image - reference
    bad = frames[0].dead
    assert np.count_nonzero(bad) == 2 * 512 * scene.rows
    assert np.array_equal(has(exposure, "BAD"), bad)
    # The mean of the rest stands in: wrong by the range of the sky at most.
    assert np.abs(on[bad]).max() < np.ptp(frames[0].ideal.sky) + ROUNDING < 30
    assert off[bad].max() < -1400
    assert np.abs(on[~bad]).max() == 0


@pytest.fixture(scope="module")
def rays() -> SimpleNamespace:
    """A field of stars, with and without cosmic rays, through the repair.

    Photon and read noise are needed: significance is counted in their units, and only noise makes stars look sharp
    here and there. They are the same in both frames, since cosmic rays are added to the photons drawn.
    """
    scene = replace(STARS, rows=384, faint_limit=21.0, zero_point=None, sky_level=None, exposure_time=600.0)
    frames = pair(scene, "cosmic_rays", "photon_noise", "read_noise")
    before, after = [], []
    for frame in frames:
        exposure = reduce(frame, "doVariance")
        exposure.image -= fit_background(exposure.image, exposure.mask, BackgroundConfig()).evaluate()
        # The true PSF is 1.305 pixels wide by adaptive moments.
        exposure.psf = GaussianPsf(41, 1.305, (1024.0, 192.0))
        before.append(exposure.image.copy())
        RepairTask(RepairConfig(), "repair").run(exposure)
        after.append(exposure)
    charge, ideal = frames[0].cosmic_rays, frames[1].ideal
    return SimpleNamespace(
        on=after[0].image - before[1],
        off=before[0] - before[1],
        found=has(after[0], "CR"),
        found_without=has(after[1], "CR"),
        unchanged=np.array_equal(after[1].image, before[1]),
        significance=charge / np.sqrt(ideal.variance),
        ideal=ideal,
    )


def test_cosmic_rays_are_found(rays: SimpleNamespace) -> None:
    strong = rays.significance > 10
    assert np.count_nonzero(strong) > 300
    # At least 80 per cent with this plain Gaussian; right is a pixel with charge or beside charge.
    assert rays.found[strong].mean() >= 0.80
    assert ndimage.binary_dilation(rays.significance > 3, np.ones((3, 3)))[rays.found].mean() >= 0.95


def test_cosmic_rays_are_replaced(rays: SimpleNamespace) -> None:
    noise = np.sqrt(rays.ideal.variance)
    sky = rays.found & (rays.significance > 10) & (rays.ideal.objects < 0.5 * noise)
    assert np.count_nonzero(sky) > 200
    # The noise of the true pixel and that of one predicted from two to four neighbours, 1.4 to 1.6 sigma together,
    # and charge of up to 3 sigma in neighbours that nothing told from noise.
    assert rms(rays.on[sky] / noise[sky]) < 2.0
    assert rms(rays.off[sky] / noise[sky]) > 15.0
    # A pixel that nothing hit and nothing replaced only feels the change of the background: less than 0.01 sigma.
    clean = ~rays.found & (rays.significance == 0)
    assert rms(rays.on[clean] / noise[clean]) < 0.01


def test_star_cores_are_not_taken_for_cosmic_rays(rays: SimpleNamespace) -> None:
    assert not rays.found_without.any() and rays.unchanged
    sources = rays.ideal.sources[rays.ideal.sources["is_star"]]
    height, width = rays.found.shape
    number = 0
    for x, y in zip(np.rint(sources["x"]).astype(int), np.rint(sources["y"]).astype(int), strict=True):
        core = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        if 2 <= x < width - 2 and 2 <= y < height - 2 and not rays.significance[core].any():
            number += 1
            assert not rays.found[core].any()
    assert number > 80


def test_fringe_correction_removes_fringes() -> None:
    scene = replace(SKY, rows=512, filter="HSC-Y", sky_level=6000.0)
    on, off = compare(pair(scene, "fringes"), "doFringe")
    # Medians of a wave without noise find 0.6 of its height, then of the rest, and so on until a pass changes the
    # scale by less than 3 per cent; then 0.03 x 0.4 / 0.6 = 2 per cent are left.
    assert abs(np.sum(on * off, dtype=np.float64) / np.sum(off * off, dtype=np.float64)) < 0.02
    assert np.abs(on).max() < ROUNDING + 0.02 * np.abs(off).max()
    # 0.75 per cent of the sky times 1.15, as a wave: 52 ADU.
    assert rms(off) > 30 and rms(off) > 30 * rms(on)


def test_fringe_correction_does_not_look_at_dead_amplifiers() -> None:
    # Two of the four amplifiers of this CCD died in 2016. What counts is the width of the sky in units of its noise,
    # so there must be noise.
    scene = replace(SKY, ccd=33, date="2016-12-30", rows=512, filter="HSC-Y", sky_level=6000.0)
    frame = simulate(scene, "fringes", "defects", "photon_noise", "read_noise")
    boxes = defects_for(scene.ccd, scene.date, scene.rows)
    steps = ("doVariance", "doDefect", "doSetBadRegions")
    good = ~frame.dead
    chi = []
    for more in (("doFringe",), ()):
        exposure = reduce(frame, *steps, *more, defects=boxes)
        chi.append(((exposure.image - 6000) / np.sqrt(exposure.variance))[good].std())
    # The 15,000 boxes of 36 pixels that the living half holds measure fringes of 37 ADU rms under noise of 43 ADU to
    # better than 1 per cent: nothing in the width of chi, which 524,288 pixels fix to 0.1 per cent.
    assert chi[0] == pytest.approx(1.0, abs=0.005)
    assert chi[1] > 1.25


def test_background_removes_the_gradient_of_the_sky() -> None:
    # The background weighs its cells by their scatter, so that there must be some: read noise.
    lefts, theres = [], []
    for seed in (1, 2, 3):
        frames = pair(replace(SKY, rows=512, seed=seed), "sky_gradient", "read_noise")
        exposures = [reduce(frame) for frame in frames]
        models = [fit_background(e.image, e.mask, BackgroundConfig()).evaluate() for e in exposures]
        on = (exposures[0].image - models[0]) - (exposures[1].image - models[1])
        off = exposures[0].image - exposures[1].image
        lefts.append(on.reshape(8, 64, 64, 32).mean(axis=(1, 3)))
        theres.append((off - off.mean()).reshape(8, 64, 64, 32).mean(axis=(1, 3)))
    # Blocks of 64 x 32 pixels: rounding 0.41 / sqrt(2048) = 0.009. A cell of 128 x 128 pixels has an error of
    # 1.7 / 128 = 0.013 of which the noise common to both frames cancels, more or less; one frame may exceed the sum of
    # both by its few cells. A parabola is within the surface.
    left, there = np.array(lefts), np.array(theres)
    assert rms(left) < np.hypot(0.009, 0.013)
    assert np.abs(left).max() < 0.1
    assert rms(there) > 50 * rms(left) and np.ptp(there) > 3


def star_list(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return noiseless x, y, ra, dec of the stars on a whole CCD; no pixels are needed."""
    sources = scene_sources(scene)
    x, y = sources["x"], sources["y"]
    inside = sources["is_star"] & (x > 0) & (x < 2047) & (y > 0) & (y < 4175)
    return tuple(sources[name][inside] for name in ("x", "y", "ra", "dec"))  # type: ignore[return-value]


@pytest.mark.parametrize("ccd", [50, 55, 9])
def test_starting_wcs_knows_the_distortion(ccd: int) -> None:
    scene = replace(SKY, ccd=ccd, rows=4176, star_density=20.0, effects=Effects.only("distortion"))
    x, y, ra, dec = star_list(scene)
    assert len(x) > 200
    wcs = initial_wcs(scene.detector, visit_info_from_header(raw_header(scene)))
    found_x, found_y = wcs.sky_to_pixel(ra, dec)
    # TAN-SIP of order 5 represents the camera within 1e-3 pixels; the header's pointing is exact to 1e-3 arcsec.
    assert np.hypot(found_x - x, found_y - y).max() < 2e-3
    plain_x, plain_y = true_pixels(scene.with_effects(Effects.none()), ra, dec)
    assert np.hypot(plain_x - x, plain_y - y).max() > 5


@pytest.mark.parametrize("ccd", [50, 55, 9])
def test_astrometric_fit_removes_the_pointing_error(ccd: int) -> None:
    scene = replace(SKY, ccd=ccd, rows=4176, star_density=20.0, effects=Effects.only("pointing_error", "distortion"))
    x, y, ra, dec = star_list(scene)
    start = initial_wcs(scene.detector, visit_info_from_header(raw_header(scene)))
    config = FitTanSipWcsConfig()
    wcs = fit_with_rejection(x, y, ra, dec, np.full(len(x), 50.0), config, start).wcs

    def residual(ra_there: np.ndarray, dec_there: np.ndarray) -> np.ndarray:
        return 3.6e6 * np.stack([(ra_there - ra) * np.cos(np.deg2rad(dec)), dec_there - dec])

    on, off = residual(*wcs.pixel_to_sky(x, y)), residual(*start.pixel_to_sky(x, y))
    # Milliarcseconds. The fit is of order 3; what the camera has beyond that is of a few mas in the corners.
    assert rms(on) < 2.0 and np.abs(on).max() < 10.0
    assert np.abs(on.mean(axis=1)).max() < 1.0
    # The error put in, by which all stars are off before: header minus true pointing.
    np.testing.assert_allclose(off.mean(axis=1), -1000 * np.array(scene.pointing_error), rtol=0.02)


def test_variance_describes_photon_and_read_noise() -> None:
    frames = pair(SKY, "photon_noise", "read_noise")
    exposure = reduce(simulate(SKY, "photon_noise", "read_noise"), "doVariance")
    chi = (exposure.image - reduce(simulate(SKY)).image) / np.sqrt(exposure.variance)
    # 393,216 pixels fix the width to 0.1 per cent; rounding adds 1/12 to a variance of 450, and the variance is
    # taken from the noisy pixel itself, which shrinks the deviation by 1/(8 x 5000 electrons).
    assert chi.std() == pytest.approx(1.0, abs=0.005)
    assert rms(reduce(frames[1]).image - 1500) < 0.1 * rms(exposure.image - 1500)


def test_all_corrections_together_in_their_order() -> None:
    effects = ("bias_structure", "dark", "flat", "nonlinearity", "crosstalk", "brighter_fatter")
    steps = ("doBias", "doDark", "doFlat", "doLinearize", "doCrosstalk", "doBrighterFatter")
    frames = simulate(STARS, *effects), simulate(STARS)
    on, off = compare(frames, *steps, brighterFatterThreshold=1.0)
    flat = frames[0].ideal.flat
    # The bounds of flat, non-linearity (2 per cent), crosstalk (0.01) and brighter-fatter (3 per cent) added up.
    bound = 1.05 * (0.5 / flat + 0.5 + 0.5 * np.abs(1 / flat - 1)) + 0.03
    assert (np.abs(on) < bound).all()
    assert rms(off) > 100 * rms(on)
    # In the stars' centres too, where all effects meet.
    bright = frames[1].ideal.objects > 10_000
    assert np.count_nonzero(bright) > 50
    assert rms(off[bright]) > 1000 * rms(on[bright])
