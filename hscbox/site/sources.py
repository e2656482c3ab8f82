"""Where profiles come from: the package, then the user's directory, then that of the project.

Files of one name are put on top of each other, so that a user can change one key of a shipped profile.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from ..errors import ConfigError, UsageError
from ..machine.toml_model import toml_values, validated
from .profile import SiteProfile

__all__ = ["PROJECT_DIRECTORY", "find_profiles", "load_profile", "places", "profile_toml"]

PROJECT_DIRECTORY = "hscbox-sites"

Table = dict[str, Any]

_SHIPPED = Path(__file__).parent / "profiles"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def places() -> tuple[tuple[str, Path], ...]:
    """Return the levels and their directories; what comes later wins."""
    configuration = os.environ.get("XDG_CONFIG_HOME", "")
    if not configuration.startswith("/"):
        home = os.environ.get("HOME", "")
        configuration = f"{home}/.config" if home.startswith("/") else ""
    user = (("user", Path(configuration) / "hscbox" / "sites"),) if configuration else ()
    return (("shipped", _SHIPPED), *user, ("project", Path.cwd() / PROJECT_DIRECTORY))


def find_profiles() -> dict[str, list[tuple[str, Path]]]:
    """Return the names of all profiles, sorted, with the level and path of the files of each."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for level, directory in places():
        try:
            files = sorted(directory.glob("*.toml"))
        except OSError:
            # Somebody else's or no home directory is no reason not to run.
            continue
        for file in files:
            # Such as the hidden files of editors; a site that is asked for by such a name is told why it is not there.
            if not _NAME.fullmatch(file.stem):
                continue
            found.setdefault(file.stem, []).append((level, file))
    return dict(sorted(found.items()))


def load_profile(name: str) -> SiteProfile:
    """Return the effective profile of a site.

    Raises
    ------
    UsageError
        There is no such site (the message names all), or there can be none.
    ConfigError
        One of its files is wrong.
    """
    content, files = _content(name)
    return SiteProfile(name=name, origins=tuple(f"{level}: {file}" for level, file in files), **content)


def _content(name: str) -> tuple[Table, list[tuple[str, Path]]]:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of a site; allowed are letters, digits, '_', '-' and '.'")
    found = find_profiles()
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        own = "Write your own as described in hscbox site --help"
        raise UsageError(
            f"Unknown site '{name}'; known are {', '.join(found)}",
            remedy=f"Did you mean {near[0]}?" if near else own,
        )
    content: Table = {}
    for _, file in found[name]:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot read {file}: {error}") from error
        values = toml_values(text, str(file))
        validated(SiteProfile, values, str(file), name=name, origins=())
        content = _merged(content, values)
    return content, found[name]


def _merged(lower: Table, upper: Table) -> Table:
    """Return `lower` with the keys of `upper` put over it, tables key by key; a list replaces a list."""
    return lower | {
        key: _merged(lower.get(key, {}), value) if isinstance(value, dict) else value for key, value in upper.items()
    }


def profile_toml(name: str) -> str:
    """Return the effective profile as TOML, with the files that it was made of as comments."""
    content, files = _content(name)
    lines = [f"# site {name}; later files win:", *(f"#   {level}: {file}" for level, file in files)]
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    lines += [_line(key, value) for key, value in content.items() if key not in tables]
    for key, table in tables.items():
        lines += ["", f"[{key}]", *(_line(inner, value) for inner, value in table.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: object) -> str:
    return f"{key} = [{', '.join(map(_quoted, value))}]" if isinstance(value, list) else f"{key} = {_quoted(value)}"


def _quoted(value: object) -> str:
    # Values are printable texts of one line, for which two characters need care.
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
