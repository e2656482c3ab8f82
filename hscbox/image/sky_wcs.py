"""The TAN-SIP world coordinate system, in vectorised double precision.

FITS WCS paper II (Calabretta & Greisen 2002, A&A 395, 1077) for the gnomonic projection, the SIP convention
(Shupe et al. 2005, ASP Conf. 347, 491) for the distortion. Pixels here are 0-based; the FITS cards are 1-based.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import ArrayLike, NDArray

from ..errors import DamagedInputError
from ..numerics.arrays import FloatArray

__all__ = ["SkyWcs", "gnomonic"]


_MAX_NEWTON = 30
_NEWTON_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class SkyWcs:
    """Pixel to sky: x - crpix, plus the SIP polynomial, times CD, through the tangent plane at crval (ICRS).

    Instances are immutable; arrays given are copied.
    """

    crpix: tuple[float, float]
    """Reference pixel, 0-based."""
    crval: tuple[float, float]
    """Right ascension and declination of the reference pixel [deg]."""
    cd: FloatArray
    """Matrix (2, 2) [deg/px]."""
    a: FloatArray | None = None
    """(order + 1, order + 1); a[i, j] multiplies u^i v^j in the correction of u. None: no distortion."""
    b: FloatArray | None = None
    """As `a`, for the correction of v."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "crpix", (float(self.crpix[0]), float(self.crpix[1])))
        object.__setattr__(self, "crval", (float(self.crval[0]), float(self.crval[1])))
        object.__setattr__(self, "cd", _frozen(self.cd))
        if (self.a is None) != (self.b is None):
            raise ValueError("SIP needs both polynomials, a and b")
        if self.a is not None and self.b is not None:
            size = max(np.shape(self.a)[0], np.shape(self.b)[0])
            object.__setattr__(self, "a", _frozen(_padded(self.a, size)))
            object.__setattr__(self, "b", _frozen(_padded(self.b, size)))
        determinant = float(np.linalg.det(self.cd)) if self.cd.shape == (2, 2) else 0.0
        if not (np.isfinite(determinant) and determinant != 0):
            raise ValueError(f"CD matrix {self.cd.tolist()} cannot be inverted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SkyWcs):
            return NotImplemented
        return (
            self.crpix == other.crpix
            and self.crval == other.crval
            and np.array_equal(self.cd, other.cd)
            and _same(self.a, other.a)
            and _same(self.b, other.b)
        )

    def __hash__(self) -> int:
        return hash((self.crpix, self.crval, self.cd.tobytes()))

    @property
    def sip_order(self) -> int:
        """Degree of the SIP polynomials, 0 without distortion."""
        return 0 if self.a is None else int(self.a.shape[0] - 1)

    def pixel_to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return right ascension in [0, 360) and declination [deg] of 0-based pixel positions."""
        xi, eta = self.pixel_to_plane(x, y)
        return _deproject(np.deg2rad(xi), np.deg2rad(eta), *self.crval)

    def sky_to_pixel(self, ra: ArrayLike, dec: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return 0-based pixel positions of sky positions [deg].

        The distortion is inverted by Newton's method to 1e-10 px. NaN for positions 90 degrees or more from the
        reference position and where no solution is found, which happens far outside the CCD.
        """
        xi, eta = gnomonic(np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64), *self.crval)
        return self.plane_to_pixel(np.rad2deg(xi), np.rad2deg(eta))

    def pixel_to_plane(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return tangent-plane coordinates (xi east, eta north) [deg] of pixel positions."""
        u = np.asarray(x, dtype=np.float64) - self.crpix[0]
        v = np.asarray(y, dtype=np.float64) - self.crpix[1]
        u, v = np.broadcast_arrays(u, v)
        du, dv = self._distortion(u, v)
        u, v = u + du, v + dv
        return self.cd[0, 0] * u + self.cd[0, 1] * v, self.cd[1, 0] * u + self.cd[1, 1] * v

    def plane_to_pixel(self, xi: ArrayLike, eta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return pixel positions of tangent-plane coordinates [deg]; see `sky_to_pixel`."""
        inverse = np.linalg.inv(self.cd)
        xi, eta = np.broadcast_arrays(np.asarray(xi, dtype=np.float64), np.asarray(eta, dtype=np.float64))
        target_u = inverse[0, 0] * xi + inverse[0, 1] * eta
        target_v = inverse[1, 0] * xi + inverse[1, 1] * eta
        u, v = self._undistort(target_u, target_v)
        return u + self.crpix[0], v + self.crpix[1]

    def pixel_area(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Return the solid angle of pixels [arcsec^2] at positions of any shape."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        xi, eta = self.pixel_to_plane(x, y)
        uu, uv, vu, vv = self._jacobian(x - self.crpix[0], y - self.crpix[1])
        plane = abs(float(np.linalg.det(self.cd))) * np.abs(uu * vv - uv * vu)
        # Solid angle of the gnomonic plane shrinks as the cube of the secant.
        secant2 = 1 + np.deg2rad(xi) ** 2 + np.deg2rad(eta) ** 2
        return np.asarray(plane * secant2**-1.5 * 3600.0**2)

    def shifted(self, dx: float, dy: float) -> SkyWcs:
        """Return the WCS of an image whose pixel (0, 0) is this one's pixel (-dx, -dy)."""
        return SkyWcs((self.crpix[0] + dx, self.crpix[1] + dy), self.crval, self.cd, self.a, self.b)

    def to_cards(self) -> list[tuple[str, str | int | float]]:
        """Return the FITS cards in the order of the HSC pipeline's files; the frame is ICRS and there are no
        inverse polynomials.

        Readers invert the forward polynomial numerically, which is more accurate than AP and BP cards.
        """
        cards: list[tuple[str, str | int | float]] = [
            ("EQUINOX", 2000.0),
            ("RADESYS", "ICRS"),
            ("CRPIX1", self.crpix[0] + 1),
            ("CRPIX2", self.crpix[1] + 1),
            *[(f"CD{i + 1}_{j + 1}", float(self.cd[i, j])) for i in (0, 1) for j in (0, 1)],
            ("CRVAL1", self.crval[0]),
            ("CRVAL2", self.crval[1]),
            ("CUNIT1", "deg"),
            ("CUNIT2", "deg"),
        ]
        if self.a is None or self.b is None:
            return [*cards, ("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")]
        for letter, terms in (("A", self.a), ("B", self.b)):
            cards.append((f"{letter}_ORDER", max(self.sip_order, 2)))
            cards += [(f"{letter}_{i}_{j}", float(terms[i, j])) for i, j in np.ndindex(terms.shape) if terms[i, j] != 0]
        return [*cards, ("CTYPE1", "RA---TAN-SIP"), ("CTYPE2", "DEC--TAN-SIP")]

    @classmethod
    def from_header(cls, header: Mapping[str, object]) -> SkyWcs | None:
        """Read the celestial WCS of a header: TAN or TAN-SIP with CD or CDELT cards. None if there is no WCS.

        Raises
        ------
        DamagedInputError
            The projection is another one, a card is not a number, or the matrix cannot be inverted.
        """
        if "CTYPE1" not in header or "CRPIX1" not in header or "CRVAL1" not in header:
            return None
        types = str(header["CTYPE1"]).strip(), str(header.get("CTYPE2", "")).strip()
        if types not in (("RA---TAN", "DEC--TAN"), ("RA---TAN-SIP", "DEC--TAN-SIP")):
            raise DamagedInputError(
                f"The WCS has CTYPE1, CTYPE2 = {types[0]!r}, {types[1]!r}; "
                "allowed: RA---TAN, DEC--TAN, with or without -SIP"
            )
        try:
            crpix = _number(header, "CRPIX1") - 1, _number(header, "CRPIX2") - 1
            crval = _number(header, "CRVAL1"), _number(header, "CRVAL2")
            a = b = None
            if types[0].endswith("-SIP"):
                a, b = _sip_terms(header, "A"), _sip_terms(header, "B")
            return cls(crpix, crval, _linear_matrix(header), a, b)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedInputError(f"The WCS cannot be understood: {error}") from error

    def _distortion(self, u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self.a is None or self.b is None:
            return np.zeros_like(u), np.zeros_like(v)
        return _series(u, v, self.a), _series(u, v, self.b)

    def _jacobian(self, u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        if self.a is None or self.b is None:
            return np.ones_like(u), np.zeros_like(u), np.zeros_like(u), np.ones_like(u)
        partial = [_series(u, v, polynomial.polyder(terms, axis=axis)) for terms in (self.a, self.b) for axis in (0, 1)]
        return 1 + partial[0], partial[1], partial[2], 1 + partial[3]

    def _undistort(self, target_u: FloatArray, target_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        u, v = target_u.copy(), target_v.copy()
        if self.a is None:
            return u, v
        with np.errstate(all="ignore"):
            for _ in range(_MAX_NEWTON):
                du, dv = self._distortion(u, v)
                error_u, error_v = u + du - target_u, v + dv - target_v
                uu, uv, vu, vv = self._jacobian(u, v)
                determinant = uu * vv - uv * vu
                step_u = (error_u * vv - error_v * uv) / determinant
                step_v = (error_v * uu - error_u * vu) / determinant
                u, v = u - step_u, v - step_v
                moving = ~((np.abs(step_u) <= _NEWTON_TOLERANCE) & (np.abs(step_v) <= _NEWTON_TOLERANCE))
                # Rounding keeps distant points from settling closer than their own last digit.
                moving &= (np.abs(step_u) + np.abs(step_v)) > 1e-14 * (np.abs(u) + np.abs(v))
                if not moving.any():
                    break
        failed = moving | ~np.isfinite(u) | ~np.isfinite(v)
        return np.where(failed, np.nan, u), np.where(failed, np.nan, v)


def _frozen(values: ArrayLike) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def _series(u: FloatArray, v: FloatArray, terms: NDArray[np.floating[Any]]) -> FloatArray:
    return np.asarray(polynomial.polyval2d(u, v, terms), dtype=np.float64)


def _padded(terms: ArrayLike, size: int) -> FloatArray:
    terms = np.asarray(terms, dtype=np.float64)
    result = np.zeros((size, size))
    result[: terms.shape[0], : terms.shape[1]] = terms
    return result


def _same(first: FloatArray | None, second: FloatArray | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


def gnomonic(ra: FloatArray, dec: FloatArray, ra0: float, dec0: float) -> tuple[FloatArray, FloatArray]:
    """Project the sky (degrees) onto the plane tangent at (ra0, dec0): xi east and eta north [rad].

    NaN at 90 degrees from the centre and beyond.
    """
    delta, dec_rad, dec0_rad = np.deg2rad(ra - ra0), np.deg2rad(dec), np.deg2rad(dec0)
    sin_d, cos_d, sin_0, cos_0 = np.sin(dec_rad), np.cos(dec_rad), np.sin(dec0_rad), np.cos(dec0_rad)
    cosine = sin_d * sin_0 + cos_d * cos_0 * np.cos(delta)
    cosine = np.where(cosine > 0, cosine, np.nan)
    return cos_d * np.sin(delta) / cosine, (sin_d * cos_0 - cos_d * sin_0 * np.cos(delta)) / cosine


def _deproject(xi: FloatArray, eta: FloatArray, ra0: float, dec0: float) -> tuple[FloatArray, FloatArray]:
    dec0_rad = np.deg2rad(dec0)
    sin_0, cos_0 = np.sin(dec0_rad), np.cos(dec0_rad)
    toward = cos_0 - eta * sin_0
    ra = ra0 + np.rad2deg(np.arctan2(xi, toward))
    dec = np.rad2deg(np.arctan2(sin_0 + eta * cos_0, np.hypot(xi, toward)))
    ra = np.mod(ra, 360.0)
    return np.where(ra >= 360.0, 0.0, ra), np.asarray(dec)


def _number(header: Mapping[str, object], key: str, default: float | None = None) -> float:
    if key not in header and default is not None:
        return default
    value = header[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} = {value!r} is not a number")
    if not np.isfinite(value):
        raise ValueError(f"{key} = {value!r} is not finite")
    return float(value)


def _linear_matrix(header: Mapping[str, object]) -> FloatArray:
    keys = ((1, 1), (1, 2), (2, 1), (2, 2))
    if any(f"CD{i}_{j}" in header for i, j in keys):
        return np.array([_number(header, f"CD{i}_{j}", 0.0) for i, j in keys]).reshape(2, 2)
    scale = np.array([_number(header, "CDELT1"), _number(header, "CDELT2")])
    matrix = np.array([_number(header, f"PC{i}_{j}", float(i == j)) for i, j in keys]).reshape(2, 2)
    return np.asarray(scale[:, None] * matrix)


def _sip_terms(header: Mapping[str, object], letter: str) -> FloatArray:
    order = int(_number(header, f"{letter}_ORDER"))
    if not 0 <= order <= 9:
        raise ValueError(f"{letter}_ORDER = {order}, allowed 0..9")
    terms = np.zeros((order + 1, order + 1))
    for i in range(order + 1):
        for j in range(order + 1 - i):
            terms[i, j] = _number(header, f"{letter}_{i}_{j}", 0.0)
    return terms
