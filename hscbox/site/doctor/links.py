"""The repository and its symbolic links."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...butler.paths import absolute
from ...butler.repository import open_repository
from ...errors import HscboxError
from ...machine.mounts import Dangling, bind_flags
from ..finding import Context, Finding, State
from ..links import survey

__all__ = ["check_links", "check_repository", "worst_link"]

_SHOWN = 5


def check_repository(context: Context) -> Iterator[Finding]:
    """Say whether the repository can be opened with its parents, and whether it has registries."""
    if context.repository is None:
        return
    root = absolute(context.repository)
    try:
        repository = open_repository(root)
    except HscboxError as error:
        yield Finding("repository", State.FAIL, error.message, error.remedy)
        return
    chain = (repository, *repository.parents)
    missing = []
    if not any(place.registry_path for place in chain):
        missing.append("no registry.sqlite3")
    if not any(place.calib_registry_path for place in chain):
        missing.append("no CALIB with a registry")
    if missing:
        yield Finding(
            "repository",
            State.WARN,
            f"{root} has {' and '.join(missing)}",
            "hscbox ingest-images registers raws, hscbox mount --calib links calibrations",
        )
    else:
        yield Finding("repository", State.OK, f"{root}, registry of raws and of calibrations")


def check_links(context: Context) -> Iterator[Finding]:
    """Say which links of the repository lead to nothing, and what to bind."""
    if context.repository is None:
        return
    root = absolute(context.repository)
    if not root.is_dir():
        return
    found = survey(root)
    scope = f"{found.looked} links followed, in {found.directories} of {found.all_directories} directories"
    if not found.broken:
        yield Finding("links", State.OK, f"all lead somewhere ({scope})")
        return
    unmounted: dict[Path, list[Dangling]] = {}
    for broken in found.broken:
        if not broken.is_mounted:
            unmounted.setdefault(broken.bind, []).append(broken)
    for group in unmounted.values():
        more = f" (and {len(group) - 1} more links there)" if len(group) > 1 else ""
        yield Finding("links", State.FAIL, f"{group[0].problem}{more} ({scope})", group[0].remedy)
    if len(unmounted) > 1:
        binds = [bind_flags(place) for place in sorted(unmounted)]
        if found.broken[0].engine:
            apptainer, podman = (" ".join(words) for words in zip(*binds, strict=True))
            yield Finding(
                "links",
                State.FAIL,
                f"{len(unmounted)} places are not mounted; the remedy has all flags",
                f"apptainer: {apptainer}; podman, docker: {podman}",
            )
    gone = [broken for broken in found.broken if broken.is_mounted]
    for broken in gone[:_SHOWN]:
        yield Finding("links", State.FAIL, f"{broken.problem} ({scope})", broken.remedy)
    if len(gone) > _SHOWN:
        yield Finding("links", State.FAIL, f"{len(gone) - _SHOWN} more links lead to nothing")


def worst_link(broken: list[Dangling]) -> Dangling | None:
    """Return the link to complain about: one that is not mounted if there is any."""
    return min(broken, key=lambda link: link.is_mounted, default=None)
