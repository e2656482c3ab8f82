"""The least error that any centroid of a star can have.

Cramer-Rao bound of the position when the flux is unknown as well: inverse of Fisher's information of independent
pixels with Gaussian noise (e.g. Mendez et al. 2013, PASP 125, 580).
"""

from __future__ import annotations

import numpy as np

from ..numerics.arrays import FloatArray

__all__ = ["position_bound"]


def position_bound(psf: FloatArray, flux: float, sky_variance: float, gain: float) -> tuple[float, float]:
    """Return the least standard deviations (pixel) of x and y.

    Parameters
    ----------
    psf
        Noiseless PSF (size, size) on native pixels, sum 1, sampled well enough for its slopes (FWHM above 2 pixels).
    flux
        Of the star, ADU.
    sky_variance
        Of a pixel without star, ADU^2.
    gain
        Electrons per ADU, for the star's own noise.
    """
    # The slopes of a band-limited image are exact in Fourier space; differences of pixels would be a tenth too flat.
    spectrum = np.fft.fft2(psf)
    along_y, along_x = (2j * np.pi * np.fft.fftfreq(size) for size in psf.shape)
    slope_x = np.fft.ifft2(spectrum * along_x[None, :]).real
    slope_y = np.fft.ifft2(spectrum * along_y[:, None]).real
    model = np.stack([flux * slope_x, flux * slope_y, psf]).reshape(3, -1)
    variance = sky_variance + flux * np.maximum(psf, 0.0).ravel() / gain
    covariance = np.linalg.inv((model / variance) @ model.T)
    return float(np.sqrt(covariance[0, 0])), float(np.sqrt(covariance[1, 1]))
