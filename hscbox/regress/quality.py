"""Measure the products of one CCD against the truth of the generator.

Definitions of the numbers are those of the manual page on validation; every function takes arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from ..catalog.source_catalog import SourceCatalog
from ..image.adaptive_moments import adaptive_moments
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from .measures import (
    Measured,
    fraction,
    match_within,
    median_of,
    pixel_recall,
    rms_of,
    robust_scatter,
    touching_precision,
)
from .truth import Truth

__all__ = ["BrightStars", "bright_stars", "pixel_numbers", "psf_numbers", "source_numbers", "star_numbers"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
# Bright: photon noise below 4 mmag in the PSF flux and 10 mmag in a 12-pixel aperture. Isolated: other sources within
# 15 pixels, which the 12-pixel aperture may see, have together less than 1 % of the star's flux.
_BRIGHT_SNR = 250.0
_ISOLATION_PX = 15.0
_ISOLATION_RATIO = 0.01
_SATURATION_MARGIN_PX = 10


@dataclass(frozen=True)
class BrightStars:
    """Isolated bright stars of the truth with their catalogue rows.

    Attributes
    ----------
    truth, rows
        Indices into the truth table and into the source catalogue, equally long.
    """

    truth: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]


def fwhm_of(exposure: Exposure) -> float:
    """Return the FWHM (pixel) of the exposure's PSF by its adaptive moments, as for a Gaussian."""
    assert exposure.psf is not None
    return float(_FWHM * exposure.psf.determinant_radius(*exposure.psf.average_position))


def expected_snr(truth: Truth, exposure: Exposure) -> FloatArray:
    """Return the signal to noise (n,) that a PSF-matched filter reaches for each true source.

    Galaxies are taken as Gaussians of the PSF's size and their half-light radius in quadrature.
    """
    sky_variance = float(np.median(exposure.variance))
    sigma2 = (fwhm_of(exposure) / _FWHM) ** 2 + (truth.half_light_radius_px / 1.1774) ** 2
    noise = np.sqrt(4 * np.pi * sigma2 * sky_variance + truth.flux)
    snr: FloatArray = truth.flux / noise
    return snr


def _usable(x: FloatArray, y: FloatArray, exposure: Exposure) -> BoolArray:
    """Return which positions (n,) are on a pixel of the frame without SAT, BAD, NO_DATA or EDGE."""
    column, row = np.round(x).astype(int), np.round(y).astype(int)
    inside = (column >= 0) & (column < exposure.width) & (row >= 0) & (row < exposure.height)
    bad = np.zeros(len(column), dtype=bool)
    bad[inside] = exposure.mask[row[inside], column[inside]] & mask_bits("SAT", "BAD", "NO_DATA", "EDGE") != 0
    return inside & ~bad


def leaves(sources: SourceCatalog) -> BoolArray:
    """Return which rows are not blends with children, and have a position."""
    found: BoolArray = (sources["deblend_nChild"] == 0) & np.isfinite(sources["slot_Centroid_x"])
    return found


def bright_stars(truth: Truth, sources: SourceCatalog, exposure: Exposure) -> BrightStars:
    """Find the isolated bright stars and their rows; stars with masked centres or flagged fluxes are left out."""
    snr = expected_snr(truth, exposure)
    candidates = np.flatnonzero(
        truth.is_star
        & (snr > _BRIGHT_SNR)
        & _usable(truth.x, truth.y, exposure)
        & truth.isolated(_ISOLATION_PX, _ISOLATION_RATIO)
    )
    good = leaves(sources) & ~sources["slot_PsfFlux_flag"] & ~sources["base_PixelFlags_flag_saturated"]
    good &= ~sources["base_PixelFlags_flag_edge"] & ~sources["base_PixelFlags_flag_bad"]
    rows = np.flatnonzero(good)
    positions = np.stack([sources["slot_Centroid_x"][rows], sources["slot_Centroid_y"][rows]], axis=1)
    hit, nearest = match_within(np.stack([truth.x, truth.y], axis=1)[candidates], positions, 1.5)
    return BrightStars(candidates[hit], rows[nearest[hit]])


