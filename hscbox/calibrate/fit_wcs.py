"""Fit a TAN-SIP world coordinate system to matched positions.

Method: linear least squares of a polynomial from pixels to intermediate world coordinates about a fixed sky
position; its linear part is the CD matrix, the constant part moves the reference pixel, and the rest, brought
back through the inverse CD matrix, are the SIP coefficients (Shupe et al. 2005, ASP Conf. 347, 491).
"""

from __future__ import annotations

from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.htm import separation
from ..errors import AstrometryError, MatchesRejectedError
from ..image.sky_wcs import SkyWcs, gnomonic
from ..numerics.arrays import BoolArray, FloatArray
from ..numerics.constants import ARCSEC_PER_RADIAN, SIGMA_PER_IQR
from .camera_distortion import describing_order, design_matrix, distortion_prior

__all__ = ["FitTanSipWcsConfig", "WcsFit", "fit_tan_sip", "fit_with_rejection"]


# Pixels on the sky are square to a percent, so that a CD matrix far from condition 1 has an undetermined direction.
_WORST_CONDITION = 10.0
# Matches beyond the free terms; with the camera's distortion the linear terms alone are free.
_SPARE_MATCHES = 3
_FEWEST_WITH_CAMERA = 10


class FitTanSipWcsConfig(pex_config.Config):
    """Parameters of the TAN-SIP fit."""

    order = pex_config.RangeField(
        "Least order of the SIP polynomials.", int, default=3, min=1, max=7, inclusiveMax=True
    )
    maxOrder = pex_config.RangeField(
        "Order up to which `order` is raised where the camera's distortion asks for it; 0 never raises it.",
        int,
        default=5,
        min=0,
        max=7,
        inclusiveMax=True,
    )
    numIter = pex_config.RangeField("Rounds that move the reference pixel to the fitted one.", int, default=3, min=1)
    numRejIter = pex_config.RangeField("Rounds of rejection before the final fit.", int, default=3, min=0)
    rejSigma = pex_config.RangeField("Residuals beyond this many sigma are rejected.", float, default=3.0, min=0)
    minScatterArcsec = pex_config.RangeField(
        "Smallest median distance of matched pairs (arcsec): less is no measurement but a copy.",
        float,
        default=1e-4,
        min=0,
    )
    maxScatterArcsec = pex_config.RangeField(
        "Largest median distance of matched pairs after the fit (arcsec).", float, default=1.0, min=0
    )


@dataclass(frozen=True)
class WcsFit:
    """A fitted WCS.

    Attributes
    ----------
    wcs
        The solution.
    used
        Which pairs survived the rejection (n,).
    distance
        On-sky separation of all pairs under the solution (n,), arcsec.
    residual
        Source minus reference of all pairs to the east and the north (n, 2), arcsec.
    """

    wcs: SkyWcs
    used: BoolArray
    distance: FloatArray
    residual: FloatArray


def fit_tan_sip(
    x: FloatArray,
    y: FloatArray,
    ra: FloatArray,
    dec: FloatArray,
    weight: FloatArray,
    *,
    order: int,
    iterations: int,
    start: SkyWcs | None = None,
) -> SkyWcs:
    """Fit a TAN-SIP WCS of the given order by weighted least squares.

    Parameters
    ----------
    x, y
        Pixel positions (n,), 0-based.
    ra, dec
        Sky positions (n,), degrees.
    weight
        Inverse standard errors of the positions (n,), 1/arcsec.
    order
        Total degree of the polynomials.
    iterations
        The reference pixel is moved to where the polynomial reaches the reference sky position this many times.
    start
        A WCS with the camera's distortion. Terms of degree two and more are drawn to its own, as strongly as the
        matches make likely, so that corners without matches are not left to extrapolation.

    Raises
    ------
    AstrometryError
        The positions do not determine a WCS.
    """
    ra0, dec0 = _mean_position(ra, dec)
    # In arcsec, like the weights; the coefficients are brought back to degrees at the end.
    xi, eta = (ARCSEC_PER_RADIAN * part for part in gnomonic(ra, dec, ra0, dec0))
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    centre = np.array([np.mean(x), np.mean(y)])
    scale = max(float(np.ptp(x)), float(np.ptp(y)), 1.0) / 2
    coefficients: dict[tuple[int, int], FloatArray] = {}
    for _ in range(iterations):
        u, v = (x - centre[0]) / scale, (y - centre[1]) / scale
        design = design_matrix(u, v, powers) * weight[:, None]
        values = np.stack([xi, eta], axis=1) * weight[:, None]
        if start is not None:
            wide = float(np.ptp(x)) / 2 / scale
            rows, wanted = distortion_prior(design, values, start, powers, centre, scale, wide, ra0, dec0)
            design, values = np.concatenate([design, rows]), np.concatenate([values, wanted])
        solution = np.linalg.lstsq(design, values, rcond=None)[0]
        coefficients = {power: solution[k] / 3600 / scale ** sum(power) for k, power in enumerate(powers)}
        cd = np.stack([coefficients[1, 0], coefficients[0, 1]], axis=1)
        # Where the polynomial is zero lies the new reference pixel; the next round makes its constant vanish.
        if np.linalg.cond(cd) > _WORST_CONDITION:
            raise AstrometryError(
                f"The {len(x)} matches lie on a line or a point: no WCS follows from them", matches=len(x)
            )
        centre = centre - np.linalg.solve(cd, coefficients[0, 0])
    return _to_sip(centre, ra0, dec0, coefficients, order)


