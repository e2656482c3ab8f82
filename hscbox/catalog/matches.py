"""Matches between reference objects and sources: the list of ids, and the two catalogues joined."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..fits.metadata import Metadata
from .schema import Field, Schema
from .source_catalog import SourceCatalog

__all__ = ["MatchList", "join_matches", "match_metadata"]


def match_metadata(ra: float, dec: float, radius: float, filter_name: str) -> Metadata:
    """Return the header of a match list: how to load the reference objects again.

    Parameters
    ----------
    ra, dec, radius
        Circle for which reference objects were loaded, in degrees.
    filter_name
        The camera's filter, canonical name ("r").
    """
    metadata = Metadata()
    metadata.set("RA", float(ra), "centre of the loaded region, deg")
    metadata.set("DEC", float(dec), "centre of the loaded region, deg")
    metadata.set("RADIUS", float(radius), "radius of the loaded region, deg")
    metadata.set("SMATCHV", 1, "version of the match list")
    metadata.set("FILTER", filter_name, "filter of the camera")
    return metadata


@dataclass(eq=False)
class MatchList:
    """Pairs of a reference object and a source.

    Parameters
    ----------
    ref_ids, source_ids
        (n,) int64 ids.
    distance
        (n,) Separation on the sky in radians.
    metadata
        See `match_metadata`.
    """

    ref_ids: np.ndarray
    source_ids: np.ndarray
    distance: np.ndarray
    metadata: Metadata = field(default_factory=Metadata)

    def __len__(self) -> int:
        return len(self.ref_ids)


def join_matches(ref: SourceCatalog, src: SourceCatalog, matches: MatchList) -> SourceCatalog:
    """Return a table with a row for each match: the fields of both catalogues and the distance.

    Fields and aliases of the reference catalogue get the prefix ``ref_``, those of the sources ``src_``.
    Footprints are left behind.

    Raises
    ------
    KeyError
        An id of the list is in neither catalogue.
    """
    first, second = ref.schema.prefixed("ref_"), src.schema.prefixed("src_")
    schema = Schema([*first, *second, Field("distance", "D", "separation on the sky in radians")])
    for name, target in (first.aliases | second.aliases).items():
        schema.set_alias(name, target)
    joined = SourceCatalog(schema, len(matches), table_type="")
    joined.metadata = matches.metadata.copy()
    for prefix, cat, ids in (("ref_", ref, matches.ref_ids), ("src_", src, matches.source_ids)):
        rows = _rows_of(cat, ids)
        for name in cat.schema.names():
            joined.adopt(prefix + name, cat.column(name)[rows])
    joined["distance"] = matches.distance
    return joined


def _rows_of(cat: SourceCatalog, ids: np.ndarray) -> np.ndarray:
    own = cat.column("id")
    order = np.argsort(own, kind="stable")
    place = np.searchsorted(own, ids, sorter=order)
    absent = place >= len(own)
    absent[~absent] = own[order[place[~absent]]] != ids[~absent]
    if absent.any():
        raise KeyError(f"{absent.sum()} ids of the match list are not in the catalogue, the first is {ids[absent][0]}")
    return order[place]
