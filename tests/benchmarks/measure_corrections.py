"""What each correction of the instrument signature leaves behind, on full-size frames, against the generator's truth.

Run as `python tests/benchmarks/measure_corrections.py`: some minutes, one table; exit status 1 if a target is
missed. Errors are
standard errors from the noise of the frames, or from rounding to whole ADU where a frame has no noise. Effects below
an ADU are measured as the difference of two frames with the same random numbers, one with the effect and one without.
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import galsim
import numpy as np
from scipy import ndimage

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.camera import load_camera
from hscbox.camera.crosstalk import crosstalk_matrix
from hscbox.camera.defects import defects_for
from hscbox.camera.visit_info import visit_info_from_header
from hscbox.image.calib_image import CalibImage
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.brighter_fatter import brighter_fatter_correction
from hscbox.isr.config import IsrConfig
from hscbox.isr.inputs import IsrInputs
from hscbox.isr.task import IsrTask
from hscbox.numerics.adaptive_moments import adaptive_moments
from hscbox.simulate import frame as generator
from hscbox.simulate.effects import Effects
from hscbox.simulate.electronics import add_crosstalk
from hscbox.simulate.frame import SimulatedFrame, simulate_frame
from hscbox.simulate.illumination import flat_field, fringe_pattern, unlit
from hscbox.simulate.patterns import bias_structure, dark_rate
from hscbox.simulate.psf_model import TruePsf
from hscbox.simulate.scene import Scene

SKY = Scene(star_density=0.0, galaxy_density=0.0, faint_limit=20.0)
AMPS = [np.s_[:, 512 * k : 512 * (k + 1)] for k in range(4)]
STEPS = ("doBias", "doDark", "doFlat", "doFringe", "doLinearize", "doCrosstalk", "doBrighterFatter")
FULL_WELL_RADIUS = 12
"""Pixels; as far as the brighter-fatter kernel reaches from a saturated pixel, and a little more."""


@dataclass
class Row:
    """One line of the table: `value` must not be farther than `target` from `ideal`."""

    correction: str
    quantity: str
    value: float
    error: float
    target: float
    unit: str
    ideal: float = 0.0

    @property
    def ok(self) -> bool:
        return abs(self.value - self.ideal) <= self.target


def masters(scene: Scene) -> dict[str, CalibImage]:
    flat = flat_field(scene)
    mask = np.where(unlit(scene.detector), np.int32(mask_bits("NO_DATA")), np.int32(0))
    found = {
        "bias": CalibImage(bias_structure(scene), None, None, "bias"),
        "dark": CalibImage(dark_rate(scene), None, None, "dark"),
        "flat": CalibImage(flat, mask, np.zeros_like(flat), "flat"),
    }
    if scene.has_fringes:
        found["fringe"] = CalibImage(fringe_pattern(scene), None, None, "fringe")
    return found


def reduce(frame: SimulatedFrame, only: str | None = None, **switches: bool) -> Exposure:
    """Return the frame after all corrections, or after overscan and the correction `only` alone."""
    scene, config = frame.scene, IsrConfig()
    config.qa.doThumbnailOss = config.qa.doThumbnailFlattened = False
    for step in STEPS if only is not None else ():
        setattr(config, step, step == only)
    for name, value in switches.items():
        setattr(config, name, value)
    stored = frame.raw[:, ::-1] if scene.detector.mirror == "LR" else frame.raw[::-1]
    inputs = IsrInputs(
        SimpleNamespace(pixels=stored.astype(np.float32), header=frame.header),
        load_camera()[scene.ccd],
        visit_info_from_header(frame.header),
        scene.canonical_filter,
        200 * scene.visit + scene.ccd,
        masters(scene),
        brighter_fatter_kernel(),
        defects_for(scene.ccd, scene.date, scene.rows),
    )
    return IsrTask(config).run(inputs).exposure


def left(scene: Scene, effect: str, step: str) -> np.ndarray:
    """Return what a correction leaves of an effect, both frames with the same read noise and nothing else."""
    with_it, without = (
        simulate_frame(scene.with_effects(Effects.only(*names))) for names in ((effect, "read_noise"), ("read_noise",))
    )
    return (reduce(with_it, step).image - reduce(without, "").image).astype(np.float64)


def has(exposure: Exposure, *planes: str) -> np.ndarray:
    return (exposure.mask & mask_bits(*planes)) != 0


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values) / math.sqrt(values.size))


def small_effects() -> Iterator[Row]:
    blocks = left(SKY, "overscan_drift", "").reshape(261, 16, 4, 512).mean(axis=(1, 3))
    yield Row("overscan", "pedestal left, rms over 16 rows of an amplifier", float(blocks.std()), 0.005, 0.1, "ADU")
    rest = left(SKY, "bias_structure", "doBias")
    yield Row("bias", "structure left, rms of column means", float(rest.mean(axis=0).std()), 0.006, 0.05, "ADU")
    yield Row("bias", "structure left, rms of row means", float(rest.mean(axis=1).std()), 0.009, 0.05, "ADU")
    rest = left(replace(SKY, exposure_time=3600.0, sky_level=1500.0), "dark", "doDark")
    yield Row("dark", "level left of 1.1 ADU in an hour", *mean_and_error(rest), 0.05, "ADU")
    warm = dark_rate(SKY) > 0.01
    yield Row("dark", "level left in warm pixels", *mean_and_error(rest[warm]), 0.05, "ADU")
    blocks = left(SKY, "flat", "doFlat").reshape(261, 16, 128, 16).mean(axis=(1, 3)) / SKY.true_sky_level
    # Rounding of 256 pixels in either frame.
    floor = math.sqrt(2 / 12 / 256) / SKY.true_sky_level
    yield Row("flat", "response left, rms over 16 x 16 pixels", 100 * float(blocks.std()), 100 * floor, 0.01, "%")


def linearity() -> Iterator[Row]:
    scene = replace(SKY, sky_level=40_000.0).with_effects(Effects.only("nonlinearity", "read_noise"))
    image = reduce(simulate_frame(scene), "doLinearize").image
    for number, amp in enumerate(AMPS):
        value, error = mean_and_error(image[amp].astype(np.float64))
        yield Row("linearity", f"amplifier {number} at 40,000 ADU", value / 400 - 100, error / 400, 0.05, "%")


def crosstalk() -> Iterator[Row]:
    """All instrumental effects but photon noise and cosmic rays; eight times the stars."""
    effects = Effects().without("photon_noise", "cosmic_rays")
    scene = Scene(star_density=12.0, galaxy_density=0.0, faint_limit=22.0, effects=effects)
    with_it = simulate_frame(scene)
    without = simulate_frame(scene.with_effects(effects.without("crosstalk")))
    exposure, reference = reduce(with_it), reduce(without, doCrosstalk=False)
    bright = reduce(without, doCrosstalk=False, doBrighterFatter=False, doFlat=False, doSaturation=False).image
    ghosts = add_crosstalk(bright.astype(np.float64), scene.detector, crosstalk_matrix()) - bright
    clean = ~(has(exposure, "SAT", "INTRP", "BAD", "NO_DATA") | has(reference, "SAT", "INTRP", "BAD", "NO_DATA"))
    for name, where in (("45,000 ADU", has(exposure, "CROSSTALK")), ("20,000 ADU", ghosts < -2.5)):
        chosen = clean & where
        difference = (exposure.image - reference.image)[chosen].astype(np.float64) * flat_field(scene)[chosen]
        size = ghosts[chosen]
        share = float(np.sum(difference * size) / np.sum(size * size))
        error = float(np.sqrt(np.mean(difference**2) / np.sum(size * size)))
        yield Row("crosstalk", f"ghosts of pixels above {name}, share left", 100 * share, 100 * error, 5.0, "%")


class StarGrid(NamedTuple):
    """Isolated stars in a grid: the noiseless light, and position and magnitude of each."""

    light: np.ndarray
    x: np.ndarray
    y: np.ndarray
    magnitude: np.ndarray


SPACING, HALF = 32, 15
NUMBERS = {19.0: 0.06, 19.5: 0.08, 20.0: 0.10, 20.5: 0.12, 21.0: 0.16, 21.5: 0.20, 22.0: 0.28}
"""Share of the stars by magnitude: more where the width of one star is less certain."""


def star_grid(scene: Scene, seed: int) -> StarGrid:
    rng = np.random.default_rng(seed)
    y, x = (v.ravel() for v in np.mgrid[SPACING : scene.rows - SPACING : SPACING, SPACING : 2048 - SPACING : SPACING])
    magnitude = rng.choice(list(NUMBERS), size=x.size, p=list(NUMBERS.values()))
    phases = rng.uniform(-0.5, 0.5, (64, 2))
    psf = TruePsf(scene).profile(1023.5, 2087.5)
    stamps = []
    for phase in phases:
        stamp = galsim.ImageD(np.zeros((2 * HALF + 1, 2 * HALF + 1)), xmin=-HALF, ymin=-HALF)
        stamps.append(psf.drawImage(stamp, center=galsim.PositionD(*phase), scale=1.0).array.copy())
    chosen = rng.integers(0, len(stamps), x.size)
    light = np.zeros(scene.shape)
    for column, row, kind, flux in zip(x, y, chosen, 10 ** (0.4 * (scene.true_zero_point - magnitude)), strict=True):
        light[row - HALF : row + HALF + 1, column - HALF : column + HALF + 1] = flux * stamps[kind]
    return StarGrid(light, x + phases[chosen, 0], y + phases[chosen, 1], magnitude)


def brighter_fatter() -> Iterator[Row]:
    """All effects but cosmic rays; stars cannot be moved by the PSF's change over the CCD."""
    scene = Scene(effects=Effects().without("cosmic_rays", "psf_variation"))
    widths: dict[float, list[float]] = {magnitude: [] for magnitude in NUMBERS}
    fluxes: dict[float, list[float]] = {magnitude: [] for magnitude in NUMBERS}
    for seed in (1, 2):
        stars = star_grid(scene, seed)
        with mock.patch.object(generator, "draw_sources", lambda *_, light=stars.light: light):
            frame = simulate_frame(replace(scene, seed=seed))
        exposure = reduce(frame)
        image = exposure.image.astype(np.float64) - frame.ideal.sky
        hurt = has(exposure, "SAT", "INTRP", "BAD", "NO_DATA")
        for x, y, magnitude in zip(stars.x, stars.y, stars.magnitude, strict=True):
            column, row = round(x), round(y)
            window = np.s_[row - HALF : row + HALF + 1, column - HALF : column + HALF + 1]
            if hurt[window].any():
                continue
            place = x - column + HALF, y - row + HALF
            measured, true = (adaptive_moments(a[window].copy(), *place) for a in (image, stars.light))
            if not measured.flags and not true.flags:
                area = (m.xx * m.yy - m.xy**2 for m in (measured, true))
                widths[magnitude].append((next(area) / next(area)) ** 0.25 - 1)
                fluxes[magnitude].append(image[window].sum() / stars.light[window].sum() - 1)
    faintest = mean_and_error(np.array(widths[22.0]))[0]
    for magnitude, values in widths.items():
        value, error = mean_and_error(np.array(values))
        quantity = f"width at {magnitude} mag, {len(values)} stars, against truth"
        yield Row("brighter-fatter", quantity, 100 * value, 100 * error, 0.1, "%")
        if magnitude == 19.0:
            yield Row("brighter-fatter", "width at 19 against 22 mag", 100 * (value - faintest), 100 * error, 0.1, "%")
    for magnitude, values in fluxes.items():
        value, error = mean_and_error(np.array(values))
        yield Row("brighter-fatter", f"flux at {magnitude} mag against truth", 100 * value, 100 * error, 0.1, "%")


