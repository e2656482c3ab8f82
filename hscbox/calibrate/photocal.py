"""Photometric zero point from matched stars.

Method: differences between colour-corrected reference magnitudes and instrumental magnitudes, clipped about their
median and averaged with inverse variances (after Bosch et al. 2018, PASJ 70, S5).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import lsst.pex.config as pex_config
import numpy as np
import numpy.typing as npt

from ..camera.colorterms import ColorTerm
from ..errors import PhotometryError
from ..image.statistics import SIGMA_PER_IQR

__all__ = ["PhotoCalConfig", "ReferenceMagnitudes", "ZeroPoint", "reference_magnitudes", "select_matches", "zero_point"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_AB_ZERO_JY = 3631.0
_MAG_PER_RELATIVE = 2.5 / np.log(10)


class PhotoCalConfig(pex_config.Config):  # type: ignore[misc]
    """Parameters of the zero point."""

    fluxField = pex_config.Field("Flux that the zero point refers to.", str, default="slot_CalibFlux_flux")
    badFlags = pex_config.ListField(
        "Sources with any of these flags are not used.",
        str,
        default=["base_PixelFlags_flag_edge", "base_PixelFlags_flag_interpolated", "base_PixelFlags_flag_saturated"],
    )
    doSelectUnresolved = pex_config.Field("Use point sources only?", bool, default=True)
    magLimit = pex_config.Field("Fainter references are not used (AB magnitude).", float, default=22.0)
    applyColorTerms = pex_config.Field("Convert reference magnitudes to the HSC band?", bool, default=True)
    photoCatName = pex_config.Field(
        "Reference catalogue whose colour terms apply.", str, default="ps1_pv3_3pi_20170110"
    )
    nIter = pex_config.RangeField("Most rounds of clipping.", int, default=20, min=1)
    nSigma = pex_config.RangeField("Clip beyond this many sigma.", float, default=3.0, min=0)
    sigmaMax = pex_config.RangeField("Largest sigma used for clipping (mag).", float, default=0.25, min=0)
    useMedian = pex_config.Field("Clip about the median rather than the mean?", bool, default=True)
    magErrFloor = pex_config.RangeField(
        "Added in quadrature to each star's error (mag); larger weights stars more evenly.", float, default=0.0, min=0
    )
    minStars = pex_config.RangeField("Fewest stars for a zero point.", int, default=3, min=1)
    maxScatter = pex_config.RangeField("Largest scatter of the stars (mag).", float, default=0.3, min=0)


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
    """

    value: float
    error: float
    n_good: int
    scatter: float
    kept: BoolArray


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
        return -2.5 * np.log10(flux / _AB_ZERO_JY), _MAG_PER_RELATIVE * error / flux


def select_matches(
    bad: BoolArray, extended: FloatArray, magnitude: FloatArray, flux: FloatArray, config: PhotoCalConfig
) -> BoolArray:
    """Choose the matches that serve the zero point.

    Parameters
    ----------
    bad
        True where any of the bad flags is set (n,).
    extended
        Extendedness of the sources (n,); 0 for stars, nan where unknown.
    magnitude
        Colour-corrected reference magnitude (n,).
    flux
        Instrumental flux (n,), ADU.

    Raises
    ------
    PhotometryError
        Nothing is left; the message says after which cut.
    """
    if not len(bad):
        raise PhotometryError("No reference star was matched", remedy="Check the reference catalogue")
    keep = ~bad & (flux > 0)
    if not keep.any():
        raise PhotometryError(f"All {len(bad)} matches have bad flags ({', '.join(config.badFlags)})")
    if config.doSelectUnresolved:
        with np.errstate(invalid="ignore"):
            keep &= extended < 0.5
        if not keep.any():
            raise PhotometryError(f"None of {len(bad)} matches is an unflagged point source")
    with np.errstate(invalid="ignore"):
        keep &= magnitude < config.magLimit
    if not keep.any():
        raise PhotometryError(
            f"No matched star is brighter than magnitude {config.magLimit:g}",
            remedy="Raise calibrate.photoCal.magLimit",
        )
    return keep


def zero_point(
    reference: ReferenceMagnitudes,
    flux: FloatArray,
    flux_error: FloatArray,
    config: PhotoCalConfig,
    log: logging.Logger,
) -> ZeroPoint:
    """Average the clipped differences between reference and instrumental magnitudes.

    Parameters
    ----------
    reference
        Of the stars (n,).
    flux, flux_error
        Instrumental fluxes and errors (n,), ADU.

    Raises
    ------
    PhotometryError
        Too few stars remain, or their scatter is outside of its bounds.
    """
    # A star without a known error has no weight.
    known = np.isfinite(reference.error) & np.isfinite(flux_error) & np.isfinite(reference.value)
    if not known.all():
        stars = ReferenceMagnitudes(reference.value[known], reference.error[known])
        result = zero_point(stars, flux[known], flux_error[known], config, log)
        kept = np.zeros(len(known), dtype=bool)
        kept[np.flatnonzero(known)[result.kept]] = True
        return replace(result, kept=kept)
    difference = reference.value + 2.5 * np.log10(flux)
    # The reference has errors too: by the source's alone, the one or two brightest stars would decide.
    error = np.sqrt((_MAG_PER_RELATIVE * flux_error / flux) ** 2 + reference.error**2 + config.magErrFloor**2)
    kept = _clip(difference, config) if len(difference) else np.zeros(0, dtype=bool)
    n_good = int(kept.sum())
    if n_good < config.minStars:
        raise PhotometryError(
            f"{n_good} stars are left for the zero point, at least {config.minStars} are needed",
            remedy="Check the reference catalogue and calibrate.photoCal.magLimit",
            stars=n_good,
        )
    scatter = float(np.std(difference[kept], ddof=1)) if n_good > 1 else 0.0
    if not 0 < scatter <= config.maxScatter:
        raise PhotometryError(
            f"The zero point of {n_good} stars scatters by {scatter:.3f} mag, "
            f"allowed is more than 0 and at most {config.maxScatter:g}",
            remedy="Check that the reference catalogue belongs to this field",
            scatter=scatter,
        )
    weight = 1 / error[kept] ** 2
    value = float(np.sum(weight * difference[kept]) / np.sum(weight))
    result = ZeroPoint(value, float(1 / np.sqrt(np.sum(weight))), n_good, scatter, kept)
    log.info("Magnitude zero point: %f +/- %f from %d stars", result.value, result.error, result.n_good)
    return result


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
