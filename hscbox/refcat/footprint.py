"""The footprint of ingested visits as cones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ..butler.butler import Butler
from ..butler.data_id import parse_ids
from ..errors import DamagedInputError, InputError, MissingInputError
from .sky import Cone

__all__ = ["FIELD_RADIUS", "visit_cones"]

FIELD_RADIUS = 0.97
"""Degrees from the boresight: the farthest corner of a CCD is at 0.92, and a run loads 300 pixels more around each."""


def visit_cones(repository: Path, ids: Sequence[str]) -> tuple[Cone, ...]:
    """Return a cone around the whole camera for each visit that the ids stand for.

    Parameters
    ----------
    ids
        Words of data ids, each like "visit=40984" or "visit=1..9:2 ccd=50".

    Raises
    ------
    InputError
        The repository or the visits are not there, or the headers have no pointing.
    """
    butler = Butler(inputs=repository, quiet=True)
    frames: dict[int, list[int]] = {}
    for data_id in parse_ids([text.split() for text in ids]):
        for row in butler.exposures(data_id):
            frames.setdefault(int(str(row["visit"])), []).append(int(str(row["ccd"])))
    return tuple(_cone(butler, visit, sorted(set(ccds))) for visit, ccds in sorted(frames.items()))


def _cone(butler: Butler, visit: int, ccds: list[int]) -> Cone:
    """Return the cone of one visit by the first of its raw frames that can be read."""
    problems: list[InputError] = []
    for ccd in ccds:
        try:
            info = butler.get("raw_visitInfo", visit=visit, ccd=ccd)
        except InputError as error:
            problems.append(error)
            continue
        if math.isfinite(info.boresight_ra) and math.isfinite(info.boresight_dec):
            return Cone(info.boresight_ra % 360.0, info.boresight_dec, FIELD_RADIUS)
        problems.append(DamagedInputError(f"The raw frame of visit {visit} ccd {ccd} has no pointing"))
    raise problems[0] if problems else MissingInputError(f"Visit {visit} has no raw frame")
