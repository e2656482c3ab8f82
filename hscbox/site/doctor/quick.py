"""The fast subset of the checks, run before the first CCD: a wrong set-up is told at once and with its remedy."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ...butler.data_id import DataId, parse_ids
from ...butler.lookup import Lookup
from ...butler.paths import rerun_paths, with_prefix
from ...butler.repository import ENDINGS, Opened, open_repository
from ...butler.templates import DATASETS
from ...errors import HscboxError, OutputError, TemporaryError
from ...machine.mounts import Dangling, dangling, missing_link_error, mount_points
from ...runs.arguments import ProcessCcdArguments
from ..finding import CCD_BYTES, PROCESS_BYTES
from ..links import parents_of, top_links
from .links import worst_link
from .resources import available_memory, existing, free_bytes

__all__ = ["preflight", "quick_check"]

log = logging.getLogger("doctor")

_MOST_IDS = 16
_MOST_RAWS = 32
_MOST_PARENTS = 10
# Below this not even a small cut-out can be processed.
_LEAST_MEMORY = 300_000_000
_MB = 1_000_000


def preflight(arguments: ProcessCcdArguments) -> Opened:
    """Check what a process-ccd command needs; requests that make no sense are left to the command to refuse.

    Returns
    -------
    The repositories that it opened, for the command.

    Raises
    ------
    HscboxError
        As `quick_check`.
    """
    opened: Opened = {}
    if (arguments.show and "run" not in arguments.show) or bool(arguments.output) == bool(arguments.rerun):
        return opened
    root = with_prefix(arguments.input, "PIPE_INPUT_ROOT")
    output = with_prefix(arguments.output, "PIPE_OUTPUT_ROOT") if arguments.output else None
    calib = None
    if arguments.calib or os.environ.get("PIPE_CALIB_ROOT"):
        calib = with_prefix(arguments.calib or "", "PIPE_CALIB_ROOT")
    try:
        ids = parse_ids(arguments.ids)
        if arguments.rerun:
            root, output = rerun_paths(root, arguments.rerun)
    except HscboxError:
        return opened
    optional = _optional(arguments)
    quick_check(root, output, calib=calib, ids=ids, processes=arguments.processes, optional=optional, opened=opened)
    return opened


def _optional(arguments: ProcessCcdArguments) -> frozenset[str]:
    """Return the links that the configuration may have made needless; if they are not, the run will say so."""
    names = [text.partition("=")[0] for kind, text in arguments.overrides if kind == "-c"]
    any_file = any(kind == "-C" for kind, _ in arguments.overrides)
    found = set()
    if any_file or any(name.startswith("isr.do") for name in names):
        found.add("CALIB")
    if any_file or any(name.startswith(("doCalibrate", "calibrate.do")) for name in names):
        found.add("ref_cats")
    return frozenset(found)


def quick_check(
    root: Path,
    output: Path | None,
    *,
    calib: Path | None = None,
    ids: Sequence[DataId] = (),
    processes: int = 1,
    optional: Collection[str] = (),
    opened: Opened | None = None,
) -> None:
    """Stop a run that cannot succeed; takes milliseconds, and never lists a directory of raws.

    Parameters
    ----------
    root, output
        Input repository, and output repository or None.
    calib
        Calibration directory that is used instead of the link `CALIB`.
    ids
        Wanted data ids; the links to the raws of the first ones are looked at.
    processes
        Number of processes.
    optional
        Names of links that may dangle.
    opened
        Gets the repositories that are opened.

    Raises
    ------
    NotMountedError
        A link leads to a place that is not mounted; the remedy names the flags to add.
    MissingInputError
        A link leads to nothing.
    OutputError
        The output cannot be written.
    TemporaryError
        There is no space for one CCD, or no memory for one process.
    """
    points = mount_points()
    for link in (root, calib):
        if link is not None and (found := dangling(link, directory=True, points=points)):
            raise missing_link_error(found)
    if not root.is_dir():
        return
    needless = {*optional, *(["CALIB"] if calib is not None else [])}
    _check_top_links(root, needless, points)
    _check_raws(root, calib, ids, points, opened)
    if output is not None:
        _check_space(output, max(1, len(ids)))
    _check_memory(processes)


def _check_top_links(root: Path, needless: Collection[str], points: Mapping[str, str]) -> None:
    places = [root]
    for place in places:
        for link, is_directory in top_links(place):
            found = None if link.name in needless else dangling(link, directory=is_directory, points=points)
            if found is not None:
                raise missing_link_error(found)
        if len(places) < _MOST_PARENTS:
            places += [parent for parent in parents_of(place) if parent.is_dir() and parent not in places]


def _check_raws(
    root: Path, calib: Path | None, ids: Sequence[DataId], points: Mapping[str, str], opened: Opened | None
) -> None:
    """Complain about a raw that is not mounted, or if none of those looked at is there."""
    kind = DATASETS["raw"]
    broken: list[Dangling] = []
    looked = 0
    try:
        lookup = Lookup([open_repository(root, calib, opened=opened)])
        try:
            for data_id in ids[:_MOST_IDS]:
                # Without a visit, the whole registry might have to be gone through.
                rows = lookup.exposures(lookup.check_keys(data_id), limit=_MOST_RAWS) if "visit" in data_id else []
                for row in rows[: _MOST_RAWS - looked]:
                    looked += 1
                    found = _broken_raw([place.root / kind.path(row) for place in lookup.repositories], points)
                    if found is not None:
                        broken.append(found)
        finally:
            for registry in lookup.registries:
                registry.close()
    except HscboxError:
        # The run meets the same problem, in its own words.
        return
    worst = worst_link(broken)
    if worst is not None and (not worst.is_mounted or len(broken) >= looked):
        raise missing_link_error(worst)


def _broken_raw(paths: Sequence[Path], points: Mapping[str, str]) -> Dangling | None:
    """Return a raw's broken link; None if one of its places, in the repository or its parents, has it."""
    links: list[Dangling] = []
    for path in paths:
        for ending in ENDINGS:
            place = path.with_name(path.name + ending)
            if os.path.exists(place):  # noqa: PTH110  (never raises)
                return None
            found = dangling(place, directory=False, points=points)
            if found is not None:
                links.append(found)
    return worst_link(links)


def _check_space(output: Path, ccds: int) -> None:
    place = existing(output)
    if not os.access(place, os.W_OK):
        raise OutputError(
            f"Cannot write {output}: {place} is not writable here",
            remedy="Choose another output; in a container, bind it so that it can be written to (:rw)",
        )
    free, _ = free_bytes(place)
    if free < CCD_BYTES:
        raise TemporaryError(
            f"{place} has {free / _MB:.0f} MB of free space; one CCD needs {CCD_BYTES / _MB:.0f} MB",
            remedy="Free space or choose another --output, then run again",
            free=free,
        )
    if free < CCD_BYTES * ccds:
        log.warning("%s has space for %d CCDs; %d are wanted", place, free // CCD_BYTES, ccds)


def _check_memory(processes: int) -> None:
    found = available_memory()
    if found is None:
        return
    left, limit = found
    if left < _LEAST_MEMORY:
        raise TemporaryError(
            f"{left / _MB:.0f} MB of memory are left ({limit}); a full-size CCD needs {PROCESS_BYTES / _MB:.0f} MB",
            remedy="Ask for more memory, or take another machine",
            left=left,
        )
    if left < PROCESS_BYTES * processes:
        log.warning(
            "%.0f MB of memory are left (%s); %d processes with full-size CCDs need %.0f MB",
            left / _MB,
            limit,
            processes,
            PROCESS_BYTES * processes / _MB,
        )
