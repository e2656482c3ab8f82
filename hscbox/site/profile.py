"""What is known about a site: its binds, data, scratch space, container options and batch system.

The models are the TOML form: every key of a profile is a field here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from ..machine.toml_model import Line, Listed, TomlModel

__all__ = ["Batch", "Bind", "Container", "Repository", "SiteProfile", "expanded", "leading_variable"]

# Names as the shell has them, of ASCII letters.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEADING = re.compile(rf"~|\$(?:({_VARIABLE.pattern})|\{{({_VARIABLE.pattern})\}})")
_MODES = {"ro": True, "rw": False}


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


@dataclass(frozen=True)
class Bind:
    """A directory of the host that is visible in the container.

    Attributes
    ----------
    source, target
        Its path on the host and in the container; they may begin with `$NAME` or `~`.
    read_only
        Whether nothing can be written there.
    """

    source: str
    target: str
    read_only: bool = False

    def __str__(self) -> str:
        target = "" if self.target == self.source else f":{self.target}"
        return f"{self.source}{target}:{'ro' if self.read_only else 'rw'}"


def _is_path(text: str) -> bool:
    return text.startswith("/") or bool(leading_variable(text)[0])


def _path(text: str) -> str:
    if text and not _is_path(text):
        raise ValueError("it must be an absolute path, or begin with ~ or $NAME")
    return text


def _bind(value: object) -> object:
    """Return the bind that `SOURCE[:TARGET][:ro|:rw]` stands for; without a mode it can be written to."""
    if not isinstance(value, str):
        return value
    parts = value.split(":")
    mode = parts.pop() if parts[-1] in _MODES else "rw"
    if not value.isprintable() or not 1 <= len(parts) <= 2 or not all(map(_is_path, parts)):
        raise ValueError("it must be SOURCE[:TARGET][:ro] with absolute paths")
    return Bind(parts[0], parts[-1], _MODES[mode])


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError("it must be the name of an environment variable")
    return text


SitePath = Annotated[Line, AfterValidator(_path)]
Binds = Listed[Annotated[Bind, BeforeValidator(_bind)]]


class Repository(TomlModel):
    """Where the site keeps what an input repository links to; empty where it has none.

    Attributes
    ----------
    raw
        Directory of the raw frames. It may hold a million files: never list it.
    calib, ref_cats
        Targets of the links `CALIB` and `ref_cats`.
    """

    raw: SitePath = ""
    calib: SitePath = ""
    ref_cats: SitePath = ""


class Container(TomlModel):
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

    image: Line = ""
    apptainer_options: Listed[Line] = ()
    podman_options: Listed[Line] = ()
    environment: Listed[Annotated[str, AfterValidator(_variable)]] = ()


class Batch(TomlModel):
    """The batch system.

    Attributes
    ----------
    account
        Account that jobs are charged to.
    licences
        Resources that a job must claim, such as the file system that it reads.
    partitions
        Partitions (queues) in the order of preference.
    options
        Further options of the submit command.
    """

    scheduler: Literal["none", "slurm", "htcondor"] = "none"
    account: Line = ""
    licences: Listed[Line] = ()
    partitions: Listed[Line] = ()
    options: Listed[Line] = ()


class SiteProfile(TomlModel):
    """The effective profile of a site.

    Attributes
    ----------
    name
        Name of the site: that of its files.
    binds, binds_if_present
        What is bound; a host without one of the latter is fine.
    origins
        The files that it was made of, the one that wins last.
    """

    name: str
    description: Line = ""
    binds: Binds = ()
    binds_if_present: Binds = ()
    scratch: SitePath = ""
    repository: Repository = Repository()
    container: Container = Container()
    batch: Batch = Batch()
    origins: tuple[str, ...] = ()