def _to_sip(
    centre: FloatArray, ra0: float, dec0: float, coefficients: dict[tuple[int, int], FloatArray], order: int
) -> SkyWcs:
    cd = np.stack([coefficients[1, 0], coefficients[0, 1]], axis=1)
    a, b = np.zeros((order + 1, order + 1)), np.zeros((order + 1, order + 1))
    inverse = np.linalg.inv(cd)
    for (i, j), value in coefficients.items():
        if i + j >= 2:
            a[i, j], b[i, j] = inverse @ value
    return SkyWcs(crpix=(float(centre[0]), float(centre[1])), crval=(ra0, dec0), cd=cd, a=a, b=b)


def _mean_position(ra: FloatArray, dec: FloatArray) -> tuple[float, float]:
    """Average directions as vectors, so that fields across RA 0 are right."""
    longitude, latitude = np.deg2rad(ra), np.deg2rad(dec)
    across = np.cos(latitude)
    vector = np.mean([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=1)
    return (
        float(np.rad2deg(np.arctan2(vector[1], vector[0])) % 360),
        float(np.rad2deg(np.arctan2(vector[2], np.hypot(vector[0], vector[1])))),
    )


def fit_with_rejection(
    x: FloatArray,
    y: FloatArray,
    ra: FloatArray,
    dec: FloatArray,
    weight: FloatArray,
    config: FitTanSipWcsConfig,
    start: SkyWcs | None = None,
) -> WcsFit:
    """Fit, reject pairs whose weighted residual is an outlier in either axis, and fit again.

    Sigma is that of the quartiles, and what a bad early fit has rejected may come back. Parameters as in `fit_tan_sip`.

    Raises
    ------
    MatchesRejectedError
        Too few pairs for the number of coefficients are there, or are left.
    AstrometryError
        The positions do not determine a WCS.
    """
    needed = (config.order + 1) * (config.order + 2) // 2 + _SPARE_MATCHES
    if start is not None:
        needed = min(needed, _FEWEST_WITH_CAMERA)
    used = np.ones(len(x), dtype=bool)
    order = int(config.order)
    if start is not None and len(x):
        order = describing_order(x, y, start, order, int(config.maxOrder))
    for round_ in range(config.numRejIter + 1):
        n_used = int(used.sum())
        if n_used < needed:
            raise MatchesRejectedError(
                f"Astrometric fit of order {order} has {n_used} matches after {round_} rounds of rejection "
                f"of {len(x)}, at least {needed} are needed",
                remedy="Check the reference catalogue, or lower calibrate.astrometry.wcsFitter.order",
                matches=n_used,
                given=len(x),
                needed=needed,
            )
        kept = (values[used] for values in (x, y, ra, dec, weight))
        wcs = fit_tan_sip(*kept, order=order, iterations=config.numIter, start=start)
        if round_ == config.numRejIter:
            break
        fit_x, fit_y = wcs.sky_to_pixel(ra, dec)
        dx, dy = (fit_x - x) * weight, (fit_y - y) * weight
        used = _near(dx, used, config.rejSigma) & _near(dy, used, config.rejSigma)
    fit_ra, fit_dec = wcs.pixel_to_sky(x, y)
    centre = _mean_position(ra, dec)
    residual = ARCSEC_PER_RADIAN * np.subtract(gnomonic(fit_ra, fit_dec, *centre), gnomonic(ra, dec, *centre)).T
    return WcsFit(wcs, used, 3600 * separation(fit_ra, fit_dec, ra, dec), residual)


def _near(residual: FloatArray, used: BoolArray, n_sigma: float) -> BoolArray:
    """Return which residuals (n,) are within `n_sigma` of zero, sigma being that of the `used` ones."""
    lower, upper = np.quantile(residual[used], [0.25, 0.75])
    near: BoolArray = np.abs(residual) <= n_sigma * SIGMA_PER_IQR * float(upper - lower)
    return near
