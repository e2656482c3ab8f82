"""Fill BAD regions that could not be interpolated."""

from __future__ import annotations

from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.statistics import clipped_mean, median
from .frame import Frame

__all__ = ["fill_all_bad_regions", "fill_bad_regions", "fill_dead_amplifiers"]


def fill_bad_regions(exposure: Exposure, statistic: str = "MEANCLIP") -> tuple[int, float]:
    """Set, in place, pixels that are BAD but not INTRP to a statistic of the pixels without BAD and NO_DATA.

    Returns
    -------
    tuple
        Number of pixels set and the value [ADU], clipped mean or median; without good pixels nothing is set.
    """
    bad = mask_bits("BAD")
    good = (exposure.image, exposure.mask, mask_bits("BAD", "NO_DATA"))
    value = median(*good) if statistic == "MEDIAN" else clipped_mean(*good).mean
    if value != value:
        return 0, value
    where = (exposure.mask & mask_bits("BAD", "INTRP")) == bad
    number = int(where.sum())
    if number:
        exposure.image[where] = value
    return number, value


def fill_dead_amplifiers(frame: Frame) -> None:
    """Fill dead amplifiers, if there are any: what is interpolated beside them looks at their pixels."""
    if frame.dead:
        fill_bad_regions(frame.exposure, frame.config.badStatistic)


def fill_all_bad_regions(frame: Frame) -> None:
    """Fill what is still bad, and log how many pixels."""
    number, value = fill_bad_regions(frame.exposure, frame.config.badStatistic)
    frame.log.info("Set %d BAD pixels to %.2f", number, value)
