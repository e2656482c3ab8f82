"""Photometric zero point from matched stars.

Method: differences between colour-corrected reference magnitudes and instrumental magnitudes, clipped about their
median and averaged with inverse variances (after Bosch et al. 2018, PASJ 70, S5).

The zero point is that of the PSF flux, which is corrected to the 12-pixel aperture: an aperture of 12 pixels itself
holds light of galaxies too faint, or too close to the star, to be found. Their mean over the frame is in the sky, but
that of those between the limit of detection on the sky and that on the wings of stars is not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from ..camera.colorterms import ColorTerm
from ..errors import PhotometryError, ZeroPointGateError
from ..numerics.arrays import BoolArray, FloatArray
from ..numerics.constants import AB_ZERO_JY, MAG_PER_RELATIVE, SIGMA_PER_IQR
from .photo_selection import PhotoCalConfig

__all__ = ["ReferenceMagnitudes", "ZeroPoint", "reference_magnitudes", "zero_point"]


@dataclass(frozen=True)
class ZeroPoint:
    """A photometric zero point.

    Attributes
    ----------
    value, error
        AB magnitude of one ADU and its standard error (mag).
    n_good
        Number of stars kept.
    scatter
        Standard deviation of the stars kept (mag).
    kept
        Which of the given stars were kept (n,).
    color_term
        What brought the reference magnitudes into the camera's band; None if they were taken as they are.
    """

    value: float
    error: float
    n_good: int
    scatter: float
    kept: BoolArray
    color_term: ColorTerm | None = None


@dataclass(frozen=True)
class ReferenceMagnitudes:
    """AB magnitudes of reference objects in the camera's band, with their standard errors (n,)."""

    value: FloatArray
    error: FloatArray


def reference_magnitudes(
    primary: tuple[FloatArray, FloatArray], secondary: tuple[FloatArray, FloatArray], term: ColorTerm | None
) -> ReferenceMagnitudes:
    """Return AB magnitudes in the camera's band from fluxes and errors (n,) in Jy.

    m = p + c0 + c1 (p - s) + c2 (p - s)^2 with p, s the magnitudes in the primary and secondary bands; p alone
    without a colour term. Objects without positive fluxes get nan.
    """
    p, p_error = _magnitude(*primary)
    if term is None:
        return ReferenceMagnitudes(p, p_error)
    s, s_error = _magnitude(*secondary)
    colour = p - s
    slope = term.c1 + 2 * term.c2 * colour
    value = p + term.c0 + term.c1 * colour + term.c2 * colour**2
    return ReferenceMagnitudes(value, np.hypot((1 + slope) * p_error, slope * s_error))


def _magnitude(flux: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return -2.5 * np.log10(flux / AB_ZERO_JY), MAG_PER_RELATIVE * error / flux


def zero_point(
    reference: ReferenceMagnitudes,
    flux: FloatArray,
    flux_error: FloatArray,
    config: PhotoCalConfig,
    log: logging.Logger,
    typical: float = float("nan"),
) -> ZeroPoint:
    """Average the clipped differences between reference and instrumental magnitudes.

    Parameters
    ----------
    reference
        Of the stars (n,).
    flux, flux_error
        Instrumental fluxes and errors (n,), ADU.
    typical
        What the filter and the exposure time let expect (AB magnitude of one ADU); nan if nobody knows.

    Raises
    ------
    PhotometryError
        Too few stars remain.
    ZeroPointGateError
        Their scatter or the zero point is outside of its bounds.
    """
    # A star without a known error has no weight.
    known = np.isfinite(reference.error) & np.isfinite(flux_error) & np.isfinite(reference.value)
    if not known.all():
        stars = ReferenceMagnitudes(reference.value[known], reference.error[known])
        result = zero_point(stars, flux[known], flux_error[known], config, log, typical)
        kept = np.zeros(len(known), dtype=bool)
        kept[np.flatnonzero(known)[result.kept]] = True
        return replace(result, kept=kept)
    difference = reference.value + 2.5 * np.log10(flux)
    kept = _clip(difference, config) if len(difference) else np.zeros(0, dtype=bool)
    n_good = int(kept.sum())
    if n_good < config.minStars:
        raise PhotometryError(
            f"{n_good} of {len(known)} stars are left for the zero point, at least {config.minStars} are needed",
            remedy="Check the reference catalogue and calibrate.photoCal.magLimit",
            stars=n_good,
            given=len(known),
            needed=int(config.minStars),
        )
    scatter = float(np.std(difference[kept], ddof=1)) if n_good > 1 else 0.0
    weight = 1 / _expected_error(reference, flux, flux_error, difference, kept, config)[kept] ** 2
    value = float(np.sum(weight * difference[kept]) / np.sum(weight))
    result = ZeroPoint(value, float(1 / np.sqrt(np.sum(weight))), n_good, scatter, kept)
    _gate(result, typical, config)
    log.info("Magnitude zero point: %f +/- %f from %d stars", result.value, result.error, result.n_good)
    return result


def _gate(point: ZeroPoint, typical: float, config: PhotoCalConfig) -> None:
    """Refuse a zero point with an implausible scatter or value."""
    value, n_good, scatter = point.value, point.n_good, point.scatter
    if not 0 < scatter <= config.maxScatter:
        raise ZeroPointGateError(
            f"The zero point of {n_good} stars scatters by {scatter:.3f} mag, "
            f"allowed is more than 0 and at most {config.maxScatter:g}",
            remedy="Check that the reference catalogue belongs to this field",
            scatter=scatter,
            stars=n_good,
        )
    if value < typical - config.maxLoss or value > typical + config.maxGain:
        raise ZeroPointGateError(
            f"The zero point of {n_good} stars is {value:.3f}, allowed is {typical - config.maxLoss:.3f} to "
            f"{typical + config.maxGain:.3f} in this filter and exposure time",
            remedy="Check FILTER01 and EXPTIME and the reference catalogue, or look for clouds",
            zero_point=value,
            typical=typical,
            stars=n_good,
        )


def _expected_error(
    reference: ReferenceMagnitudes,
    flux: FloatArray,
    flux_error: FloatArray,
    difference: FloatArray,
    kept: BoolArray,
    config: PhotoCalConfig,
) -> FloatArray:
    """Return the standard error (mag) of each difference (n,).

    The reference has errors too: by the source's alone, the one or two brightest stars would decide. Its relative
    error is that of the flux it should have, not of the one it has by its noise: else references that noise makes
    brighter would weigh more than those that it makes fainter.
    """
    excess = difference - float(np.median(difference[kept]))
    reference_error = reference.error * 10 ** (-0.4 * np.clip(excess, -1, 1))
    source_error = MAG_PER_RELATIVE * flux_error / flux
    error: FloatArray = np.sqrt(source_error**2 + reference_error**2 + config.magErrFloor**2)
    return error


def _clip(difference: FloatArray, config: PhotoCalConfig) -> BoolArray:
    """Return which differences lie near the others.

    Median and quartiles from the first round on: the mode of a histogram, from which the original starts, is one bin
    of a few stars by chance, and what it leaves out never comes back.
    """
    kept: BoolArray = np.ones(len(difference), dtype=bool)
    for _ in range(config.nIter):
        good = difference[kept]
        centre = float(np.median(good) if config.useMedian else np.mean(good))
        lower, upper = np.quantile(good, [0.25, 0.75])
        sigma = SIGMA_PER_IQR * float(upper - lower)
        again = np.abs(difference - centre) <= config.nSigma * min(sigma, config.sigmaMax)
        if not again.any() or np.array_equal(again, kept):
            break
        kept = again
    return kept
