"""Synthetic pairs of stars and galaxies, and blends of many, for `compare_deblending.py`."""

from __future__ import annotations

import math
from typing import NamedTuple

import galsim
import numpy as np

from hscbox.catalog.footprint import PEAK_DTYPE, Footprint
from hscbox.image.exposure import Exposure
from hscbox.image.psf import PsfexPsf

SCALE = 0.168
FWHM = 0.52 / SCALE
SKY_NOISE, GAIN = 23.5, 3.4
CELL = 70

PSF = galsim.Moffat(beta=3.0, fwhm=math.sqrt(FWHM**2 - 0.6))
"""The pixel adds the rest of the FWHM."""
OVERSAMPLED = galsim.Convolve(PSF, galsim.Pixel(1.0)).drawImage(nx=361, ny=361, scale=0.25, method="no_pixel")
STAR = galsim.InterpolatedImage(OVERSAMPLED, x_interpolant="lanczos4", flux=1.0)
"""With the pixel; much faster to draw than the convolution."""


class Mosaic(NamedTuple):
    """Many small scenes in one image."""

    image: np.ndarray
    variance: np.ndarray
    parts: list[list[tuple[float, float, float, np.ndarray, int, int]]]
    """For each cell its components: x, y, flux, stamp, first column and row of the stamp."""


def profile(kind: str, rng: np.random.Generator) -> galsim.GSObject:
    """Return a star, or a galaxy of random size, shape and Sersic index, of flux 1 behind the PSF."""
    if kind == "star":
        return STAR
    radius = rng.uniform(0.15, 0.6) / SCALE
    shear = galsim.Shear(e=rng.uniform(0.0, 0.6), beta=rng.uniform(0, math.pi) * galsim.radians)
    index = 1.0 if rng.random() < 0.7 else 4.0
    galaxy = galsim.Sersic(n=index, half_light_radius=radius, trunc=8 * radius).shear(shear)
    return galsim.Convolve(galaxy, PSF, galsim.Pixel(1.0), gsparams=galsim.GSParams(folding_threshold=0.01))


def mosaic(cells: int, kinds: tuple[str, ...], snr: float, separation: float, ratio: float, seed: int) -> Mosaic:
    """Draw `cells` scenes: an object of peak S/N `snr` and, if there is a second kind, one of 1/`ratio` of its flux."""
    rng = np.random.default_rng(seed)
    side = math.ceil(math.sqrt(cells))
    truth = galsim.ImageD(np.zeros((side * CELL, side * CELL)), xmin=0, ymin=0)
    parts = []
    for k in range(cells):
        x = (k % side + 0.5) * CELL + rng.uniform(-0.5, 0.5)
        y = (k // side + 0.5) * CELL + rng.uniform(-0.5, 0.5)
        angle = rng.uniform(0, 2 * math.pi)
        flux = 0.0
        cell = []
        for n, kind in enumerate(kinds):
            shape = profile(kind, rng)
            px = x + n * separation * FWHM * math.cos(angle)
            py = y + n * separation * FWHM * math.sin(angle)
            stamp = galsim.ImageD(galsim.BoundsI(round(px) - 33, round(px) + 33, round(py) - 33, round(py) + 33))
            shape.drawImage(stamp, scale=1.0, center=galsim.PositionD(px, py), method="no_pixel")
            flux = snr * SKY_NOISE / stamp.array.max() if n == 0 else flux / ratio
            stamp *= flux
            overlap = stamp.bounds & truth.bounds
            truth[overlap] += stamp[overlap]
            cell.append((px, py, flux, stamp.array, stamp.xmin, stamp.ymin))
        parts.append(cell)
    variance = SKY_NOISE**2 + truth.array / GAIN
    image = truth.array + rng.normal(size=variance.shape) * np.sqrt(variance)
    return Mosaic(image.astype(np.float32), variance.astype(np.float32), parts)


def exact_psf(shape: tuple[int, int]) -> PsfexPsf:
    """Return the PSF as the model that the pipeline has."""
    step = 0.5
    samples = STAR.drawImage(nx=83, ny=83, scale=step, method="no_pixel").array
    centre = (shape[1] / 2, shape[0] / 2)
    return PsfexPsf(samples[None].astype(np.float32), step, 0, (0.0, 0.0), (1.0, 1.0), centre)


def crowded_square(n_peaks: int) -> tuple[Exposure, Footprint]:
    """Return a blend of 98 x 98 px with `n_peaks` galaxies."""
    rng = np.random.default_rng(n_peaks)
    side, margin = 98, 30
    x, y = rng.uniform(margin, margin + side - 1, (2, n_peaks))
    rows, columns = np.indices((side + 2 * margin, side + 2 * margin), dtype=float)
    truth = sum(20000 / 39 * np.exp(-((columns - a) ** 2 + (rows - b) ** 2) / 12.5) for a, b in zip(x, y, strict=True))
    variance = (SKY_NOISE**2 + truth / GAIN).astype(np.float32)
    image = (truth + rng.normal(size=truth.shape) * np.sqrt(variance)).astype(np.float32)
    peaks = np.zeros(n_peaks, PEAK_DTYPE)
    peaks["i_x"], peaks["i_y"] = np.rint(x), np.rint(y)
    lines = np.arange(margin, margin + side)
    spans = np.stack([lines, np.full(side, margin), np.full(side, margin + side - 1)], axis=1).astype(np.int32)
    exposure = Exposure(
        image=image, mask=np.zeros(image.shape, np.int32), variance=variance, psf=exact_psf(image.shape)
    )
    return exposure, Footprint(spans, peaks)
