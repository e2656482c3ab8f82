"""Draw stars and galaxies into the noiseless image.

Stars and bright galaxies are drawn by GalSim, other galaxies that can be detected in Fourier space by the formulas
of `fourier`; all with the PSF of their own position. Galaxies below about 4 sigma only make the sky uneven; they
are drawn as round Gaussians of the right size and flux, all at once.
"""

from __future__ import annotations

import math

import galsim
import numpy as np
from numpy.typing import NDArray

from ..camera.distortion import PIXEL_SCALE
from ..numerics.arrays import FloatArray
from .fourier import BATCH_HALF_SIZE, galaxy_stamps
from .psf_model import TruePsf, shape_sigma
from .scene import Scene

__all__ = ["draw_sources"]


# Half-light radius of a round Gaussian, rounded: with more digits every scene would draw other noise.
_HALF_LIGHT_PER_SIGMA = 1.1774
_TYPICAL_GAIN = 3.4
_FAINT_SNR = 4.0
_BRIGHT_SNR = 60.0
# Larger galaxies do not fit the stamps of `fourier`.
_BATCH_MAX_RADIUS_ARCSEC = 1.0
_BATCH = 128
_FAINT_HALF_SIZE = 8
# Stamps end where a profile falls below this many ADU per pixel: a 200th of the noise of the sky.
_EDGE_ADU = 0.1
_MIN_HALF_SIZE, _MAX_HALF_SIZE = 12, 255
# The image is rounded to this fraction of an ADU. Fourier transforms differ in the last bits between processors;
# without rounding, these bits would decide now and then about a photon.
_QUANTUM = 1.0 / 1024.0


def draw_sources(scene: Scene, sources: NDArray[np.void], psf: TruePsf) -> FloatArray:
    """Return the noiseless image of all `sources` in calibrated ADU, (rows, columns), without sky."""
    image = galsim.ImageD(np.zeros(scene.shape), xmin=0, ymin=0)
    sigma = shape_sigma(scene)
    noise = math.sqrt(scene.true_sky_level / _TYPICAL_GAIN + 3.0) * math.sqrt(4.0 * math.pi) * sigma
    snr = sources["flux_adu"] / noise
    exact = sources["is_star"] | (snr > _BRIGHT_SNR)
    exact |= (snr > _FAINT_SNR) & (sources["radius"] > _BATCH_MAX_RADIUS_ARCSEC)
    for source in sources[exact]:
        _draw_exactly(image, source, psf)
    pixels: FloatArray = image.array
    medium = ~exact & (snr > _FAINT_SNR)
    _draw_batches(pixels, sources[medium], psf)
    pixels += _draw_gaussians(scene.shape, sources[~exact & ~medium], sigma)
    return np.round(pixels / _QUANTUM) * _QUANTUM


def _draw_exactly(image: galsim.ImageD, source: np.void, psf: TruePsf) -> None:
    flux, x, y = float(source["flux_adu"]), float(source["x"]), float(source["y"])
    # The wings of the PSF fall as r^-3.7: this keeps their level at the edge of the stamp about equal for all.
    half_size = 20.0 * (flux / 1e4) ** 0.3
    profile = psf.profile(x, y)
    if not source["is_star"]:
        radius = float(source["radius"]) / PIXEL_SCALE
        steep = source["sersic"] == 4.0
        kind = galsim.DeVaucouleurs if steep else galsim.Exponential
        galaxy = kind(half_light_radius=radius).shear(g1=float(source["g1"]), g2=float(source["g2"]))
        profile = galsim.Convolve([galaxy, profile])
        half_size = max(half_size, _galaxy_half_size(flux, radius, steep))
    size = round(min(max(half_size, _MIN_HALF_SIZE), _MAX_HALF_SIZE))
    column, row = round(x), round(y)
    bounds = galsim.BoundsI(column - size, column + size, row - size, row + size) & image.bounds
    if bounds.isDefined():
        (profile * flux).drawImage(image[bounds], add_to_image=True, center=galsim.PositionD(x, y), scale=1.0)


def _draw_batches(pixels: FloatArray, sources: NDArray[np.void], psf: TruePsf) -> None:
    """Add galaxies to `pixels` in place, a batch at a time to bound the memory."""
    height, width = pixels.shape
    for first in range(0, len(sources), _BATCH):
        stamps, columns, rows = galaxy_stamps(sources[first : first + _BATCH], psf)
        for stamp, column, row in zip(stamps, columns, rows, strict=True):
            x0, y0 = int(column) - BATCH_HALF_SIZE, int(row) - BATCH_HALF_SIZE
            left, bottom = max(0, -x0), max(0, -y0)
            right, top = min(len(stamp), width - x0), min(len(stamp), height - y0)
            if right > left and top > bottom:
                pixels[y0 + bottom : y0 + top, x0 + left : x0 + right] += stamp[bottom:top, left:right]


def _galaxy_half_size(flux: float, radius: float, steep: bool) -> float:
    """Return the radius in pixels where a Sersic profile has fallen to `_EDGE_ADU`."""
    if steep:
        at_half_light = flux / (22.67 * radius**2)
        return radius * (1.0 + max(0.0, math.log(at_half_light / _EDGE_ADU)) / 7.669) ** 4
    scale = radius / 1.678
    return scale * max(1.0, math.log(flux / (2.0 * math.pi * scale**2 * _EDGE_ADU)))


def _draw_gaussians(shape: tuple[int, int], sources: NDArray[np.void], psf_sigma: float) -> FloatArray:
    """Return the image of faint galaxies as round Gaussians on small stamps, flux conserved inside the stamp."""
    sigma = np.hypot(psf_sigma, sources["radius"] / PIXEL_SCALE / _HALF_LIGHT_PER_SIGMA)
    sigma = np.minimum(sigma, _FAINT_HALF_SIZE / 2.5)
    offsets = np.arange(-_FAINT_HALF_SIZE, _FAINT_HALF_SIZE + 1)
    profiles, indices = [], []
    for name in ("x", "y"):
        nearest = np.round(sources[name]).astype(np.int64)
        distance = (nearest - sources[name])[:, None] + offsets
        profile = np.exp(-0.5 * (distance / sigma[:, None]) ** 2)
        profiles.append(profile / profile.sum(axis=1, keepdims=True))
        indices.append(nearest[:, None] + offsets)
    values = sources["flux_adu"][:, None, None] * profiles[1][:, :, None] * profiles[0][:, None, :]
    inside_x = (indices[0] >= 0) & (indices[0] < shape[1])
    inside_y = (indices[1] >= 0) & (indices[1] < shape[0])
    inside = inside_y[:, :, None] & inside_x[:, None, :]
    flat = indices[1][:, :, None] * shape[1] + indices[0][:, None, :]
    total: FloatArray = np.bincount(flat[inside], weights=values[inside], minlength=shape[0] * shape[1]).astype(
        np.float64
    )
    return total.reshape(shape)
