"""Colour terms: from magnitudes of a reference catalogue to magnitudes of HSC."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError
from ..numerics.arrays import FloatArray
from .tables import read_table, record

__all__ = ["ColorTerm", "color_term", "require_color_terms"]


_REMEDY = (
    "Name the catalogue whose colour terms apply with calibrate.photoCal.photoCatName, "
    "or set calibrate.photoCal.applyColorTerms=False"
)


@dataclass(frozen=True)
class ColorTerm:
    """HSC magnitude = p + c0 + c1 (p - s) + c2 (p - s)^2, p and s in the bands `primary` and `secondary`."""

    primary: str
    secondary: str
    c0: float
    c1: float
    c2: float

    def magnitude(self, primary: ArrayLike, secondary: ArrayLike) -> FloatArray:
        """Return HSC magnitudes from catalogue magnitudes in the two bands."""
        p = np.asarray(primary, dtype=np.float64)
        color = p - np.asarray(secondary, dtype=np.float64)
        return p + self.c0 + color * (self.c1 + color * self.c2)


def color_term(refcat_name: str, canonical: str, version: int = 2017) -> ColorTerm:
    """Return the colour term of a filter for the reference catalogue called `refcat_name`.

    `version` is the year of the list: 2017 (the stack of the user guide) or 2025 (more narrow bands,
    refitted). Source: lsst/obs_subaru @ b7c7029d: config/hsc/colorterms.py; @ d4a8abe0:
    config/colorterms.py.

    Raises
    ------
    ConfigError
        There is none for this catalogue and filter.
    """
    matching = require_color_terms(refcat_name, version)
    for row in matching:
        if row["filter"] == canonical:
            return record(ColorTerm, row)
    known = sorted({row["filter"] for row in matching})
    raise ConfigError(
        f"No colour term for filter {canonical!r} with catalogue {refcat_name!r} in the list of {version}, "
        f"known are {', '.join(known)}",
        remedy=_REMEDY,
        refcat=refcat_name,
        filter=canonical,
    )


def require_color_terms(refcat_name: str, version: int = 2017) -> list[Any]:
    """Return the rows of the list of colour terms for the reference catalogue called `refcat_name`.

    Raises
    ------
    ConfigError
        There are none.
    """
    rows = [row for row in read_table("colorterms") if row["version"] == version]
    matching = [row for row in rows if fnmatchcase(refcat_name, row["refcat"])]
    if not matching:
        known = sorted({row["refcat"] for row in rows})
        raise ConfigError(
            f"No colour term for catalogue {refcat_name!r} in the list of {version}, known are {', '.join(known)}",
            remedy=_REMEDY,
            refcat=refcat_name,
        )
    return matching
