"""Cosmic rays in thick silicon: straight muons, curly electrons, small spots.

The CCDs are 200 um thick and fully depleted, so that a muon leaves a long track, sharp where it passes near the
surface that collects the charge and blurred by diffusion where it passes far from it. A minimum-ionising particle
leaves about 80 electrons per um; the rate is 1.6 events per CCD and second. A track
whose charge falls below the noise in places is identified as several: 300 s give about 900 identifications.
"""

from __future__ import annotations

import numpy as np

from ..camera.geometry import CCD_AREA, PIXEL_UM
from ..numerics.arrays import FloatArray
from .scene import Scene

__all__ = ["cosmic_ray_charge"]


_RATE = 1.6
_ELECTRONS_PER_UM = 80.0
_THICKNESS = 200.0 / PIXEL_UM
# Diffusion of charge that drifts through the whole thickness: pixels, one sigma.
_DIFFUSION = 0.45
_MUONS, _ELECTRONS = 0.55, 0.25
_STEP = 0.1
_PACKETS = 4


def cosmic_ray_charge(scene: Scene) -> FloatArray:
    """Return the charge left by cosmic rays, electrons per pixel, (rows, 2048); zero if the effect is off."""
    height, width = scene.shape
    charge = np.zeros(height * width)
    if not scene.effects.cosmic_rays:
        return charge.reshape(scene.shape)
    rng = scene.rng("cosmic rays")
    number = rng.poisson(_RATE * scene.exposure_time * height * width / CCD_AREA)
    for _ in range(number):
        kind = rng.random()
        start = rng.random(2) * (width, height) - 0.5
        if kind < _MUONS:
            points, depth, energy = _muon(rng)
        elif kind < _MUONS + _ELECTRONS:
            points, depth, energy = _electron(rng)
        else:
            points, depth, energy = _spot(rng)
        # Diffusion grows with the square root of the drift distance.
        spread = _DIFFUSION * np.sqrt(depth)
        packets = points[:, None, :] + spread[:, None, None] * rng.standard_normal((len(points), _PACKETS, 2))
        x, y = np.round(packets + start).astype(np.int64).reshape(-1, 2).T
        weights = np.repeat(energy / _PACKETS, _PACKETS)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        np.add.at(charge, y[inside] * width + x[inside], weights[inside])
    return charge.reshape(scene.shape)


def _muon(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return points (n, 2), relative depth (n,) and charge (n,) of a straight track through the whole thickness.

    Zenith angles follow cos^2 through a surface; the CCD looks up, so most tracks are steep and short.
    """
    cosine = max(rng.random() ** 0.25, 0.03)
    length = _THICKNESS * np.sqrt(1.0 - cosine**2) / cosine
    steps = max(int(max(length, 1.0) / _STEP), 10)
    azimuth = 2.0 * np.pi * rng.random()
    along = np.linspace(0.0, 1.0, steps)
    points = (along * length)[:, None] * np.array([np.cos(azimuth), np.sin(azimuth)])
    path_um = _THICKNESS * PIXEL_UM / cosine
    # A gamma distribution of step losses stands for the skewed fluctuations of thin layers.
    energy = _ELECTRONS_PER_UM * path_um / steps * rng.gamma(0.6, 1.0 / 0.6, steps)
    return points, along if rng.random() < 0.5 else along[::-1], energy


def _electron(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a worm: a random walk in direction, ionising more and more as the electron slows down."""
    steps = int(rng.uniform(20.0, 300.0))
    direction = 2.0 * np.pi * rng.random() + np.cumsum(0.25 * rng.standard_normal(steps))
    points = _STEP * np.cumsum(np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0)
    left = np.linspace(1.0, 0.05, steps)
    energy = _ELECTRONS_PER_UM * _STEP * PIXEL_UM / np.sqrt(left) * rng.gamma(1.0, 1.0, steps)
    depth = np.clip(rng.random() + np.cumsum(0.01 * rng.standard_normal(steps)), 0.0, 1.0)
    return points, depth, energy


def _spot(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a soft photon: all charge at one point, spread by diffusion alone."""
    packets = 40
    energy = np.full(packets, 10.0 ** rng.uniform(2.9, 3.9) / packets)
    return np.zeros((packets, 2)), np.full(packets, rng.random()), energy
