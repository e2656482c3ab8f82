"""Photometry of stars against the truth."""

from __future__ import annotations

import numpy as np
import sep

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..numerics.arrays import FloatArray
from ..numerics.constants import MAG_PER_RELATIVE
from .measures import Measured, bootstrapped
from .residuals import Table, scaled
from .selection import Pairs, column
from .true_frame import Truth

__all__ = ["flux_residuals", "trend_numbers"]


# Errors of bright stars do not fall below this (mmag): the model of the PSF limits them, not photons.
_FLOOR_MMAG = 2.0
_CLIP = 4.0
_APERTURE_PX = 12.0


def flux_residuals(truth: Truth, sources: SourceCatalog, exposure: Exposure, stars: Pairs) -> Table:
    """Return calibrated minus true magnitudes of stars.

    Columns: true magnitude; u, v: position from -0.5 to 0.5 over the frame; psf, aperture: difference (mmag);
    psf_about_median, aperture_about_median: the same minus the frame's median, without the error of the zero point;
    psf_error: stated error (mmag); aperture_against_sep: see `aperture_difference`.
    """
    assert exposure.photo_calib is not None
    true = truth.magnitude[stars.truth]
    flux, error = sources["slot_PsfFlux_flux"][stars.rows], sources["slot_PsfFlux_fluxSigma"][stars.rows]
    table = {
        "magnitude": true,
        "u": scaled(truth.x[stars.truth], exposure.width),
        "v": scaled(truth.y[stars.truth], exposure.height),
        "psf_error": 1000 * MAG_PER_RELATIVE * error / flux,
        "aperture_against_sep": aperture_difference(sources, exposure, stars),
    }
    for name, field in (("psf", "slot_PsfFlux_flux"), ("aperture", "slot_CalibFlux_flux")):
        difference = 1000 * (exposure.photo_calib.magnitude(sources[field][stars.rows]) - true)
        known = difference[np.isfinite(difference)]
        table[name] = difference
        table[f"{name}_about_median"] = difference - (np.median(known) if len(known) else np.nan)
    return table


def aperture_difference(sources: SourceCatalog, exposure: Exposure, stars: Pairs) -> FloatArray:
    """Return 12-pixel aperture magnitudes of stars minus those that sep measures at the same centroids (n,), mmag.

    The pixels are the same and the truth has no part in it: what differs is the program. sep takes the exact area of
    each pixel within the circle (Barbary 2016, JOSS 1, 58), and neighbours stay in; nan where the circle leaves the
    frame.
    """
    x, y = (np.asarray(sources[f"slot_Centroid_{axis}"][stars.rows], dtype=np.float64) for axis in "xy")
    theirs, _, flags = sep.sum_circle(exposure.image, x, y, _APERTURE_PX, subpix=0)
    theirs[flags & sep.APER_TRUNC != 0] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        ours = column(sources, "base_CircularApertureFlux_12_0_flux")[stars.rows]
        difference: FloatArray = -2500 * np.log10(ours / theirs)
    return difference


def trend_numbers(stars: Table) -> dict[str, Measured]:
    """Return the slopes of the PSF flux with magnitude and over the frame, of one fit."""
    columns = [stars[name] for name in ("psf_about_median", "psf_error", "magnitude", "u", "v")]
    slope, along_x, along_y = bootstrapped(_trends_of_sets, np.stack(columns, axis=1), least=12)
    return {"psf_magnitude_slope": slope, "psf_gradient_x": along_x, "psf_gradient_y": along_y}


def _trends_of_sets(sets: FloatArray) -> FloatArray:
    return np.array([_trends(*members.T) for members in sets])


def _trends(value: FloatArray, error: FloatArray, magnitude: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    """Return the slopes (3,) of `value` with magnitude, u and v of one weighted fit without outliers."""
    design = np.stack([np.ones_like(value), magnitude - magnitude.mean(), u, v], axis=1)
    sigma = np.hypot(error, _FLOOR_MMAG)
    kept = np.ones(len(value), dtype=bool)
    solution: FloatArray = np.zeros(4)
    for _ in range(3):
        weight = 1 / sigma[kept]
        solution = np.linalg.lstsq(design[kept] * weight[:, None], value[kept] * weight, rcond=None)[0].astype(
            np.float64
        )
        pull = (value - design @ solution) / sigma
        kept = np.abs(pull) <= _CLIP * max(1.0, float(np.std(pull[kept])))
    return solution[1:]
