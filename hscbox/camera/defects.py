"""Known bad pixels, by CCD and date."""

from __future__ import annotations

import re
from functools import cache

from ..errors import CalibNotFoundError
from .boxes import Box
from .geometry import CCD_HEIGHT, CCD_WIDTH
from .tables import read_table

__all__ = ["defects_for", "defects_version"]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@cache
def _versions() -> tuple[str, ...]:
    return tuple(sorted({row["valid_start"] for row in read_table("defects")}))


def defects_version(date: str) -> str:
    """Return the first date of the defect list that is valid on `date` (YYYY-MM-DD).

    Each list is valid until the next begins, the last one without end.

    Raises
    ------
    CalibNotFoundError
        `date` is before the first list.
    ValueError
        `date` does not look like a date.
    """
    if not _DATE.fullmatch(date):
        raise ValueError(f"{date!r} is not a date of the form YYYY-MM-DD")
    started = [version for version in _versions() if version <= date]
    if not started:
        first = _versions()[0]
        raise CalibNotFoundError(
            f"No defect list is valid on {date}: the first begins on {first}",
            remedy=f"Frames taken before {first} can be processed with isr.doDefect=False only",
            date=date,
            first=first,
        )
    return started[-1]


def defects_for(detector_id: int, date: str, height: int = CCD_HEIGHT) -> list[Box]:
    """Return the defects of a CCD on `date` (YYYY-MM-DD) as boxes in the trimmed detector frame.

    Boxes are clipped to the image of 2048 columns and `height` rows (fewer for a cut-out).
    Source: lsst/obs_subaru @ b7c7029d (2017-09-22): hsc/defects.

    Raises
    ------
    CalibNotFoundError
        `date` is before the first list.
    ValueError
        `date` does not look like a date.
    """
    version = defects_version(date)
    image = Box(0, 0, CCD_WIDTH, height)
    boxes = (
        Box(row["x0"], row["y0"], row["width"], row["height"]).clip(image)
        for row in read_table("defects")
        if row["det_id"] == detector_id and row["valid_start"] == version
    )
    return [box for box in boxes if box.area > 0]
