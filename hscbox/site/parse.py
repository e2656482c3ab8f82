"""The TOML form of profiles: every key is known, every value is checked, every complaint names file and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigError
from .profile import Batch, Bind, Container, Repository, SiteProfile, leading_variable

__all__ = ["build", "merged", "parse"]

Table = dict[str, Any]

SCHEDULERS = ("none", "slurm", "htcondor")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODES = {"ro": True, "rw": False}


def parse(text: str, file: str) -> Table:
    """Return the checked content of one profile file; keys that are not given are absent.

    Raises
    ------
    ConfigError
        It is not TOML, a key is unknown or a value is not allowed; the message names `file` and the key.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}", remedy="Mend that line") from error
    return _table(content, _TOP, file, "")


def _table(content: Mapping[str, Any], known: Mapping[str, Any], file: str, prefix: str) -> Table:
    checked: Table = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"{file}: unknown key '{name}'; allowed are {', '.join(prefix + k for k in known)}")
        check = known[key]
        if isinstance(check, Mapping):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{file}: '{name}' is {value!r}, it must be a table [{name}]")
            checked[key] = _table(value, check, file, f"{name}.")
        else:
            try:
                checked[key] = check(value)
            except ValueError as error:
                raise ConfigError(f"{file}: '{name}' is {value!r}, {error}") from error
    return checked


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("it must be a text of one line")
    return value


def _is_path(text: str) -> bool:
    return text.startswith("/") or bool(leading_variable(text)[0])


def _path(value: object) -> str:
    text = _text(value)
    if text and not _is_path(text):
        raise ValueError("it must be an absolute path, or begin with ~ or $NAME")
    return text


def _listed(check: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    def checked(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError("it must be a list of texts")
        return tuple(check(item) for item in value)

    return checked


def _variable(value: object) -> str:
    text = _text(value)
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"{text!r} is no name of an environment variable")
    return text


def _scheduler(value: object) -> str:
    if value not in SCHEDULERS:
        raise ValueError(f"allowed are {', '.join(SCHEDULERS)}")
    return str(value)


def _bind_text(value: object) -> str:
    _bind(_text(value))
    return str(value)


def _bind(text: str, *, if_present: bool = False) -> Bind:
    """Return the bind that `SOURCE[:TARGET][:ro|:rw]` stands for; without a mode it can be written to."""
    parts = text.split(":")
    mode = parts.pop() if parts[-1] in _MODES else "rw"
    if not 1 <= len(parts) <= 2 or not all(map(_is_path, parts)):
        raise ValueError(f"{text!r} must be SOURCE[:TARGET][:ro] with absolute paths")
    return Bind(parts[0], parts[-1], _MODES[mode], if_present)


# Every key of a profile and how its value is checked.
_TOP: dict[str, Any] = {
    "description": _text,
    "binds": _listed(_bind_text),
    "binds_if_present": _listed(_bind_text),
    "scratch": _path,
    "repository": {"raw": _path, "calib": _path, "ref_cats": _path},
    "container": {
        "image": _text,
        "apptainer_options": _listed(_text),
        "podman_options": _listed(_text),
        "environment": _listed(_variable),
    },
    "batch": {
        "scheduler": _scheduler,
        "account": _text,
        "licences": _listed(_text),
        "partitions": _listed(_text),
        "options": _listed(_text),
    },
}


def merged(lower: Table, upper: Table) -> Table:
    """Return `lower` with the keys of `upper` put over it, tables key by key; a list replaces a list."""
    result = dict(lower)
    for key, value in upper.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def build(name: str, content: Table, origins: tuple[str, ...]) -> SiteProfile:
    """Return the profile that checked content stands for."""
    binds = [_bind(text) for text in content.get("binds", ())]
    binds += [_bind(text, if_present=True) for text in content.get("binds_if_present", ())]
    return SiteProfile(
        name,
        content.get("description", ""),
        tuple(binds),
        content.get("scratch", ""),
        Repository(**content.get("repository", {})),
        Container(**content.get("container", {})),
        Batch(**content.get("batch", {})),
        origins,
    )
