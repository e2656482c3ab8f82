"""The PSF model against the true PSF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..image.exposure import Exposure
from ..numerics.adaptive_moments import adaptive_moments
from ..numerics.arrays import FloatArray
from .measures import match_within
from .residuals import Table
from .selection import usable
from .true_frame import Truth
from .true_shapes import size_and_ellipticity

__all__ = ["psf_residuals"]


def psf_residuals(truth: Truth, exposure: Exposure, used_xy: FloatArray) -> Table:
    """Compare the PSF model with the true PSF where no star was used in the fit.

    Columns: x, y (pixel); size: of the determinant radius (%); e1, e2: of the distortion.

    Parameters
    ----------
    used_xy
        Positions (n, 2) of the stars that were used.
    """
    assert exposure.psf is not None
    near_used, _ = match_within(truth.psf_xy, used_xy, 3.0)
    unused = np.flatnonzero(~near_used & usable(truth.psf_xy[:, 0], truth.psf_xy[:, 1], exposure))
    x, y = truth.psf_xy[unused].T
    true = _size_and_ellipticity([truth.psf_stamps[k] for k in unused])
    model = _size_and_ellipticity([exposure.psf.kernel_image(*position) for position in zip(x, y, strict=True)])
    size, e1, e2 = (100 * (model[0] / true[0] - 1), model[1] - true[1], model[2] - true[2])
    return {"x": x, "y": y, "size": size, "e1": e1, "e2": e2}


def _size_and_ellipticity(stamps: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return determinant radius (pixel) and distortion e1, e2 of centred stamps (n,), by adaptive moments."""
    moments = np.full((len(stamps), 3), np.nan)
    for number, stamp in enumerate(stamps):
        centre = (stamp.shape[0] - 1) / 2
        found = adaptive_moments(np.ascontiguousarray(stamp, dtype=np.float64), centre, centre)
        moments[number] = found.xx, found.yy, found.xy
    return size_and_ellipticity(*moments.T)
