"""Scenes: what to simulate, how to process it, and what must come out whatever a golden says."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MissingInputError, UsageError
from .places import scene_directory

__all__ = ["Expected", "SceneDefinition", "TruthRule", "read_scene", "read_scenes"]

_KEYS = {"title", "selftest", "simulate", "overrides", "outcome", "truth"}


@dataclass(frozen=True)
class Expected:
    """How processing must end.

    Attributes
    ----------
    exit
        Exit status of process-ccd.
    code
        Code of the named error; ``done`` if there is none.
    """

    exit: int = 0
    code: str = "done"


@dataclass(frozen=True)
class TruthRule:
    """How the products are held against the generator's truth.

    Attributes
    ----------
    level
        Bounds that must hold: ``floor`` or ``target``.
    standard_errors
        By how many of its own standard errors a number may lie outside of its bound.
    reason
        Why more than none.
    """

    level: str = "floor"
    standard_errors: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class SceneDefinition:
    """One golden scene.

    Attributes
    ----------
    name, title
        Stem of its file; words for tables.
    simulate
        Keys of a scene file of ``hscbox simulate``.
    overrides
        Words for ``process-ccd -c``.
    outcome, truth
        What must hold independently of the golden.
    selftest
        Whether ``hscbox selftest`` takes this scene.
    """

    name: str
    title: str
    simulate: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    outcome: Expected = field(default_factory=Expected)
    truth: TruthRule = field(default_factory=TruthRule)
    selftest: bool = False

    @property
    def visit(self) -> int:
        """Visit of the frame."""
        return int(self.simulate["visit"])

    @property
    def ccd(self) -> int:
        """CCD of the frame."""
        return int(self.simulate["ccd"])

    @property
    def digest(self) -> str:
        """SHA-256 of what decides about the products."""
        text = json.dumps([dict(self.simulate), list(self.overrides)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_scene(path: Path) -> SceneDefinition:
    """Read one definition.

    Raises
    ------
    MissingInputError
        The file cannot be read.
    ConfigError
        It is no scene definition; the message names the fault.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", remedy="Correct the file") from error
    unknown = sorted(set(values) - _KEYS)
    if unknown:
        raise ConfigError(f"{path} has unknown keys {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}")
    simulate = values.get("simulate", {})
    if not {"visit", "ccd"} <= set(simulate):
        raise ConfigError(f"{path} does not say visit and ccd in [simulate]", remedy="Give both")
    try:
        scene = SceneDefinition(
            path.stem,
            str(values.get("title", path.stem)),
            simulate,
            tuple(values.get("overrides", ())),
            Expected(**values.get("outcome", {})),
            TruthRule(**values.get("truth", {})),
            bool(values.get("selftest", False)),
        )
    except TypeError as error:
        raise ConfigError(f"{path} has an unknown key in [outcome] or [truth]: {error}") from error
    if scene.truth.level not in {"floor", "target"}:
        raise ConfigError(f"{path}: truth.level is {scene.truth.level!r}; allowed are floor and target")
    if scene.truth.standard_errors and not scene.truth.reason:
        raise ConfigError(f"{path} widens the bounds of the truth without a reason", remedy="Write truth.reason")
    return scene


def read_scenes(testdata: Path, names: Sequence[str] = ()) -> list[SceneDefinition]:
    """Read the scenes called `names`, or all of them.

    Raises
    ------
    UsageError
        There is no such scene.
    """
    places = {path.stem: path for path in sorted(scene_directory(testdata).glob("*.toml"))}
    unknown = [name for name in names if name not in places]
    if unknown:
        raise UsageError(f"There is no scene {', '.join(unknown)}; known are {', '.join(places) or 'none'}")
    return [read_scene(places[name]) for name in names or places]
