"""The true sky position and the true PSF anywhere on the CCD, as smooth functions through what the truth lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..camera.geometry import scaled_position
from ..image.psf import polynomial_basis
from ..image.sky_wcs import gnomonic
from ..numerics.arrays import FloatArray
from .true_frame import Truth

__all__ = ["PsfMap", "SkyMap"]


# The optics' distortion and the projection need the fifth order for 0.03 mas; a PSF that changes by a few per cent
# needs the third for a ten thousandth of its peak.
_SKY_ORDER = 5
_PSF_ORDER = 3


def _terms(x: FloatArray, y: FloatArray, order: int) -> FloatArray:
    """Return the powers u**i v**j, i + j <= order, of scaled positions: (n, terms)."""
    u, v = scaled_position(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    return polynomial_basis(v, u, order)


@dataclass(frozen=True)
class SkyMap:
    """True directions of pixels.

    Attributes
    ----------
    ra, dec
        Origin, degrees.
    coefficients
        (21, 2): offsets to the East and North on the tangent plane at the origin, degrees.
    """

    ra: float
    dec: float
    coefficients: FloatArray

    @classmethod
    def fit(cls, truth: Truth) -> SkyMap | None:
        """Fit all sources of the truth; None if there are too few."""
        if not len(truth.x):
            return None
        ra, dec = float(truth.ra[0]), float(truth.dec[0])
        terms = _terms(truth.x, truth.y, _SKY_ORDER)
        if len(terms) < 2 * terms.shape[1]:
            return None
        offsets = np.stack(tangent_offsets(truth.ra, truth.dec, ra, dec), axis=1)
        coefficients: FloatArray = np.linalg.lstsq(terms, offsets, rcond=None)[0].astype(np.float64)
        return cls(ra, dec, coefficients)

    def offsets(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return tangent-plane offsets (n, 2) of pixels, degrees to the East and North."""
        result: FloatArray = _terms(x, y, _SKY_ORDER) @ self.coefficients
        return result


def tangent_offsets(ra: FloatArray, dec: FloatArray, ra0: float, dec0: float) -> tuple[FloatArray, FloatArray]:
    """Project positions (degrees) on the plane tangent at (ra0, dec0); return degrees to the East and North."""
    east, north = gnomonic(ra, dec, ra0, dec0)
    return np.rad2deg(east), np.rad2deg(north)


@dataclass(frozen=True)
class PsfMap:
    """The noiseless PSF at native pixels, interpolated between the stars of the truth.

    Attributes
    ----------
    coefficients
        (terms, size, size).
    order
        Order of the polynomial of each pixel.
    """

    coefficients: FloatArray
    order: int

    @classmethod
    def fit(cls, truth: Truth) -> PsfMap | None:
        """Fit the stamps of the truth; None if there are none. Few stamps get a lower order."""
        if not len(truth.psf_stamps):
            return None
        order = _PSF_ORDER
        while order and len(truth.psf_stamps) < 2 * (order + 1) * (order + 2):
            order -= 1
        terms = _terms(truth.psf_xy[:, 0], truth.psf_xy[:, 1], order)
        flat = truth.psf_stamps.reshape(len(terms), -1)
        solution: FloatArray = np.linalg.lstsq(terms, flat, rcond=None)[0].astype(np.float64)
        return cls(solution.reshape(-1, *truth.psf_stamps.shape[1:]), order)

    def stamp(self, x: float, y: float) -> FloatArray:
        """Return the PSF at a position: (size, size), centred on the middle pixel, sum 1."""
        terms = _terms(np.array([x]), np.array([y]), self.order)[0]
        stamp = np.tensordot(terms, self.coefficients, axes=1)
        normal: FloatArray = stamp / stamp.sum()
        return normal
