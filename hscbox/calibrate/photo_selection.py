"""Which matches serve the photometric zero point, and the configuration of it."""

from __future__ import annotations

import lsst.pex.config as pex_config
import numpy as np

from ..errors import MagnitudeCutError, NoPhotometryMatchError
from ..numerics.arrays import BoolArray, FloatArray

__all__ = ["PhotoCalConfig", "select_matches"]


class PhotoCalConfig(pex_config.Config):
    """Parameters of the zero point."""

    fluxField = pex_config.Field("Flux that the zero point refers to.", str, default="slot_PsfFlux_flux")
    badFlags = pex_config.ListField(
        "Sources with any of these flags are not used.",
        str,
        default=["base_PixelFlags_flag_edge", "base_PixelFlags_flag_interpolated", "base_PixelFlags_flag_saturated"],
    )
    doSelectUnresolved = pex_config.Field("Use point sources only?", bool, default=True)
    magLimit = pex_config.Field("Fainter references are not used (AB magnitude).", float, default=22.0)
    applyColorTerms = pex_config.Field("Convert reference magnitudes to the HSC band?", bool, default=True)
    photoCatName = pex_config.Field(
        "Catalogue whose colour terms apply; empty: photoRefObjLoader.ref_dataset_name.", str, default=""
    )
    colorTermVersion = pex_config.ChoiceField(
        "Year of the list of colour terms.",
        int,
        default=2017,
        allowed={2017: "that of the stack of 2017", 2025: "refitted, with more narrow bands"},
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
    maxLoss = pex_config.RangeField(
        "How far the zero point may be below the typical one of the filter, by clouds (mag).", float, default=4.0, min=0
    )
    maxGain = pex_config.RangeField(
        "How far the zero point may be above the typical one of the filter (mag).", float, default=1.0, min=0
    )


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
    NoPhotometryMatchError
        There is nothing to choose from, or nothing is left before the magnitude cut; the message says after which cut.
    MagnitudeCutError
        Nothing is left after it.
    """
    n = len(bad)
    if not n:
        raise NoPhotometryMatchError(
            "No input matches: 0 reference stars were matched, at least 1 is needed",
            remedy="Check the reference catalogue",
            matches=0,
        )
    keep = ~bad & (flux > 0)
    if not keep.any():
        raise NoPhotometryMatchError(
            f"No input matches: all {n} have bad flags ({', '.join(config.badFlags)}), children or no positive flux",
            remedy="Look at the mask of the frame",
            matches=n,
        )
    unflagged = int(keep.sum())
    if config.doSelectUnresolved:
        with np.errstate(invalid="ignore"):
            keep &= extended < 0.5
        if not keep.any():
            raise NoPhotometryMatchError(
                f"No input matches: none of {unflagged} unflagged ones of {n} is a point source",
                remedy="Look at the residuals of the PSF, or set calibrate.photoCal.doSelectUnresolved=False",
                matches=n,
                unflagged=unflagged,
            )
    points = int(keep.sum())
    with np.errstate(invalid="ignore"):
        keep &= magnitude < config.magLimit
    if not keep.any():
        raise MagnitudeCutError(
            f"Empty match list after the magnitude cut: none of {points} stars of {n} matches is brighter than "
            f"{config.magLimit:g}",
            remedy="Raise calibrate.photoCal.magLimit",
            matches=n,
            stars=points,
        )
    return keep
