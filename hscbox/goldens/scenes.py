"""Scenes: what to simulate, how to process it, and what must come out whatever a golden says.

The models are the TOML form: every key of a scene is a field here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ..errors import ConfigError, MissingInputError, UsageError
from ..machine.toml_model import Line, Listed, TomlModel, toml_values, validated
from .places import scene_directory

__all__ = ["Expected", "SceneDefinition", "TruthRule", "read_scene", "read_scenes"]


class Expected(TomlModel):
    """How processing must end.

    Attributes
    ----------
    exit
        Exit status of process-ccd.
    code
        Code of the named error; ``done`` if there is none.
    """

    exit: int = 0
    code: Line = "done"


class TruthRule(TomlModel):
    """How the products are held against the generator's truth.

    Attributes
    ----------
    level
        Bounds that must hold.
    standard_errors
        By how many of its own standard errors a number may lie outside of its bound.
    reason
        Why more than none.
    """

    level: Literal["floor", "target"] = "floor"
    standard_errors: float = Field(default=0.0, ge=0)
    reason: Line = ""

    @model_validator(mode="after")
    def _explained(self) -> TruthRule:
        if self.standard_errors and not self.reason:
            raise ValueError("bounds of the truth are widened without a 'reason'")
        return self


def _frame(simulate: dict[str, Any]) -> dict[str, Any]:
    if not all(isinstance(simulate.get(key), int) for key in ("visit", "ccd")):
        raise ValueError("it must say visit and ccd")
    return simulate


class SceneDefinition(TomlModel):
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
    title: Line
    simulate: Annotated[dict[str, Any], AfterValidator(_frame)]
    overrides: Listed[Line] = ()
    outcome: Expected = Expected()
    truth: TruthRule = TruthRule()
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
        text = json.dumps([self.simulate, list(self.overrides)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_scene(path: Path) -> SceneDefinition:
    """Read one definition.

    Raises
    ------
    MissingInputError
        The file cannot be read.
    ConfigError
        It is no scene definition; the message names the faults.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}", remedy="Correct the file") from error
    return validated(SceneDefinition, {"title": path.stem, **toml_values(text, str(path))}, str(path), name=path.stem)


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
