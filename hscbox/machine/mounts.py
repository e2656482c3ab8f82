"""What is mounted where this process runs, and what to do about a symbolic link whose target is not there.

In a container most dangling links are sound on the host: the place that they point to was not bound. The mount
table of the kernel tells that from a target that is really gone.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingInputError, NotMountedError

__all__ = [
    "Dangling",
    "bind_flags",
    "container_engine",
    "dangling",
    "is_lost_with_container",
    "missing_link_error",
    "mount_points",
]

_MOUNT_TABLE = Path("/proc/self/mountinfo")
# Root and scratch directories that an engine makes for one container.
_ENGINE_FILE_SYSTEMS = frozenset({"overlay", "tmpfs", "ramfs", "squashfs", "fuse.squashfuse", "fuse.fuse-overlayfs"})
_IDENTITY = Path(sys.prefix) / "share" / "hscbox" / "image.json"
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Dangling:
    """A symbolic link that leads to nothing.

    Attributes
    ----------
    link, target
        The link and what it says.
    missing
        Absolute path at which following it ended, further links included.
    bind
        Directory that has to be mounted for it.
    is_mounted
        Whether the file system that `missing` belongs to is here; then the target itself is gone.
    engine
        Container engine that this process runs under; None on the host.
    """

    link: Path
    target: str
    missing: Path
    bind: Path
    is_mounted: bool
    engine: str | None

    @property
    def problem(self) -> str:
        """The link, its target and what is wrong with it, without a full stop."""
        where = "in this container" if self.engine else "on this machine"
        further = f" (that is {self.missing})" if str(self.missing) != self.target else ""
        state = "does not exist" if self.is_mounted else f"is not mounted {where}"
        return f"{self.link} is a symbolic link to {self.target}{further}, which {state}"

    @property
    def remedy(self) -> str:
        """What to do about it; names the flags to add."""
        if self.is_mounted:
            return "Put the target back, or make the link again"
        if self.engine:
            apptainer, podman = bind_flags(self.bind)
            return f"Add {apptainer} (apptainer) or {podman} (podman, docker) to the command that starts the container"
        return f"Mount the file system of {self.bind}, or make the link again"


def bind_flags(path: Path, *, read_only: bool = True) -> tuple[str, str]:
    """Return the words that bind `path` into a container at the same place: for apptainer, and for podman."""
    suffix = ":ro" if read_only else ""
    apptainer = f"{path}{suffix and f':{path}{suffix}'}"
    return f"--bind {shlex.quote(apptainer)}", f"-v {shlex.quote(f'{path}:{path}{suffix}')}"


def container_engine(
    environment: Mapping[str, str] | None = None, root: Path = Path("/"), identity: Path | None = None
) -> str | None:
    """Return the name of the container engine that this process runs under, or None.

    Parameters
    ----------
    environment
        Environment variables; those of the process by default.
    root
        Root directory in which the marks of the engines are looked for.
    identity
        File that only the image of hscbox has.
    """
    variables = os.environ if environment is None else environment
    for name in ("APPTAINER", "SINGULARITY"):
        if variables.get(f"{name}_NAME") or variables.get(f"{name}_CONTAINER"):
            return name.lower()
    # An apptainer image brings this directory along even when its variables are stripped.
    if (root / ".singularity.d").is_dir():
        return "apptainer"
    # podman tells by a variable, also with --read-only, for which it does not write the file.
    if variables.get("container"):
        return variables["container"]
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    return "an unknown engine" if (identity or _IDENTITY).exists() else None


def mount_points(table: str | None = None) -> dict[str, str]:
    """Return mount points and their kinds of file system from the text of `/proc/self/mountinfo`.

    By default it is the table of this process; empty if it cannot be read.
    """
    if table is None:
        try:
            table = _MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return {}
    found = {}
    for line in table.splitlines():
        words = line.split(" ")
        if len(words) > 4 and "-" in words[5:-1]:
            # Optional fields end at the dash; a later mount hides an earlier one at the same place.
            found[_unescaped(words[4])] = words[words.index("-", 5) + 1]
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def dangling(link: Path, *, directory: bool | None = None, points: Mapping[str, str] | None = None) -> Dangling | None:
    """Return what is known about `link` if it is a symbolic link that leads to nothing, else None.

    Parameters
    ----------
    link
        Path of the link.
    directory
        Whether its target should be a directory; by default, if its name has no suffix.
    points
        Mount points as of `mount_points`; those of this process by default.
    """
    try:
        if not link.is_symlink() or link.exists():
            return None
        target = os.readlink(link)  # noqa: PTH115  (the text as it is)
    except OSError:
        return None
    missing = Path(os.path.realpath(link))
    is_directory = not link.suffix if directory is None else directory
    bind = missing if is_directory else missing.parent
    engine = container_engine()
    known = mount_points() if points is None else points
    return Dangling(link, target, missing, bind, _is_mounted(missing, known, in_container=engine is not None), engine)


def _is_mounted(missing: Path, points: Mapping[str, str], *, in_container: bool) -> bool:
    """Return whether the file system of a path that does not exist seems to be here."""
    ancestor = missing.parent
    while not os.path.exists(ancestor) and ancestor != ancestor.parent:  # noqa: PTH110  (never raises)
        ancestor = ancestor.parent
    if not in_container:
        return ancestor != ancestor.parent
    inside, kind = _mount_of(ancestor, points)
    if inside != "/" and kind not in _ENGINE_FILE_SYSTEMS:
        return True
    # This is the container's own tree. The engine makes directories in it that lead to binds; and those at its top
    # come with every image, whatever the host has there.
    leads_to_binds = any(Path(point).is_relative_to(ancestor) for point in points if point != str(ancestor))
    return len(ancestor.parts) > 2 and not leads_to_binds


def is_lost_with_container(place: Path) -> bool:
    """Return whether what is written at an absolute path without links is gone when this container is."""
    return container_engine() is not None and _mount_of(place, mount_points())[1] in _ENGINE_FILE_SYSTEMS


def _mount_of(place: Path, points: Mapping[str, str]) -> tuple[str, str]:
    """Return the mount point that a path is on, and its kind of file system."""
    inside = next((str(above) for above in (place, *place.parents) if str(above) in points), "/")
    return inside, points.get(inside, "")


def missing_link_error(found: Dangling) -> MissingInputError:
    """Return the error to raise for a dangling link."""
    kind = MissingInputError if found.is_mounted else NotMountedError
    return kind(found.problem, remedy=found.remedy, link=str(found.link), target=found.target)
