"""The configuration in its canonical text form, and its comparison with the one an output was made with."""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import io

from lsst.pex.config import Config

__all__ = ["config_digest", "config_lines", "config_text", "differences"]


def config_text(config: Config) -> str:
    """Return `config` in the layout of the stack: documentation as comments, one assignment per field."""
    stream = io.StringIO()
    config.saveToStream(stream, root="config", skipImports=True)
    return stream.getvalue()


def config_digest(config: Config) -> str:
    """Return the SHA-256 of the assignments; comments do not count."""
    return hashlib.sha256("\n".join(config_lines(config)).encode()).hexdigest()


def config_lines(config: Config, pattern: str = "*") -> list[str]:
    """Return the assignments, one line each, whose dotted name matches `pattern`.

    The pattern is a glob, compared without regard to case unless it ends in ``:NOIGNORECASE``; the leading
    ``config.`` of a name may be left out.
    """
    fold = str if pattern.endswith(":NOIGNORECASE") else str.lower
    wanted = fold(pattern.removesuffix(":NOIGNORECASE"))
    patterns = wanted, f"config.{wanted}"

    def matches(line: str) -> bool:
        return any(fnmatch.fnmatchcase(fold(line.partition("=")[0]), p) for p in patterns)

    return [line for line in config_text(config).splitlines() if line.startswith("config.") and matches(line)]


def differences(recorded: Config, current: Config) -> list[str]:
    """Return a unified diff of the assignments (``-`` recorded, ``+`` current) without context; empty if equal."""
    old, new = config_lines(recorded), config_lines(current)
    lines = difflib.unified_diff(old, new, lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
