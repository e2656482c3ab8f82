"""From the focal plane to the sky and back.

Focal plane (pixels of 15 um) -> field angle: one polynomial of order 9 for the whole camera, times 0.168
arcsec. Field angle -> sky: tangent plane about the boresight, turned by the position angle of the
instrument.

Sources: lsst/obs_subaru @ b7c7029d (2017-09-22): hsc/camera/camera.py and
python/lsst/obs/hsc/transformRegistry.py (polynomials); commit a7669c94 (2019-08) of the same (scale);
python/lsst/obs/hsc/makeHscRawVisitInfo.py (rotation). Tangent plane: Calabretta & Greisen 2002, A&A 395,
1077, section 5.1.3.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from ..numerics.arrays import FloatArray
from ..numerics.constants import RADIAN_PER_ARCSEC
from .detector import Detector
from .tables import read_table

__all__ = [
    "PIXEL_SCALE",
    "field_angle_to_focal_plane",
    "field_angle_to_sky",
    "focal_plane_to_field_angle",
    "pixel_to_sky",
    "sky_to_field_angle",
    "sky_to_pixel",
]

PIXEL_SCALE = 0.168
"""Arcseconds per undistorted focal-plane pixel: 11.2 arcsec/mm times 15 um."""

_ORDER = 9
# Newton's method stops here; the polynomial itself is good to 1e-11 pixels in double precision.
_TOLERANCE = 1e-9
_MAX_STEPS = 20


@cache
def _coefficients(column: str) -> FloatArray:
    """Return the matrix c[i, j] of the terms x^i y^j of one polynomial."""
    matrix = np.zeros((_ORDER + 1, _ORDER + 1))
    for row in read_table("distortion"):
        matrix[row["nx"], row["ny"]] = row[column]
    matrix.setflags(write=False)
    return matrix


@cache
def _derivatives(column: str) -> tuple[FloatArray, FloatArray]:
    """Return the coefficient matrices of the derivatives by x and by y."""
    matrix = _coefficients(column)
    powers = np.arange(_ORDER + 1)
    by_x, by_y = np.zeros_like(matrix), np.zeros_like(matrix)
    by_x[:-1] = (matrix * powers[:, None])[1:]
    by_y[:, :-1] = (matrix * powers[None, :])[:, 1:]
    return by_x, by_y


def _evaluate(matrix: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Evaluate sum c[i, j] x^i y^j by Horner's rule in both variables.

    Only multiplications and additions: the result does not depend on the machine's pow().
    """
    total = np.zeros_like(x)
    for i in range(_ORDER, -1, -1):
        inner = np.full_like(y, matrix[i, _ORDER - i])
        for j in range(_ORDER - i - 1, -1, -1):
            inner = inner * y + matrix[i, j]
        total = total * x + inner
    return total


