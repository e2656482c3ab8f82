"""The golden of a scene: what an accepted run produced, as readable JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import DamagedInputError, MissingInputError
from ..machine.files import write_bytes
from .numbers import REASONS, Number

__all__ = ["Golden", "Outcome", "golden_text", "keep_texts", "read_golden", "write_golden"]

_WIDTH = 150
# Part of its tolerance by which a number moves without being another one.
_UNMOVED = 0.1


@dataclass(frozen=True)
class Outcome:
    """How processing ended: exit status, code of the error, its text with ``{}`` for each number."""

    exit: int
    code: str
    message: str = ""


@dataclass(frozen=True)
class Golden:
    """What a scene must produce.

    Attributes
    ----------
    scene, definition
        Name, and digest of the definition that it belongs to.
    outcome
        How processing ends.
    files
        Files of the output that must exist; no others may.
    products, inputs
        SHA-256 of the products, and of the raw, masters and reference shards that the generator made.
    numbers
        Numbers with their tolerances.
    units
        Description of each unit of each FITS product (`products.describe_fits`), for the diff.
    versions
        Packages that it was made with.
    history
        Why it was accepted, oldest first.
    """

    scene: str
    definition: str
    outcome: Outcome
    files: list[str]
    products: dict[str, str]
    inputs: dict[str, str]
    numbers: dict[str, Number]
    versions: dict[str, str]
    units: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    history: list[dict[str, str]] = field(default_factory=list)


def read_golden(path: Path) -> Golden:
    """Read a golden.

    Raises
    ------
    MissingInputError, DamagedInputError
        There is none, or the file is not one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingInputError(
            f"No golden {path}: {error.strerror or error}",
            remedy='Make it with: hscbox regress accept SCENE --reason "..."',
        ) from error
    try:
        values = json.loads(text)
        values.pop("reasons")
        values["numbers"] = {name: Number(**number) for name, number in values["numbers"].items()}
        values["outcome"] = Outcome(**values["outcome"])
        return Golden(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedInputError(f"{path} is no golden: {error}", remedy="Restore it, or accept a new one") from error


def write_golden(path: Path, golden: Golden) -> None:
    """Write a golden.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    write_bytes(path, golden_text(golden).encode())


def keep_texts(before: Mapping[str, Number], after: Mapping[str, Number]) -> dict[str, Number]:
    """Return the numbers `after`, but as they stood `before` where they moved by less than a tenth of their tolerance.

    So the difference between two goldens shows what a change of the program moved, not the noise that came with it.
    What stays is what was accepted, so that many small steps do not add up.
    """
    return {name: _kept(before[name], new) if name in before else new for name, new in after.items()}


def _kept(old: Number, new: Number) -> Number:
    step = _UNMOVED * old.tolerance
    same_rule = old.reason == new.reason and abs(new.tolerance - old.tolerance) <= step
    return old if same_rule and replace(old, tolerance=step).holds(new.value) else new


def golden_text(golden: Golden) -> str:
    """Return the JSON form: keys sorted, one item a line, so that a change shows as the lines that changed."""
    values = asdict(golden)
    used = {number.reason for number in golden.numbers.values()}
    values["reasons"] = {key: text for key, text in REASONS.items() if key in used}
    return _render(values, 0) + "\n"


def _render(value: Any, depth: int) -> str:
    """Return JSON with containers on one line where they hold only scalars and are short."""
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    items = sorted(value.items()) if isinstance(value, dict) else [("", item) for item in value]
    line = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if depth > 1 and len(line) < _WIDTH and not any(isinstance(item, dict | list) for _, item in items):
        return line
    indent = " " * (depth + 1)
    keys = [f"{json.dumps(key, ensure_ascii=False)}: " if isinstance(value, dict) else "" for key, _ in items]
    lines = [f"{indent}{key}{_render(item, depth + 1)}" for key, (_, item) in zip(keys, items, strict=True)]
    left, right = "{}" if isinstance(value, dict) else "[]"
    return f"{left}\n" + ",\n".join(lines) + f"\n{' ' * depth}{right}"