def charge_balance() -> Iterator[Row]:
    """Without noise: the charge that the correction of one star makes or destroys, as part of the star's."""
    for magnitude in (17.0, 18.0, 19.0, 20.0, 21.0, 22.0):
        scene = Scene(seeing=0.52 if magnitude >= 19 else 1.6, effects=Effects().without("psf_variation"))
        flux = 3.4 * 10 ** (0.4 * (scene.true_zero_point - magnitude))
        stamp = galsim.ImageF(np.full((101, 101), np.float32(3.4 * scene.true_sky_level)))
        (TruePsf(scene).profile(1023.5, 2087.5) * flux).drawImage(stamp, scale=1.0, add_to_image=True)
        conserve = IsrConfig().brighterFatterConserveCharge
        fit = brighter_fatter_correction(stamp.array, brighter_fatter_kernel(), threshold=1.0, conserve=conserve)
        value = 100 * float(fit.correction.sum(dtype=np.float64)) / flux
        name = f'charge made or lost, {magnitude} mag in {scene.seeing}"'
        yield Row("brighter-fatter", name, value, 0.0, 0.01, "%")


def sky_and_saturation() -> Iterator[Row]:
    """Two default frames: steps between amplifiers, variance, saturation."""
    for seed in (1, 2):
        frame = simulate_frame(Scene(seed=seed))
        ideal, exposure = frame.ideal, reduce(frame)
        truth = ideal.objects + ideal.sky
        blank = ~has(exposure, "SAT", "INTRP", "BAD", "NO_DATA", "CROSSTALK") & (frame.cosmic_rays == 0)
        blank &= ideal.objects < 0.05 * ideal.sky
        levels, errors = [], []
        for amp in AMPS:
            weight = 1 / ideal.variance[amp][blank[amp]]
            levels.append(float(np.sum(weight * (exposure.image - truth)[amp][blank[amp]]) / weight.sum()))
            errors.append(float(weight.sum() ** -0.5))
        for k in range(3):
            step, error = levels[k + 1] - levels[k], math.hypot(errors[k], errors[k + 1])
            yield Row("amplifier steps", f"seed {seed}, {k} to {k + 1}, flattened sky", step, error, 0.1, "ADU")
        for k, amp in enumerate(AMPS):
            pull = ((exposure.image - truth) / np.sqrt(exposure.variance))[amp][blank[amp]]
            rms = float(np.sqrt(np.mean(pull**2)))
            yield Row("variance", f"seed {seed}, amplifier {k}, rms of pull", rms, (2 * pull.size) ** -0.5, 0.01, "", 1)
        found = has(reduce(frame, doWidenSaturationTrails=False), "SAT")
        both = np.count_nonzero(found & frame.saturated)
        for name, number in (("recall", frame.saturated.sum()), ("precision", found.sum())):
            yield Row(
                "saturation",
                f"seed {seed}, {name} of {number} pixels, before widening",
                100 * both / number,
                0,
                1.0,
                "%",
                100,
            )
        near = ndimage.distance_transform_edt(~frame.saturated) < FULL_WELL_RADIUS
        usable = near & ~has(exposure, "SAT", "INTRP", "BAD", "NO_DATA")
        pull = np.abs(exposure.image - truth - frame.cosmic_rays)[usable] / np.sqrt(ideal.variance[usable])
        worst = f"seed {seed}, pixels of {pull.size} next to saturated ones off by 7 sigma"
        yield Row("brighter-fatter", worst, float(np.count_nonzero(pull > 7)), 0.0, 0.0, "")


