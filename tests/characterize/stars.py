"""Simulated stars whose PSF is known and varies over the CCD."""

from __future__ import annotations

from dataclasses import dataclass

import galsim
import numpy as np

from hscbox.characterize.psf_candidates import PsfCandidates
from hscbox.numerics.adaptive_moments import adaptive_moments

WIDTH, HEIGHT = 2048, 4176
SIZE = 41
SKY_SIGMA, GAIN = 24.0, 3.4


def true_psf(x: float, y: float, kind: str = "moffat") -> galsim.GSObject:
    """Return the PSF in pixels at a position: 3 px wide, with 3 % of variation in size and in ellipticity."""
    u, v = (x - WIDTH / 2) / WIDTH, (y - HEIGHT / 2) / HEIGHT
    fwhm = 3.05 * (1 + 0.06 * u + 0.04 * v * v - 0.05 * u * v)
    if kind == "moffat":
        profile = galsim.Moffat(beta=3.0, fwhm=fwhm)
    else:
        waves = {"defocus": 0.3 + 0.3 * v, "coma1": 0.15 + 0.2 * u, "coma2": 0.1 * v, "astig1": 0.2 * u}
        optics = galsim.OpticalPSF(lam=620, diam=8.2, obscuration=0.25, oversampling=1.0, pad_factor=1.0, **waves)
        profile = galsim.Convolve(galsim.Kolmogorov(fwhm=0.95 * fwhm), optics.dilate(1 / 0.168))
    return profile.shear(g1=0.02 + 0.04 * u - 0.02 * v * v, g2=-0.01 + 0.03 * v + 0.02 * u * v)


def draw(x: float, y: float, kind: str = "moffat", size: int = SIZE) -> np.ndarray:
    """Return the pixels of a star of unit flux about the nearest pixel."""
    offset = (x - np.floor(x + 0.5), y - np.floor(y + 0.5))
    return true_psf(x, y, kind).drawImage(nx=size, ny=size, scale=1.0, offset=offset, dtype=float).array


def simulate(n: int, seed: int, kind: str = "moffat") -> PsfCandidates:
    """Return `n` noisy stars of 4000 to 400,000 ADU with centroid errors as from their noise."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(25, WIDTH - 25, n), rng.uniform(25, HEIGHT - 25, n)
    flux = 4000 * 100 ** (rng.random(n) ** 1.3)
    stamps = np.array([f * draw(a, b, kind) for a, b, f in zip(x, y, flux, strict=True)])
    variance = SKY_SIGMA**2 + stamps / GAIN
    stamps += rng.normal(size=stamps.shape) * np.sqrt(variance)
    sigma = 1.35
    error = np.sqrt(8 * np.pi * sigma**4 * SKY_SIGMA**2 / flux**2 + sigma**2 / (flux * GAIN))
    noisy = []
    for true in (x, y):
        middle = np.floor(true + 0.5)
        # The stamp belongs to the pixel of the centroid, so the error must not leave it.
        noisy.append(np.clip(true + rng.normal(size=n) * error, middle - 0.4999, middle + 0.4999))
    good = np.ones(stamps.shape, bool)
    norm = flux * rng.normal(1, 0.03, n)
    return PsfCandidates(noisy[0], noisy[1], stamps, good, norm)


@dataclass(frozen=True)
class Residuals:
    """Model minus truth at many positions."""

    size: np.ndarray
    e1: np.ndarray
    e2: np.ndarray


def residuals(psf, x: np.ndarray, y: np.ndarray, kind: str = "moffat") -> Residuals:
    """Compare a model with the truth by adaptive moments about each one's own centroid."""
    rows = []
    for a, b in zip(x, y, strict=True):
        model, x0, y0 = psf.image(a, b)
        (t_model, *e_model), (t_true, *e_true) = (_shape(s, a - x0, b - y0) for s in (model, draw(a, b, kind)))
        rows.append((np.sqrt(t_model / t_true) - 1, e_model[0] - e_true[0], e_model[1] - e_true[1]))
    return Residuals(*np.array(rows).T)


def _shape(stamp: np.ndarray, x: float, y: float) -> tuple[float, float, float]:
    m = adaptive_moments(stamp, x, y)
    for _ in range(4):
        m = adaptive_moments(stamp, m.x, m.y)
    trace = m.xx + m.yy
    return trace, (m.xx - m.yy) / trace, 2 * m.xy / trace
