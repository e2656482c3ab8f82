"""Open the repositories that a butler is given: those that it reads, and the one that it writes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .output import OutputRepository
from .repository import Opened, Repository, open_repository

__all__ = ["Place", "open_places"]

Place = str | Path | Mapping[str, Any]
"""A path, or a mapping with `root`, and for an output `mode` ("w" or "rw") and `new` (it will be made anew)."""


def open_places(
    inputs: Place | Sequence[Place] | None,
    outputs: Place | Sequence[Place] | None,
    calib: Path | None,
    opened: Opened | None,
) -> tuple[OutputRepository | None, list[Repository]]:
    """Open inputs and at most one output, each once; return the output, and what is searched, in this order.

    Raises
    ------
    UsageError
        There is more than one output, a place without `root`, or the output was made with other calibrations.
    MissingInputError
        An input does not exist.
    """
    opened = {} if opened is None else opened
    output, place = None, _listed(outputs)
    if len(place) > 1:
        raise UsageError("At most one output is supported")
    if place:
        output = OutputRepository(place[0]["root"], calib, opened=opened, new=bool(place[0].get("new")))
        # An existing output remembers its calibrations; they hold for its inputs as well.
        calib = output.calib_root
    found = [open_repository(entry["root"], calib, opened=opened) for entry in _listed(inputs)]
    if output is None:
        return None, found
    output.inputs = [repository for repository in found if repository.identity != output.repository.identity]
    readable = "r" in str(place[0].get("mode", "w")) or len(output.inputs) < len(found)
    return output, [output.repository, *output.inputs] if readable else list(output.inputs)


def _listed(places: Place | Sequence[Place] | None) -> list[Mapping[str, Any]]:
    if places is None:
        return []
    many = [places] if isinstance(places, str | Path | Mapping) else list(places)
    result: list[Mapping[str, Any]] = []
    for place in many:
        entry: Mapping[str, Any] = place if isinstance(place, Mapping) else {"root": place}
        root = entry.get("root", entry.get("cfgRoot"))
        if root is None:
            raise UsageError(f"A repository needs 'root': {dict(entry)}")
        result.append({**entry, "root": root})
    return result
