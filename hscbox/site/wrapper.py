"""The script for the host that binds what a repository needs and starts the image."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..machine.revision import __version__
from .profile import Bind, SiteProfile, leading_variable

__all__ = ["wrapper_script"]

_TEMPLATE = Path(__file__).with_name("wrapper.sh")


def wrapper_script(profile: SiteProfile) -> str:
    """Return the POSIX shell script that runs hscbox at a site; it needs nothing of hscbox on the host."""
    container = profile.container
    settings = [
        f"site={shlex.quote(profile.name)}",
        f"site_image={_shell_path(container.image)}",
        f"scratch={_shell_path(profile.scratch)}",
        f"apptainer_options={_lines(container.apptainer_options)}",
        f"podman_options={_lines(container.podman_options)}",
        f"site_environment={shlex.quote(' '.join(container.environment))}",
        "site_binds() {",
        *(f"    {_bind(bind, 'always')}" for bind in profile.binds),
        *(f"    {_bind(bind, 'present')}" for bind in profile.binds_if_present),
        "    :",
        "}",
    ]
    text = _TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("@SITE@", profile.name).replace("@__version__@", __version__)
    return text.replace("@SETTINGS@", "\n".join(settings) + "\n")


def _bind(bind: Bind, need: str) -> str:
    mode = "ro" if bind.read_only else "rw"
    return f"site_bind {mode} {need} {_shell_path(bind.source)} {_shell_path(bind.target)}"


def _lines(words: tuple[str, ...]) -> str:
    return shlex.quote("\n".join(words))


def _shell_path(path: str) -> str:
    """Return a path of a profile as a shell word; a leading variable or `~` is replaced when the script runs."""
    name, rest = leading_variable(path)
    if not name:
        return shlex.quote(path)
    # Nothing at all if the variable is not set: what follows it would be another place.
    return f'"${{{name}:+${name}{_in_quotes(rest)}}}"'


def _in_quotes(text: str) -> str:
    for character in '\\"$`}':
        text = text.replace(character, f"\\{character}")
    return text
