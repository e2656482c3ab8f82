"""Draw many small galaxies at once in Fourier space, where their profiles and the PSF are simple formulas.

Transforms (flux 1, k in radians per pixel): Kolmogorov PSF exp(-(k d / 2.992934)^(5/3)) with d = FWHM / 0.9758634
(Fried 1966, JOSA 56, 1372; constants of GalSim's Kolmogorov); Moffat of beta 2.5 (1 + k r) exp(-k r); exponential
disk (1 + k^2 h^2)^(-3/2); square pixel sinc sinc; a shift multiplies with a phase. Frequencies above the pixel
grid's own, where the PSF passes 0.1 %, are cut off: good for what is not far above the noise.
"""

from __future__ import annotations

from functools import cache

import galsim
import numpy as np
from numpy.typing import NDArray

from ..camera.distortion import PIXEL_SCALE
from ..numerics.arrays import FloatArray, IntArray
from .psf_model import WING_BETA, WING_FRACTION, WING_FWHM, TruePsf

__all__ = ["BATCH_HALF_SIZE", "galaxy_stamps"]


_SIZE = 64
BATCH_HALF_SIZE = _SIZE // 2 - 1
_KOLMOGOROV = 2.992934
_FWHM_PER_D = 0.9758634299
# Half-light radius of an exponential disk in scale lengths.
_EXPONENTIAL_RADIUS = 1.6783469900


def galaxy_stamps(sources: NDArray[np.void], psf: TruePsf) -> tuple[FloatArray, IntArray, IntArray]:
    """Draw galaxies convolved with the PSF and the pixel.

    Returns
    -------
    stamps
        (n, 63, 63) calibrated ADU.
    columns, rows
        Detector pixel of each stamp's middle.
    """
    columns, rows = (np.round(sources[name]).astype(np.int64) for name in ("x", "y"))
    kx = (2.0 * np.pi * np.fft.rfftfreq(_SIZE)[None, None, :]).astype(np.float64)
    ky = (2.0 * np.pi * np.fft.fftfreq(_SIZE)[None, :, None]).astype(np.float64)
    fwhm, g1, g2 = psf.parameters(sources["x"], sources["y"])
    ratio = (fwhm / _FWHM_PER_D / _KOLMOGOROV)[:, None, None]
    k2 = _sheared_k2(kx, ky, g1, g2)
    k = np.sqrt(k2)
    r = WING_FWHM / 2.0 / np.sqrt(2.0 ** (1.0 / WING_BETA) - 1.0)
    transform = (1.0 - WING_FRACTION) * np.exp(-((k * ratio) ** (5.0 / 3.0)))
    transform += WING_FRACTION * (1.0 + k * r) * np.exp(-k * r)
    radius = (sources["radius"] / PIXEL_SCALE)[:, None, None]
    k2 = _sheared_k2(kx, ky, sources["g1"], sources["g2"]) * radius**2
    steep = sources["sersic"] == 4.0
    transform[~steep] *= (1.0 + k2[~steep] / _EXPONENTIAL_RADIUS**2) ** -1.5
    if steep.any():
        transform[steep] *= np.interp(np.log(k2[steep] + 1e-12), *_de_vaucouleurs())
    transform *= np.sinc(kx / (2.0 * np.pi)) * np.sinc(ky / (2.0 * np.pi)) * sources["flux_adu"][:, None, None]
    # The phase moves the centre onto pixel (31, 31) plus the fraction of a pixel.
    shift_x = (sources["x"] - columns + BATCH_HALF_SIZE)[:, None, None]
    shift_y = (sources["y"] - rows + BATCH_HALF_SIZE)[:, None, None]
    spectrum = transform * (np.exp(-1j * kx * shift_x) * np.exp(-1j * ky * shift_y))
    stamps = np.fft.irfft2(spectrum, s=(_SIZE, _SIZE))
    return stamps[:, : _SIZE - 1, : _SIZE - 1], columns, rows


def _sheared_k2(kx: FloatArray, ky: FloatArray, g1: FloatArray, g2: FloatArray) -> FloatArray:
    """Return |S k|^2 for the area-preserving shear S = [[1+g1, g2], [g2, 1-g1]] / sqrt(1-g^2)."""
    a, b = g1[:, None, None], g2[:, None, None]
    first, second = (1.0 + a) * kx + b * ky, b * kx + (1.0 - a) * ky
    return (first**2 + second**2) / (1.0 - a * a - b * b)


@cache
def _de_vaucouleurs() -> tuple[FloatArray, FloatArray]:
    """Return ln(k^2 hlr^2) and the transform of the Sersic profile of index 4."""
    logarithm = np.linspace(np.log(1e-12), np.log(1e6), 800)
    profile = galsim.DeVaucouleurs(half_light_radius=1.0)
    values = [profile.kValue(galsim.PositionD(k, 0.0)).real for k in np.exp(0.5 * logarithm)]
    return logarithm, np.array(values)