def star_numbers(truth: Truth, sources: SourceCatalog, exposure: Exposure, stars: BrightStars) -> dict[str, Measured]:
    """Return astrometric and photometric numbers of the bright stars."""
    assert exposure.wcs is not None and exposure.photo_calib is not None
    ra, dec = exposure.wcs.pixel_to_sky(sources["slot_Centroid_x"][stars.rows], sources["slot_Centroid_y"][stars.rows])
    d_ra = (ra - truth.ra[stars.truth]) * np.cos(np.deg2rad(dec)) * 3.6e6
    d_dec = (dec - truth.dec[stars.truth]) * 3.6e6
    numbers = {
        "astrometry_rms_ra": rms_of(d_ra),
        "astrometry_rms_dec": rms_of(d_dec),
    }
    true = truth.magnitude[stars.truth]
    for name, column in (("psf", "slot_PsfFlux_flux"), ("aperture", "slot_CalibFlux_flux")):
        difference = 1000 * (exposure.photo_calib.magnitude(sources[column][stars.rows]) - true)
        numbers[f"{name}_zero_point_error"] = median_of(difference)
        numbers[f"{name}_scatter"] = robust_scatter(difference)
    return numbers


def astrometric_bias(
    exposure: Exposure, x: FloatArray, y: FloatArray, reference_ra: FloatArray, reference_dec: FloatArray
) -> dict[str, Measured]:
    """Return, per axis, mean(fit - truth) minus mean(reference - truth) over the matched stars, in mas.

    The truth of the same stars cancels, which leaves the mean of fit minus reference.

    Parameters
    ----------
    x, y
        Measured positions of the matched sources (n,).
    reference_ra, reference_dec
        Positions of their references (n,), degrees.
    """
    assert exposure.wcs is not None
    ra, dec = exposure.wcs.pixel_to_sky(x, y)
    return {
        "astrometry_bias_ra": _mean((ra - reference_ra) * np.cos(np.deg2rad(dec)) * 3.6e6),
        "astrometry_bias_dec": _mean((dec - reference_dec) * 3.6e6),
    }


def _mean(values: FloatArray) -> Measured:
    n = len(values)
    if n < 2:
        return Measured(float("nan"), float("nan"), n)
    return Measured(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)), n)


def psf_numbers(truth: Truth, exposure: Exposure, used_xy: FloatArray) -> dict[str, Measured]:
    """Compare the PSF model with the true PSF where no star was used in the fit.

    Parameters
    ----------
    used_xy
        Positions (n, 2) of the stars that were used.
    """
    assert exposure.psf is not None
    near_used, _ = match_within(truth.psf_xy, used_xy, 3.0)
    unused = np.flatnonzero(~near_used & _usable(truth.psf_xy[:, 0], truth.psf_xy[:, 1], exposure))
    true = np.array([_size_and_ellipticity(truth.psf_stamps[k]) for k in unused]).reshape(-1, 3)
    model = np.array([_size_and_ellipticity(exposure.psf.kernel_image(*truth.psf_xy[k])) for k in unused]).reshape(
        -1, 3
    )
    size = 100 * (model[:, 0] / true[:, 0] - 1)
    return {
        "psf_size_median": median_of(size),
        "psf_size_rms": rms_of(size),
        "psf_e1_rms": rms_of(model[:, 1] - true[:, 1]),
        "psf_e2_rms": rms_of(model[:, 2] - true[:, 2]),
    }


