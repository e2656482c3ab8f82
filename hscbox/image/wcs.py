"""World coordinate systems: the TAN-SIP class, and the starting guess from the camera geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..camera.distortion import pixel_to_sky
from .sky_wcs import SkyWcs

if TYPE_CHECKING:
    from ..camera.detector import Detector
    from ..camera.visit_info import VisitInfo

__all__ = ["initial_wcs"]

_ORDER = 5
_GRID = 24


def initial_wcs(detector: Detector, visit_info: VisitInfo) -> SkyWcs:
    """Return the WCS that the camera geometry and the telescope's pointing predict for a CCD.

    Chip position, chip rotation and the optical distortion enter; a fit to stars only has to correct the
    pointing. The 9th-order distortion of the camera is represented by SIP polynomials of order 5 about the
    centre of the CCD, with residuals below 1e-3 px over the CCD.
    """
    grid_x, grid_y = np.meshgrid(
        _chebyshev_nodes(-0.5, detector.width - 0.5), _chebyshev_nodes(-0.5, detector.height - 0.5)
    )
    x, y = grid_x.ravel(), grid_y.ravel()
    pointing = visit_info.boresight_ra, visit_info.boresight_dec, visit_info.inst_pa
    ra, dec = pixel_to_sky(detector, x, y, *pointing)
    centre = (detector.width - 1) / 2, (detector.height - 1) / 2
    centre_ra, centre_dec = pixel_to_sky(detector, np.array([centre[0]]), np.array([centre[1]]), *pointing)
    crval = float(centre_ra[0]), float(centre_dec[0])
    # A WCS with unit matrix projects to the tangent plane: its "pixels" are the plane's degrees.
    xi, eta = SkyWcs((0.0, 0.0), crval, np.eye(2)).sky_to_pixel(ra, dec)
    half = max(detector.width, detector.height) / 2
    u, v = (x - centre[0]) / half, (y - centre[1]) / half
    powers = [(i, j) for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i) if i + j > 0]
    design = np.stack([u**i * v**j for i, j in powers], axis=1)
    solution = np.linalg.lstsq(design, np.stack([xi, eta], axis=1), rcond=None)[0]
    by_power = {power: solution[k] / half ** sum(power) for k, power in enumerate(powers)}
    cd = np.stack([by_power[1, 0], by_power[0, 1]], axis=1)
    inverse = np.linalg.inv(cd)
    a, b = np.zeros((_ORDER + 1, _ORDER + 1)), np.zeros((_ORDER + 1, _ORDER + 1))
    for (i, j), value in by_power.items():
        if i + j >= 2:
            a[i, j], b[i, j] = inverse @ value
    return SkyWcs(centre, crval, cd, a, b)


def _chebyshev_nodes(low: float, high: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    # Least squares on these nodes spreads the residual evenly instead of letting it grow at the edges.
    angle = (np.arange(_GRID) + 0.5) * np.pi / _GRID
    return (low + high) / 2 - (high - low) / 2 * np.cos(angle)
