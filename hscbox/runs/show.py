"""The ``--show`` option: look at the configuration, the tasks or the data ids without running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsst.pex.config import Config

from ..errors import UsageError
from ..pipeline.config_store import config_lines, config_text

__all__ = ["Shown", "show"]


@dataclass(frozen=True)
class Shown:
    """What the words of ``--show`` asked for beyond what was printed at once."""

    anything: bool
    data: bool
    run: bool


def show(words: Sequence[str], config: Config) -> Shown:
    """Print what can be printed from the configuration alone and say what else is wanted.

    Raises
    ------
    UsageError
        A word is unknown.
    """
    for word in words:
        what, _, pattern = word.partition("=")
        if what == "config":
            print("\n".join(config_lines(config, pattern)) if pattern else config_text(config))
        elif what == "tasks":
            print("Subtasks:")
            for name, class_name in sorted(_subtasks(config, "")):
                print(f"{name}: {class_name}")
        elif what not in ("data", "run"):
            raise UsageError(f"Unknown --show '{word}', allowed are config, config=PATTERN, tasks, data, run")
    return Shown(bool(words), "data" in words, "run" in words)


def _subtasks(config: Config, prefix: str) -> list[tuple[str, str]]:
    found = []
    for name in config:
        value = getattr(config, name)
        if isinstance(value, Config):
            found.append((f"{prefix}{name}", f"{type(value).__module__}.{type(value).__name__}"))
            found += _subtasks(value, f"{prefix}{name}.")
    return found
