"""The query for one trixel, in ADQL, and its parameters for a TAP service.

TAP 1.1 (Dowler et al. 2019, IVOA Recommendation), sections 2.7.1 and 2.7.4; ADQL 2.0.
"""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import urlsplit

from ..errors import ConfigError, UsageError
from .column_map import ColumnMap, Tap
from .sky import outline

__all__ = ["adql", "digest", "parameters", "sync_url", "tap_of"]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,3}")


def tap_of(column_map: ColumnMap) -> Tap:
    """Return how a map's table is asked for.

    Raises
    ------
    ConfigError
        The map has no section [tap], or names that cannot be in a query.
    """
    tap = column_map.tap
    if tap is None:
        raise ConfigError(f"Column map {column_map.name} has no section [tap]", remedy="Add url, table, region...")
    for name in (tap.table, *column_map.needed):
        if _IDENTIFIER.fullmatch(name) is None:
            raise ConfigError(f"Column map {column_map.name}: {name!r} cannot be asked for in a query")
    return tap


def sync_url(base: str) -> str:
    """Return the address of the synchronous endpoint of a TAP service.

    Raises
    ------
    UsageError
        It is not an address of the web.
    """
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{base!r} is not the address of a TAP service", remedy="It begins with https://, no ?query")
    address = base.rstrip("/")
    return address if address.endswith("/sync") else f"{address}/sync"


def adql(column_map: ColumnMap, tap: Tap, trixel: int) -> str:
    """Return the query for all objects in a trixel and a little around it."""
    corners, circle = outline(trixel)
    if tap.region == "polygon":
        shape = "POLYGON('ICRS', " + ", ".join(f"{ra:.9f}, {dec:.9f}" for ra, dec in corners) + ")"
    else:
        shape = f"CIRCLE('ICRS', {circle.ra:.9f}, {circle.dec:.9f}, {circle.radius:.9f})"
    inside = f"1 = CONTAINS(POINT('ICRS', {column_map.columns.ra}, {column_map.columns.dec}), {shape})"
    conditions = [inside, *(f"({cut.where})" for cut in tap.cuts)]
    return f"SELECT {', '.join(column_map.needed)} FROM {tap.table} WHERE {' AND '.join(conditions)}"


def parameters(column_map: ColumnMap, tap: Tap, trixel: int) -> dict[str, str]:
    """Return the parameters of the request; one row more than wanted tells a full answer from a cut one."""
    return {
        "REQUEST": "doQuery",
        "LANG": "ADQL",
        "FORMAT": "votable",
        "MAXREC": str(tap.max_rows + 1),
        "QUERY": adql(column_map, tap, trixel),
    }


def digest(url: str, values: dict[str, str]) -> str:
    """Return a number that tells one request from another."""
    return hashlib.sha256(json.dumps([url, values], sort_keys=True).encode()).hexdigest()
