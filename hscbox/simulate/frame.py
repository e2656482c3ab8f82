"""One synthetic frame: the ideal image, then everything the instrument does to it.

The order is the inverse of the reduction's: expected charge, photon noise, cosmic rays, brighter-fatter, full well,
gain, crosstalk, non-linearity, bias structure, pedestal and drift, read noise, rounding, mirror.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..camera.bf_kernel import brighter_fatter_kernel
from ..camera.crosstalk import crosstalk_matrix
from ..camera.detector import Detector
from ..camera.geometry import EXTRA_ROWS, RAW_WIDTH
from ..fits.metadata import Metadata
from ..numerics.arrays import BoolArray, FloatArray
from .cosmic_rays import cosmic_ray_charge
from .electronics import add_crosstalk, bleed, displaced, invert_linearity
from .header import raw_header
from .illumination import area_dimming, sky_image
from .patterns import DefectList, acting, pedestals, scene_defects, serial_drift
from .psf_model import TruePsf
from .render import draw_sources
from .scene import Scene
from .sources import scene_sources

__all__ = ["IdealFrame", "SimulatedFrame", "ideal_frame", "simulate_frame"]


_FULL_WELL_OVER_SATURATION = 1.02
_FRINGE_STRENGTH = 1.15
_HOT_ADU_PER_SECOND = 20.0
_ADC_MAX = 65535


@dataclass(frozen=True)
class IdealFrame:
    """What an ideal, noiseless reduction of the scene yields; calibrated ADU, (rows, 2048)."""

    objects: FloatArray
    """Light of stars and galaxies."""
    sky: FloatArray
    """Light of the sky, without fringes."""
    variance: FloatArray
    """Expected variance of a real reduction, per pixel."""
    expected: FloatArray
    """Charge before all noise in raw ADU: objects, sky and dark current behind the flat."""
    flat: FloatArray
    """The flat field: raw ADU per calibrated ADU."""
    sources: NDArray[np.void]
    """Objects on or near the frame, brightest first (`sources.SOURCE_DTYPE`)."""
    psf: TruePsf


@dataclass(frozen=True)
class SimulatedFrame:
    """A raw frame and the truth behind it."""

    scene: Scene
    raw: NDArray[np.uint16]
    """(rows + 65, 2144), as stored in the file (not yet mirrored to the detector frame)."""
    header: Metadata
    ideal: IdealFrame
    cosmic_rays: FloatArray
    """Charge of cosmic rays, calibrated ADU."""
    saturated: BoolArray
    """Pixels above the saturation level of their amplifier, bleed trails included, nothing widened."""
    dead: BoolArray
    """Pixels of dead amplifiers and defects."""


def ideal_frame(scene: Scene) -> IdealFrame:
    """Return what an ideal reduction of the scene yields, whatever the switches of instrumental effects."""
    sources = scene_sources(scene)
    psf = TruePsf(scene)
    objects = draw_sources(scene, sources, psf) * area_dimming(scene)
    sky = sky_image(scene)
    flat = np.ones(scene.shape)
    for response in acting(scene, "light"):
        flat *= response
    # In place: at this size fetching memory costs as much as the arithmetic.
    expected = objects + _sky_with_fringes(scene, sky)
    expected *= flat
    for rate in acting(scene, "charge"):
        expected += rate * scene.exposure_time
    variance = expected * (1.0 if scene.effects.photon_noise else 0.0)
    for amplifier in scene.detector.amplifiers:
        variance[amplifier.trimmed.slices] /= amplifier.gain
        variance[amplifier.trimmed.slices] += amplifier.read_noise**2 if scene.effects.read_noise else 0.0
    variance /= flat**2
    return IdealFrame(objects, sky, variance, expected, flat, sources, psf)


def _sky_with_fringes(scene: Scene, sky: FloatArray) -> FloatArray:
    for pattern in acting(scene, "sky"):
        sky = sky * (1.0 + _FRINGE_STRENGTH * pattern)
    return sky


def simulate_frame(scene: Scene) -> SimulatedFrame:
    """Return the raw frame of `scene` with its truth. The same scene gives the same bytes."""
    ideal = ideal_frame(scene)
    gain = _per_pixel(scene.detector, [a.gain for a in scene.detector.amplifiers])
    defects = scene_defects(scene)
    expected = ideal.expected * gain
    _break(scene, expected, defects, gain)
    electrons = _photons(scene, expected)
    # Of the many arrays of the size of a frame this one is not needed while the charge moves.
    del expected
    rays = cosmic_ray_charge(scene)
    rays[_dead_pixels(scene, defects)] = 0.0
    electrons += rays
    linear = _collect(scene, electrons, gain)
    recorded = _to_raw_levels(scene, linear)
    level = pedestals(scene)
    saturated = np.zeros(scene.shape, dtype=bool)
    for amplifier in scene.detector.amplifiers:
        part = amplifier.trimmed.slices
        saturated[part] = recorded[part] + level[amplifier.index] >= amplifier.saturation
    return SimulatedFrame(
        scene=scene,
        raw=_digitise(scene, recorded, level),
        header=raw_header(scene),
        ideal=ideal,
        cosmic_rays=rays / gain / ideal.flat,
        saturated=saturated,
        dead=_dead_pixels(scene, defects),
    )


def _per_pixel(detector: Detector, values: list[float]) -> FloatArray:
    """Return a row (1, 2048) that repeats each amplifier's value over its columns."""
    row = np.empty((1, detector.width))
    for amplifier, value in zip(detector.amplifiers, values, strict=True):
        row[0, amplifier.trimmed.slices[1]] = value
    return row


