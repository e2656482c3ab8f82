"""The photometric calibration of an exposure: one zero point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import overload

import numpy as np

from ..numerics.arrays import FloatArray
from ..numerics.constants import MAG_PER_RELATIVE

__all__ = ["PhotoCalib"]


@dataclass(frozen=True)
class PhotoCalib:
    """Zero point as the flux that means AB magnitude 0."""

    flux_mag0: float
    """Flux [ADU] of a source of magnitude 0; contains the exposure time."""
    flux_mag0_err: float = 0.0
    """Its standard error [ADU]."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.flux_mag0) and self.flux_mag0 > 0):
            raise ValueError(f"flux of magnitude 0 is {self.flux_mag0!r}; must be positive and finite")

    @classmethod
    def from_zero_point(cls, zero_point: float, error: float = 0.0) -> PhotoCalib:
        """Make a calibration from the magnitude of a source of 1 ADU and its error [mag]."""
        flux = 10.0 ** (0.4 * zero_point)
        return cls(flux, flux * error / MAG_PER_RELATIVE)

    @property
    def zero_point(self) -> float:
        """Magnitude of a source of 1 ADU."""
        return 2.5 * math.log10(self.flux_mag0)

    @property
    def zero_point_err(self) -> float:
        """Standard error of the zero point [mag]."""
        return MAG_PER_RELATIVE * self.flux_mag0_err / self.flux_mag0

    @overload
    def magnitude(self, flux: float) -> float: ...
    @overload
    def magnitude(self, flux: FloatArray) -> FloatArray: ...
    def magnitude(self, flux: float | FloatArray) -> float | FloatArray:
        """Return AB magnitudes of fluxes [ADU]; NaN for fluxes that are not positive."""
        values = np.asarray(flux, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            result = np.where(values > 0, self.zero_point - 2.5 * np.log10(values), np.nan)
        return float(result) if result.ndim == 0 else result

    def magnitude_err(self, flux: FloatArray, flux_err: FloatArray) -> FloatArray:
        """Return standard errors [mag] of magnitudes, from the error of the flux alone; NaN where flux <= 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.asarray(flux_err, dtype=np.float64) / np.asarray(flux, dtype=np.float64)
        return np.where(np.asarray(flux) > 0, MAG_PER_RELATIVE * relative, np.nan)
