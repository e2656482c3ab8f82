"""Is what a profile names here, and are the links of a repository covered by its binds?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..machine.mounts import container_engine
from .finding import Finding, State
from .links import survey
from .profile import Bind, SiteProfile, expanded

__all__ = ["check_profile", "check_repository_binds"]


def check_profile(profile: SiteProfile) -> Iterator[Finding]:
    """Yield what is here of the binds, repository paths, scratch and image of a profile."""
    for bind in profile.binds:
        yield _bind(bind, needed=True)
    for bind in profile.binds_if_present:
        yield _bind(bind, needed=False)
    for name, path in (
        ("raw", profile.repository.raw),
        ("calib", profile.repository.calib),
        ("ref_cats", profile.repository.ref_cats),
    ):
        if path:
            yield _path(f"repository.{name}", path)
    if profile.scratch:
        yield _scratch(profile.scratch)
    if profile.container.image.startswith(("/", "~", "$")) and container_engine() is None:
        yield _path("container.image", profile.container.image)


def _bind(bind: Bind, *, needed: bool) -> Finding:
    # Inside a container it is the target that must be here.
    path = bind.target if container_engine() else bind.source
    place = expanded(path)
    if place is not None and place.exists():
        return Finding("bind", State.OK, str(bind))
    what = f"{bind}: {path} is not here"
    if not needed:
        return Finding("bind", State.OK, f"{what}, and need not be")
    return Finding("bind", State.FAIL, what, "Mount it, or move the bind to binds_if_present of the profile")


def _path(name: str, path: str) -> Finding:
    place = expanded(path)
    if place is not None and place.exists():
        return Finding(name, State.OK, str(place))
    remedy = "Mount its file system" + (", or bind it into the container" if container_engine() else "")
    return Finding(name, State.FAIL, f"{path} is not here", f"{remedy}, or change {name} in a profile of your own")


def _scratch(path: str) -> Finding:
    place = expanded(path)
    if place is None:
        return Finding("scratch", State.WARN, f"{path} is not set, /tmp is used", "Set it to a large local directory")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        problem = f"{path} is {place}, which cannot be written to: {error.strerror or error}"
        return Finding("scratch", State.FAIL, problem, "Choose another directory", temporary=True)
    return Finding("scratch", State.OK, f"{path} is {place}")


def check_repository_binds(profile: SiteProfile, root: Path) -> Iterator[Finding]:
    """Yield whether the binds of the profile cover what the links of a repository lead to."""
    binds = (*profile.binds, *profile.binds_if_present)
    sources = [place for bind in binds if (place := expanded(bind.source)) is not None and place.exists()]
    real = [Path(os.path.realpath(place)) for place in sources]
    found = survey(root)
    scope = f"{found.looked} links followed, in {found.directories} of {found.all_directories} directories"
    for broken in found.broken:
        yield Finding("links", State.FAIL, broken.problem, broken.remedy)
    bare = sorted(target for target in found.targets if not any(target.is_relative_to(place) for place in real))
    for target in bare:
        yield Finding(
            "links",
            State.WARN,
            f"{target} is needed by links of {root}, and no bind of site {profile.name} covers it",
            f"The wrapper binds it by itself; without the wrapper add --bind {target}:{target}:ro",
        )
    if not found.broken and not bare:
        yield Finding("links", State.OK, f"all lead somewhere that is bound ({scope})")