def _dead_pixels(scene: Scene, defects: DefectList) -> BoolArray:
    dead = np.zeros(scene.shape, dtype=bool)
    for amplifier in scene.detector.amplifiers:
        if amplifier.index in defects.dead_amplifiers:
            dead[amplifier.trimmed.slices] = True
    for box in (*defects.dead_boxes, *defects.hot_boxes):
        dead[box.slices] = True
    return dead


def _break(scene: Scene, expected: FloatArray, defects: DefectList, gain: FloatArray) -> None:
    """Take the light from dead pixels and give hot ones charge of their own, in place."""
    expected[_dead_pixels(scene, defects)] = 0.0
    for box in defects.hot_boxes:
        rows, columns = box.slices
        expected[rows, columns] = _HOT_ADU_PER_SECOND * scene.exposure_time * gain[:, columns]


def _photons(scene: Scene, expected: FloatArray) -> FloatArray:
    if not scene.effects.photon_noise:
        return expected.copy()
    return scene.rng("photons").poisson(np.maximum(expected, 0.0)).astype(np.float64)


def _collect(scene: Scene, electrons: FloatArray, gain: FloatArray) -> FloatArray:
    """Return linear ADU after the charge has met the electric fields of its neighbours and the full well."""
    full_well = _full_well(scene) * gain[0]
    if scene.effects.brighter_fatter:
        limit = full_well if scene.effects.saturation else None
        electrons = displaced(electrons, brighter_fatter_kernel(), limit)
    if scene.effects.saturation:
        electrons = bleed(electrons, full_well)
    linear = electrons / gain
    if scene.effects.crosstalk:
        linear = add_crosstalk(linear, scene.detector, crosstalk_matrix())
    return linear


def _full_well(scene: Scene) -> FloatArray:
    """Return the full well in linear ADU per column: the raw level 2 % above the saturation level of the table."""
    level = pedestals(scene)
    values = []
    for amplifier in scene.detector.amplifiers:
        raw = amplifier.saturation * _FULL_WELL_OVER_SATURATION - level[amplifier.index]
        values.append(raw * (1.0 + _linearity(scene, amplifier.index) * raw))
    levels: FloatArray = _per_pixel(scene.detector, values)[0]
    return levels


def _linearity(scene: Scene, index: int) -> float:
    amplifier = scene.detector.amplifiers[index]
    on = scene.effects.nonlinearity and amplifier.linearity_type == "Squared"
    return amplifier.linearity_c0 if on else 0.0


def _to_raw_levels(scene: Scene, linear: FloatArray) -> FloatArray:
    """Return raw ADU above the pedestal, bias structure included."""
    recorded = np.zeros(scene.shape)
    for level in acting(scene, "level"):
        recorded += level
    for amplifier in scene.detector.amplifiers:
        part = amplifier.trimmed.slices
        recorded[part] += invert_linearity(linear[part], _linearity(scene, amplifier.index))
    return recorded


def _digitise(scene: Scene, recorded: FloatArray, level: FloatArray) -> NDArray[np.uint16]:
    """Place the amplifiers in the raw array with pedestal, drift and read noise; round, clip, mirror to the file."""
    height = scene.rows + EXTRA_ROWS
    raw = np.empty((height, RAW_WIDTH))
    drift = serial_drift(scene, height)
    noise = scene.rng("read noise").standard_normal(raw.shape) if scene.effects.read_noise else np.zeros(raw.shape)
    for amplifier in scene.detector.amplifiers:
        part = amplifier.raw.slices
        raw[part] = level[amplifier.index] + drift[amplifier.index][:, None]
        raw[part] += amplifier.read_noise * noise[part]
        raw[amplifier.data.slices] += recorded[amplifier.trimmed.slices]
    np.round(raw, out=raw)
    stored = np.clip(raw, 0, _ADC_MAX, out=raw).astype(np.uint16)
    return np.ascontiguousarray(stored[:, ::-1] if scene.detector.mirror == "LR" else stored[::-1])