def fringes() -> Iterator[Row]:
    for seed in (1, 2):
        frame = simulate_frame(Scene(filter="HSC-Y", seed=seed))
        exposure, ideal = reduce(frame), frame.ideal
        blank = ~has(exposure, "SAT", "INTRP", "BAD", "NO_DATA") & (frame.cosmic_rays == 0)
        blank &= ideal.objects < 0.05 * ideal.sky
        rest = (exposure.image - ideal.objects - ideal.sky)[blank]
        # The generator's fringes are 1.15 times the fringe frame times the sky.
        shape = (1.15 * ideal.sky * fringe_pattern(frame.scene))[blank]
        shape -= shape.mean()
        share, error = np.sum(rest * shape) / np.sum(shape**2), np.sqrt(ideal.variance[blank].mean() / np.sum(shape**2))
        yield Row("fringe", f"y, seed {seed}, share of the amplitude left", 100 * share, 100 * error, 10.0, "%")


def defects() -> Iterator[Row]:
    """CCD 9 has a dead amplifier, CCD 100 dead and hot columns and a part without light."""
    for ccd in (9, 100):
        frame = simulate_frame(replace(SKY, ccd=ccd, effects=Effects().without("cosmic_rays")))
        exposure, ideal = reduce(frame), frame.ideal
        bad = has(exposure, "BAD")
        both = np.count_nonzero(bad & frame.dead)
        for name, number in (("recall", frame.dead.sum()), ("precision", bad.sum())):
            yield Row(
                "defects",
                f"CCD {ccd}, {name} of {number} pixels, before widening",
                100 * both / number,
                0.0,
                0.1,
                "%",
                100,
            )
        columns = bad & (bad.mean(axis=0, keepdims=True) > 0.2) & ~has(exposure, "NO_DATA")
        for amp in AMPS:
            columns[amp] &= not bad[amp].all()
        if columns.any():
            pull = (exposure.image - ideal.sky)[columns] / np.sqrt(ideal.variance[columns])
            yield Row("defects", f"CCD {ccd}, mean of replaced pixels, noise", *mean_and_error(pull), 0.1, "sigma")
        wrong = np.count_nonzero(has(exposure, "NO_DATA") != unlit(frame.scene.detector))
        yield Row("vignetting", f"CCD {ccd}, pixels with wrong NO_DATA", float(wrong), 0.0, 0.0, "")
        finite = np.isfinite(exposure.image) & np.isfinite(exposure.variance)
        yield Row("NaN", f"CCD {ccd}, pixels that are not finite", float(np.count_nonzero(~finite)), 0.0, 0.0, "")


def main() -> int:
    measures = (
        small_effects, linearity, crosstalk, brighter_fatter, charge_balance, sky_and_saturation, fringes, defects,
    )  # fmt: skip
    rows = [row for measure in measures for row in measure()]
    print(f"{'correction':16} {'quantity':62} {'value':>9} {'error':>8} {'target':>16}  ok")
    for row in rows:
        target = f"{row.ideal:g} +- {row.target:g} {row.unit}"
        print(
            f"{row.correction:16} {row.quantity:62} {row.value:9.4f} {row.error:8.4f} {target:>16}  "
            f"{'yes' if row.ok else 'MISSED'}"
        )
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
