"""Match lists as files: SRCMATCH, and SRCMATCHFULL with both catalogues joined."""

from __future__ import annotations

from pathlib import Path

from ..catalog.matches import MatchList, join_matches
from ..catalog.schema import Field, Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import DamagedInputError
from .catalog import read_catalog, write_catalog

__all__ = ["read_match_list", "write_denormalized", "write_match_list"]


def _schema() -> Schema:
    return Schema(
        [
            Field("first", "L", "id of the reference object"),
            Field("second", "L", "id of the source"),
            Field("distance", "D", "separation on the sky in radians"),
        ]
    )


def write_match_list(path: Path | str, matches: MatchList) -> None:
    """Write SRCMATCH: one row a match, in the order of the list."""
    cat = SourceCatalog(_schema(), len(matches), table_type="")
    cat.metadata = matches.metadata.copy()
    cat["first"], cat["second"], cat["distance"] = matches.ref_ids, matches.source_ids, matches.distance
    write_catalog(path, cat)


def read_match_list(path: Path | str) -> MatchList:
    """Read SRCMATCH, this program's or the LSST stack's.

    Raises
    ------
    DamagedInputError
        The table is not a match list.
    """
    cat = read_catalog(path)
    if any(name not in cat for name in ("first", "second", "distance")):
        raise DamagedInputError(
            f"{path} is no match list: its fields are {', '.join(cat.schema.names()[:6])}",
            remedy="Match lists have the fields first, second, distance",
        )
    return MatchList(cat["first"], cat["second"], cat["distance"], cat.metadata)


def write_denormalized(path: Path | str, ref: SourceCatalog, src: SourceCatalog, matches: MatchList) -> None:
    """Write SRCMATCHFULL: what `join_matches` returns."""
    write_catalog(path, join_matches(ref, src, matches))