def _as_floats(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return first, second


def focal_plane_to_field_angle(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Convert focal-plane pixels to field angle in arcseconds."""
    px, py = _as_floats(x, y)
    return (
        PIXEL_SCALE * _evaluate(_coefficients("forward_x"), px, py),
        PIXEL_SCALE * _evaluate(_coefficients("forward_y"), px, py),
    )


def field_angle_to_focal_plane(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Convert field angle in arcseconds to focal-plane pixels.

    Newton's method from the approximate inverse polynomial, which is up to 2.8 pixels off at the edge of
    the field. Points where it does not converge (far outside the field of 0.9 degrees radius) give nan.
    """
    fx, fy = _as_floats(x, y)
    u, v = fx / PIXEL_SCALE, fy / PIXEL_SCALE
    # Outside the fitted field the inverse polynomial runs away; the undistorted position is the safer start.
    inside = np.hypot(u, v) < 20500.0
    px = np.where(inside, _evaluate(_coefficients("inverse_x"), u, v), u)
    py = np.where(inside, _evaluate(_coefficients("inverse_y"), u, v), v)
    (xx, xy), (yx, yy) = _derivatives("forward_x"), _derivatives("forward_y")
    with np.errstate(all="ignore"):
        for _ in range(_MAX_STEPS):
            du = u - _evaluate(_coefficients("forward_x"), px, py)
            dv = v - _evaluate(_coefficients("forward_y"), px, py)
            a, b = _evaluate(xx, px, py), _evaluate(xy, px, py)
            c, d = _evaluate(yx, px, py), _evaluate(yy, px, py)
            determinant = a * d - b * c
            step_x, step_y = (d * du - b * dv) / determinant, (a * dv - c * du) / determinant
            px, py = px + step_x, py + step_y
            step = np.maximum(np.abs(step_x), np.abs(step_y))
            if not np.any(step > _TOLERANCE):
                break
        # Not "step > 1e-6": a nan must count as not converged.
        lost = ~(step <= 1e-6)
    return np.where(lost, np.nan, px)[()], np.where(lost, np.nan, py)[()]


def _rotation(inst_pa: float) -> tuple[float, float]:
    theta = np.radians(270.0 - inst_pa)
    return float(np.cos(theta)), float(np.sin(theta))


def field_angle_to_sky(
    x: ArrayLike, y: ArrayLike, boresight_ra: float, boresight_dec: float, inst_pa: float
) -> tuple[FloatArray, FloatArray]:
    """Convert field angle in arcseconds to right ascension (0 to 360) and declination in degrees.

    `inst_pa` is the header's INST-PA in degrees: at 0, focal-plane +x is South and +y is West.
    """
    fx, fy = _as_floats(x, y)
    cos, sin = _rotation(inst_pa)
    xi = (-fx * cos + fy * sin) * RADIAN_PER_ARCSEC
    eta = (fx * sin + fy * cos) * RADIAN_PER_ARCSEC
    ra0, dec0 = np.radians(boresight_ra), np.radians(boresight_dec)
    along = np.cos(dec0) - eta * np.sin(dec0)
    ra = ra0 + np.arctan2(xi, along)
    dec = np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, along))
    return np.degrees(ra) % 360.0, np.degrees(dec)


def sky_to_field_angle(
    ra: ArrayLike, dec: ArrayLike, boresight_ra: float, boresight_dec: float, inst_pa: float
) -> tuple[FloatArray, FloatArray]:
    """Convert degrees on the sky to field angle in arcseconds; nan for points 90 degrees or more away."""
    ra_deg, dec_deg = _as_floats(ra, dec)
    d_ra = np.radians(ra_deg - boresight_ra)
    dec_rad, dec0 = np.radians(dec_deg), np.radians(boresight_dec)
    cos_distance = np.sin(dec0) * np.sin(dec_rad) + np.cos(dec0) * np.cos(dec_rad) * np.cos(d_ra)
    scale = np.where(cos_distance > 0.0, cos_distance, np.nan) * RADIAN_PER_ARCSEC
    xi = np.cos(dec_rad) * np.sin(d_ra) / scale
    eta = (np.cos(dec0) * np.sin(dec_rad) - np.sin(dec0) * np.cos(dec_rad) * np.cos(d_ra)) / scale
    cos, sin = _rotation(inst_pa)
    return -xi * cos + eta * sin, xi * sin + eta * cos


def pixel_to_sky(
    detector: Detector, x: ArrayLike, y: ArrayLike, boresight_ra: float, boresight_dec: float, inst_pa: float
) -> tuple[FloatArray, FloatArray]:
    """Convert detector pixels to right ascension and declination in degrees, from the camera geometry."""
    field = focal_plane_to_field_angle(*detector.pixel_to_focal_plane(x, y))
    return field_angle_to_sky(*field, boresight_ra, boresight_dec, inst_pa)


def sky_to_pixel(
    detector: Detector,
    ra: ArrayLike,
    dec: ArrayLike,
    boresight_ra: float,
    boresight_dec: float,
    inst_pa: float,
) -> tuple[FloatArray, FloatArray]:
    """Convert degrees on the sky to detector pixels; nan for points far outside the field."""
    field = sky_to_field_angle(ra, dec, boresight_ra, boresight_dec, inst_pa)
    return detector.focal_plane_to_pixel(*field_angle_to_focal_plane(*field))
