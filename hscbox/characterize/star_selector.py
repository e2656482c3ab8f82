"""Choice of stars as the compact clump of object sizes.

The objectSize selector of lsst/meas_algorithms b99accf8: bright unflagged sources, their widths split in four by
k-medians; the lowest cluster, clipped, holds the stars.
"""

from __future__ import annotations

import lsst.pex.config as pex_config
import numpy as np

from ..errors import NoPsfStarsError
from ..numerics.arrays import BoolArray, FloatArray
from ..numerics.constants import SIGMA_PER_IQR

__all__ = ["ObjectSizeStarSelectorConfig", "select_stars", "stellar_cluster", "usable_sources"]


_N_CLUSTERS = 4
_FEWEST_TO_CLIP = 5
_MAX_CLIP_ROUNDS = 10
_MAX_CLUSTER_ROUNDS = 100


class ObjectSizeStarSelectorConfig(pex_config.Config):
    """How PSF stars are selected."""

    sourceFluxField = pex_config.Field("Flux for the limits below.", str, default="base_PsfFlux_flux")
    fluxMin = pex_config.RangeField("Faintest star [ADU]; larger takes fewer.", float, default=4000.0, min=0)
    fluxMax = pex_config.RangeField("Brightest star [ADU]; 0: no limit.", float, default=0.0, min=0)
    widthMin = pex_config.RangeField("Least width (px).", float, default=0.9, min=0)
    widthMax = pex_config.RangeField("Largest width (px).", float, default=10.0, min=0)
    widthStdAllowed = pex_config.RangeField(
        "Clipping stops when the scatter of widths is below this fraction of their median.", float, default=0.15, min=0
    )
    nSigmaClip = pex_config.RangeField(
        "Keep stars within this many sigma of the median width.", float, default=2.0, min=0
    )
    badFlags = pex_config.ListField(
        "Sources with any of these flags are left out.",
        str,
        default=[
            "base_PixelFlags_flag_edge",
            "base_PixelFlags_flag_interpolatedCenter",
            "base_PixelFlags_flag_saturatedCenter",
            "base_PixelFlags_flag_crCenter",
            "base_PixelFlags_flag_bad",
            "base_PixelFlags_flag_interpolated",
        ],
    )
    borderWidth = pex_config.RangeField("Sources nearer to the border are left out (px).", int, default=0, min=0)

    def validate(self) -> None:
        """Refuse empty ranges."""
        super().validate()
        if self.widthMin > self.widthMax:
            raise ValueError(f"widthMin {self.widthMin} exceeds widthMax {self.widthMax}")
        if 0 < self.fluxMax < self.fluxMin:
            raise ValueError(f"fluxMin {self.fluxMin} exceeds fluxMax {self.fluxMax}")


def usable_sources(
    width: FloatArray, flux: FloatArray, flagged: BoolArray, config: ObjectSizeStarSelectorConfig
) -> BoolArray:
    """Return which sources (n,) pass the cuts on flags, flux [ADU] and width [px]."""
    with np.errstate(invalid="ignore"):
        good = ~flagged & (flux >= config.fluxMin) & (width >= config.widthMin) & (width <= config.widthMax)
        if config.fluxMax > 0:
            good &= flux <= config.fluxMax
    usable: BoolArray = good & np.isfinite(flux) & np.isfinite(width)
    return usable


def select_stars(
    width: FloatArray, flux: FloatArray, flagged: BoolArray, config: ObjectSizeStarSelectorConfig
) -> BoolArray:
    """Select stars.

    Parameters
    ----------
    width
        (n,) root mean square widths of the sources [px].
    flux
        (n,) [ADU].
    flagged
        (n,) whether a bad flag is set.

    Returns
    -------
    (n,) whether each source is a star.

    Raises
    ------
    NoPsfStarsError
        No source passes the cuts.
    """
    good = usable_sources(width, flux, flagged, config)
    if not good.any():
        bright = int(np.count_nonzero(flux >= config.fluxMin))
        raise NoPsfStarsError(
            f"None of {len(width)} sources can be a PSF star: {bright} reach {config.fluxMin:g} ADU, "
            f"{int(np.count_nonzero(flagged))} have bad flags, widths must be {config.widthMin:g} to "
            f"{config.widthMax:g} px",
            remedy="Look at the image, or lower charImage.measurePsf.starSelector.fluxMin",
            sources=len(width),
            bright=bright,
        )
    stars = np.zeros(len(width), dtype=np.bool_)
    stars[np.flatnonzero(good)[stellar_cluster(width[good], config)]] = True
    return stars


def stellar_cluster(width: FloatArray, config: ObjectSizeStarSelectorConfig) -> BoolArray:
    """Return which of the widths (n,) belong to the clipped lowest cluster."""
    start = float(np.sort(width)[len(width) // 10])
    centres = start * (1 + 0.3 * np.arange(_N_CLUSTERS))
    cluster = np.full(len(width), -1)
    for _ in range(_MAX_CLUSTER_ROUNDS):
        nearest = np.argmin(np.abs(width[:, None] - centres), axis=1)
        if np.array_equal(nearest, cluster):
            break
        cluster = nearest
        for k in range(_N_CLUSTERS):
            if np.any(cluster == k):
                centres[k] = np.median(width[cluster == k])
    members: BoolArray = cluster == 0
    if members.sum() < _FEWEST_TO_CLIP:
        return members
    for _ in range(_MAX_CLIP_ROUNDS):
        inside = np.sort(width[members])
        median = float(np.median(inside))
        n = len(inside)
        scatter = min(float(np.std(inside)), SIGMA_PER_IQR * float(inside[int(0.75 * n)] - inside[int(0.25 * n)]))
        kept = members & (np.abs(width - median) < config.nSigmaClip * scatter)
        if not kept.any() or kept.sum() == members.sum():
            break
        members = kept
        if scatter < config.widthStdAllowed * median:
            break
    return members
