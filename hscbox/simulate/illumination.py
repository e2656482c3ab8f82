"""How light falls on the CCD: flat field, sky shape, fringes. Fixed patterns of the CCD, the same at every visit."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..camera.camera import load_camera
from ..camera.detector import Detector
from ..camera.geometry import CCD_HEIGHT, CCD_WIDTH, scaled_position
from ..camera.vignette import VIGNETTE_CENTER, VIGNETTE_RADIUS
from ..numerics.arrays import BoolArray, Float32Array, FloatArray
from .scene import Scene

__all__ = ["area_dimming", "flat_field", "fringe_pattern", "sky_image", "sky_polynomial", "unlit"]


# Pupil model of lsst/obs_hsc @ b7c7029d: python/lsst/obs/hsc/hscPupil.py, and the distortion: focal-plane radius in
# pixels, illumination and pixel solid angle relative to the centre.
_RADIUS = [0.0, 2500, 5000, 7500, 10000, 12500, 15000, 16000, 17000, 17500, 18000, 18500]
_ILLUMINATION = [1.0, 0.994, 0.940, 0.880, 0.819, 0.757, 0.696, 0.672, 0.648, 0.636, 0.624, 0.612]
_PIXEL_AREA = [1.0, 0.997, 0.989, 0.976, 0.957, 0.931, 0.897, 0.881, 0.863, 0.853, 0.842, 0.831]
# Beyond the lit circle the light fades out over this many pixels.
_FADE = 2000.0

_PIXEL_RESPONSE = 0.007
_EDGE_DEPTH, _EDGE_WIDTH = 0.02, 5.0
_SKY_LINEAR, _SKY_QUADRATIC = 0.0035, 0.002
_FRINGE_AMPLITUDE = 0.0075
_FRINGE_WAVES = 6
_ROWS_AT_ONCE = 16


def _radial(x: FloatArray, y: FloatArray, jacobian: bool) -> FloatArray:
    """Return illumination (times pixel area) at focal-plane positions, 1 at the centre."""
    radius = np.hypot(x, y)
    value = PchipInterpolator(_RADIUS, _ILLUMINATION)(np.minimum(radius, _RADIUS[-1]))
    if jacobian:
        value = value * PchipInterpolator(_RADIUS, _PIXEL_AREA)(np.minimum(radius, _RADIUS[-1]))
    faded: FloatArray = value * np.clip(1.0 - (radius - _RADIUS[-1]) / _FADE, 0.05, 1.0)
    return faded


@cache
def _mean_level(jacobian: bool) -> float:
    """Return the mean illumination of the science CCDs, by which flats are normalised."""
    levels = []
    for detector in load_camera().values():
        if detector.is_science:
            x, y = np.meshgrid(np.linspace(0.0, CCD_WIDTH - 1.0, 5), np.linspace(0.0, CCD_HEIGHT - 1.0, 9))
            levels.append(float(_radial(*detector.pixel_to_focal_plane(x, y), jacobian).mean()))
    return float(np.mean(levels))


def _pixel_grid(detector: Detector) -> tuple[FloatArray, FloatArray]:
    """Return x as a row and y as a column: products are taken of these few numbers, only sums of the whole frame."""
    return (
        np.arange(detector.width, dtype=np.float64)[None, :],
        np.arange(detector.height, dtype=np.float64)[:, None],
    )


@lru_cache(maxsize=1)
def flat_field(scene: Scene) -> Float32Array:
    """Return the flat (rows, 2048): raw ADU of sky per calibrated ADU; 1 everywhere if the effect is off.

    Illumination (1 on average over the focal plane), pixel response of 0.7 %, edge roll-off, and amplifier steps
    mean gain / gain. It is the master flat exactly, so an ideal reduction removes it without rest. The frame and its
    master ask for it one after the other, so the last one is kept, read-only.
    """
    flat = _flat(scene) if scene.effects.flat else np.ones(scene.shape, dtype=np.float32)
    flat.flags.writeable = False
    return flat


def _flat(scene: Scene) -> Float32Array:
    detector = scene.detector
    x, y = _pixel_grid(detector)
    flat = np.empty(scene.shape)
    # By a few rows at a time the many steps from position to light stay in the processor's cache.
    for first in range(0, scene.rows, _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        flat[part] = _radial(*detector.pixel_to_focal_plane(x, y[part]), scene.effects.jacobian)
    flat /= _mean_level(scene.effects.jacobian)
    flat *= 1.0 + _PIXEL_RESPONSE * scene.rng("pixel response", fixed=True).standard_normal(scene.shape)
    for axis, size in ((0, CCD_HEIGHT), (1, CCD_WIDTH)):
        position = np.arange(scene.shape[axis], dtype=np.float64)
        edge = np.minimum(position, size - 1 - position)
        roll_off = 1.0 - _EDGE_DEPTH * np.exp(-edge / _EDGE_WIDTH)
        flat *= roll_off[:, None] if axis == 0 else roll_off[None, :]
    mean_gain = float(np.mean([amplifier.gain for amplifier in detector.amplifiers]))
    for amplifier in detector.amplifiers:
        flat[amplifier.trimmed.slices] *= mean_gain / amplifier.gain
    return flat.astype(np.float32)


def area_dimming(scene: Scene) -> FloatArray | float:
    """Return by how much division by the flat dims objects, because the flat knows the area of pixels and they do not.

    1 unless the effect is on; else (rows, 2048).
    """
    if not (scene.effects.flat and scene.effects.jacobian):
        return 1.0
    place = scene.detector.pixel_to_focal_plane(*_pixel_grid(scene.detector))
    with_area = _radial(*place, True) / _mean_level(True)
    return _radial(*place, False) / _mean_level(False) / with_area


def unlit(detector: Detector) -> BoolArray:
    """Return the pixels outside of the lit circle, where flats carry NO_DATA; (rows, 2048)."""
    grid_x, grid_y = _pixel_grid(detector)
    dark = np.empty((detector.height, detector.width), dtype=bool)
    for first in range(0, detector.height, _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        x, y = detector.pixel_to_focal_plane(grid_x, grid_y[part])
        dark[part] = np.hypot(x - VIGNETTE_CENTER[0], y - VIGNETTE_CENTER[1]) > VIGNETTE_RADIUS
    return dark


def fringe_pattern(scene: Scene) -> Float32Array:
    """Return the fringe pattern relative to the sky (rows, 2048), mean about 0, amplitude 0.75 %.

    Bands some 50 to 200 pixels wide with bending crests, as interference in silicon of uneven thickness makes them.
    """
    rng = scene.rng(f"fringe {scene.canonical_filter}", fixed=True)
    x, y = _pixel_grid(scene.detector)
    thickness = np.zeros(scene.shape)
    for _ in range(_FRINGE_WAVES):
        wavelength = rng.uniform(500.0, 1500.0)
        angle, phase = rng.uniform(0.0, 2.0 * np.pi, 2)
        wave = (x * np.cos(angle) + y * np.sin(angle)) * (2.0 * np.pi / wavelength) + phase
        thickness += np.sin(wave) * wavelength / 150.0
    thickness += x * rng.uniform(-0.05, 0.05)
    pattern = np.sin(thickness)
    centred: Float32Array = (_FRINGE_AMPLITUDE * (pattern - pattern.mean())).astype(np.float32)
    return centred


def sky_polynomial(scene: Scene) -> list[float]:
    """Return the coefficients of 1, u, v, u^2, uv, v^2 of the sky in calibrated ADU; amplitude about 1 %.

    u and v are those of `scaled_position`; the mean over the full CCD is the level of the scene.
    """
    if not scene.effects.sky_gradient:
        return [scene.true_sky_level, 0.0, 0.0, 0.0, 0.0, 0.0]
    widths = np.array([_SKY_LINEAR, _SKY_LINEAR, _SKY_QUADRATIC, _SKY_QUADRATIC, _SKY_QUADRATIC])
    a, b, c, d, e = scene.rng("sky").uniform(-1.0, 1.0, 5) * widths
    relative = np.array([1.0 - (c + e) / 3.0, a, b, c, d, e])
    return [float(value) for value in scene.true_sky_level * relative]


def sky_image(scene: Scene) -> FloatArray:
    """Return the sky in calibrated ADU, (rows, 2048), without fringes."""
    one, a, b, c, d, e = sky_polynomial(scene)
    u, v = scaled_position(*_pixel_grid(scene.detector))
    sky: FloatArray = one + a * u + b * v + c * u * u + d * u * v + e * v * v
    return sky
