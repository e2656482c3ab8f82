"""What is known about a site: its binds, data, scratch space, container options and batch system."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Batch", "Bind", "Container", "Repository", "SiteProfile", "expanded", "leading_variable"]

# Names as the shell has them, of ASCII letters.
_LEADING = re.compile(r"~|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


@dataclass(frozen=True)
class Bind:
    """A directory of the host that is visible in the container.

    Attributes
    ----------
    source, target
        Its path on the host and in the container; they may begin with `$NAME` or `~`.
    read_only
        Whether nothing can be written there.
    if_present
        Whether a host without it is fine.
    """

    source: str
    target: str
    read_only: bool = False
    if_present: bool = False

    def __str__(self) -> str:
        target = "" if self.target == self.source else f":{self.target}"
        return f"{self.source}{target}:{'ro' if self.read_only else 'rw'}"


@dataclass(frozen=True)
class Repository:
    """Where the site keeps what an input repository links to; empty where it has none.

    Attributes
    ----------
    raw
        Directory of the raw frames. It may hold a million files: never list it.
    calib, ref_cats
        Targets of the links `CALIB` and `ref_cats`.
    """

    raw: str = ""
    calib: str = ""
    ref_cats: str = ""


@dataclass(frozen=True)
class Container:
    """How the image is started.

    Attributes
    ----------
    image
        SIF file or name of an OCI image; empty to be told by `HSCBOX_IMAGE`.
    apptainer_options, podman_options
        Further options of `apptainer run` and of `podman run` (also docker).
    environment
        Names of variables that are passed into the container where they are set.
    """

    image: str = ""
    apptainer_options: tuple[str, ...] = ()
    podman_options: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """The batch system.

    Attributes
    ----------
    scheduler
        `none`, `slurm` or `htcondor`.
    account
        Account that jobs are charged to.
    licences
        Resources that a job must claim, such as the file system that it reads.
    partitions
        Partitions (queues) in the order of preference.
    options
        Further options of the submit command.
    """

    scheduler: str = "none"
    account: str = ""
    licences: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiteProfile:
    """The effective profile of a site.

    Attributes
    ----------
    name
        Name of the site: that of its files.
    origins
        The files that it was made of, the one that wins last.
    """

    name: str
    description: str = ""
    binds: tuple[Bind, ...] = ()
    scratch: str = ""
    repository: Repository = field(default_factory=Repository)
    container: Container = field(default_factory=Container)
    batch: Batch = field(default_factory=Batch)
    origins: tuple[str, ...] = ()


def leading_variable(path: str) -> tuple[str, str]:
    """Return the name of the variable that a path of a profile begins with, and the rest; without one "" and the path.

    `~` stands for the variable HOME.
    """
    head, slash, rest = path.partition("/")
    found = _LEADING.fullmatch(head)
    return (found[1] or found[2] or "HOME", slash + rest) if found else ("", path)


def expanded(path: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """Return a path of a profile with its leading `$NAME` or `~` replaced; None if that variable is not set."""
    variables = os.environ if environment is None else environment
    name, rest = leading_variable(path)
    if not name:
        return Path(path)
    value = variables.get(name, "")
    return Path(value + rest) if value else None