def _size_and_ellipticity(stamp: FloatArray) -> tuple[float, float, float]:
    """Return determinant radius (pixel) and distortion e1, e2 of a centred stamp, by adaptive moments."""
    centre = (stamp.shape[0] - 1) / 2
    moments = adaptive_moments(np.ascontiguousarray(stamp, dtype=np.float64), centre, centre)
    xx, yy, xy = moments.xx, moments.yy, moments.xy
    return (xx * yy - xy**2) ** 0.25, (xx - yy) / (xx + yy), 2 * xy / (xx + yy)


def source_numbers(truth: Truth, sources: SourceCatalog, exposure: Exposure) -> dict[str, Measured]:
    """Return completeness near S/N 20 and purity near S/N 7.

    A true source counts for completeness unless a brighter one lies within the PSF's FWHM; it is found if a catalogue
    position lies within the FWHM of its own image (PSF and profile in quadrature). A catalogue source is pure if a true
    one that is at most 2 mag below the 5-sigma limit of point sources lies within the PSF's FWHM.
    """
    fwhm = fwhm_of(exposure)
    own_fwhm = np.hypot(fwhm, _FWHM * truth.half_light_radius_px / 1.1774)
    snr = expected_snr(truth, exposure)
    rows = np.flatnonzero(leaves(sources))
    positions = np.stack([sources["slot_Centroid_x"][rows], sources["slot_Centroid_y"][rows]], axis=1)
    true_xy = np.stack([truth.x, truth.y], axis=1)
    wanted = np.flatnonzero(
        (snr > 17) & (snr < 23) & _usable(truth.x, truth.y, exposure) & (truth.brighter_distance_px > fwhm)
    )
    distance, _ = cKDTree(positions).query(true_xy[wanted])
    with np.errstate(invalid="ignore", divide="ignore"):
        measured = sources["slot_PsfFlux_flux"][rows] / sources["slot_PsfFlux_fluxSigma"][rows]
    faint = (measured > 6) & (measured < 8) & ~sources["base_PixelFlags_flag_edge"][rows]
    point_noise = np.sqrt(np.pi * fwhm**2 / (2 * np.log(2)) * float(np.median(exposure.variance)))
    drawn = truth.flux > 5 * 10**-0.8 * point_noise
    pure, _ = match_within(positions[faint], true_xy[drawn], fwhm)
    return {"completeness_sn20": fraction(distance <= own_fwhm[wanted]), "purity_sn7": fraction(pure)}


def pixel_numbers(truth: Truth, exposure: Exposure, background: FloatArray) -> dict[str, Measured]:
    """Return numbers of pixels: noise, sky, cosmic rays, saturation.

    Parameters
    ----------
    background
        Sum of the subtracted background models (height, width), ADU.
    """
    flagged = exposure.mask & mask_bits("CR") != 0
    noise = np.sqrt(np.maximum(exposure.variance, 1.0))
    significant = truth.cosmic_rays / noise
    unusable = exposure.mask & mask_bits("SAT", "BAD", "NO_DATA") != 0
    # Beside saturated pixels the brighter-fatter correction is only approximate: that is no blank sky.
    near_saturated = binary_dilation(truth.saturated, iterations=_SATURATION_MARGIN_PX)
    blank = (exposure.mask == 0) & ~near_saturated
    residual = exposure.image[blank] + background[blank] - (truth.objects + truth.sky)[blank]
    sky = float(np.median(background)) / float(np.median(truth.sky)) - 1
    level = residual.mean()
    pull = (residual - level) / noise[blank]
    return {
        "variance_pull": Measured(float(np.std(pull)), float(1 / np.sqrt(2 * pull.size)), int(pull.size)),
        "sky_error": Measured(100 * sky, 100 * float(residual.std() / np.sqrt(residual.size) / truth.sky.mean()), 1),
        "cosmic_ray_recall": pixel_recall((significant > 10) & ~unusable, flagged),
        "cosmic_ray_precision": touching_precision(flagged & ~unusable, significant > 3),
        "saturation_recall": pixel_recall(truth.saturated, exposure.mask & mask_bits("SAT") != 0),
    }
