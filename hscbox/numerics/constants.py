"""Numbers of mathematics and of units that several rooms use, each once.

Those of the camera are in `camera/geometry.py`, those of time in `camera/time_scales.py`.
"""

from __future__ import annotations

import math

__all__ = [
    "AB_ZERO_JY",
    "ARCSEC_PER_RADIAN",
    "FWHM_PER_SIGMA",
    "HWHM_PER_SIGMA",
    "MAG_PER_RELATIVE",
    "RADIAN_PER_ARCSEC",
    "SIGMA_PER_IQR",
    "SIGMA_PER_MAD",
]

FWHM_PER_SIGMA = math.sqrt(8.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian per standard deviation: 2.3548."""
HWHM_PER_SIGMA = FWHM_PER_SIGMA / 2.0
"""Half of it, and the half-light radius of a round Gaussian: 1.1774."""
SIGMA_PER_IQR = 0.741301109252801
"""Standard deviation of a Gaussian per interquartile range."""
SIGMA_PER_MAD = 2.0 * SIGMA_PER_IQR
"""Standard deviation of a Gaussian per median absolute deviation: 1.4826."""
MAG_PER_RELATIVE = 2.5 / math.log(10.0)
"""Error of a magnitude per relative error of its flux, where that is small: 1.0857."""
AB_ZERO_JY = 3631.0
"""Flux density of AB magnitude 0, Jy: Oke & Gunn 1983, ApJ 266, 713."""
ARCSEC_PER_RADIAN = 180.0 / math.pi * 3600.0
RADIAN_PER_ARCSEC = math.pi / 180.0 / 3600.0
