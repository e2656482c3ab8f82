"""A table of a TOML file whose keys are taken one by one, so that unknown ones are found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigError

__all__ = ["Section"]


class Section:
    """Typed access to one table; every complaint names file and key.

    Parameters
    ----------
    file
        Name of the file, for messages.
    path
        Where the table is: "bands.g"; "" for the file as a whole.
    values
        What is in it.
    """

    def __init__(self, file: str, path: str, values: Mapping[str, Any]) -> None:
        self.file = file
        self.path = path
        self._values = values
        self._asked: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def names(self) -> list[str]:
        """Return the keys that are there."""
        return list(self._values)

    def wrong(self, problem: str, key: str = "") -> ConfigError:
        """Return the error for a problem with a key, or with the table."""
        where = ".".join(part for part in (self.path, key) if part)
        return ConfigError(
            f"Column map {self.file}: {where}: {problem}",
            remedy="The manual page of refcat explains the keys",
            key=where,
        )

    def finish(self) -> None:
        """Complain about keys that nobody asked for.

        Raises
        ------
        ConfigError
            There are some.
        """
        unknown = [key for key in self._values if key not in self._asked]
        if unknown:
            raise self.wrong(f"unknown key, allowed are {', '.join(sorted(self._asked))}", unknown[0])

    def _take(self, key: str, kind: type | tuple[type, ...], what: str) -> Any:
        self._asked[key] = None
        if key not in self._values:
            raise self.wrong(f"is missing; it must be {what}", key)
        value = self._values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(f"{value!r} is not {what}", key)
        return value

    def text(self, key: str, *, optional: bool = False) -> str:
        """Return a text; "" for an optional one that is not there."""
        self._asked[key] = None
        if optional and key not in self._values:
            return ""
        value: str = self._take(key, str, "a text")
        if not value.strip() or any(ord(letter) < 32 for letter in value):
            raise self.wrong(f"{value!r} is empty or has control characters", key)
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """Return a text that is one of some."""
        value = self.text(key)
        if value not in allowed:
            raise self.wrong(f"{value!r} is unknown, allowed are {', '.join(allowed)}", key)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number."""
        self._asked[key] = None
        if default is not None and key not in self._values:
            return default
        value = float(self._take(key, (int, float), "a number"))
        if not math.isfinite(value):
            raise self.wrong(f"{value!r} is not finite", key)
        return value

    def optional_number(self, key: str) -> float | None:
        """Return a finite number, None if it is not there."""
        self._asked[key] = None
        return self.number(key) if key in self._values else None

    def whole(self, key: str, low: int, high: int) -> int:
        """Return a whole number within bounds."""
        value: int = self._take(key, int, "a whole number")
        if not low <= value <= high:
            raise self.wrong(f"{value} is outside of {low} to {high}", key)
        return value

    def values(self, key: str) -> tuple[object, ...]:
        """Return a list of texts, numbers or truth values."""
        found = self._take(key, list, "a list")
        if not found or not all(isinstance(value, str | int | float) for value in found):
            raise self.wrong("must be a list of texts, numbers or true/false", key)
        return tuple(found)

    def section(self, key: str, *, optional: bool = False) -> Section:
        """Return a table within this one; an empty one for an optional one that is not there."""
        self._asked[key] = None
        if optional and key not in self._values:
            return Section(self.file, key, {})
        return self._inner(key, self._take(key, dict, "a table"))

    def sections(self, key: str) -> list[Section]:
        """Return a list of tables; an empty list if it is not there."""
        self._asked[key] = None
        if key not in self._values:
            return []
        found = self._take(key, list, "a list of tables")
        if not all(isinstance(part, dict) for part in found):
            raise self.wrong("must be a list of tables", key)
        return [self._inner(f"{key}.{number}", part) for number, part in enumerate(found)]

    def _inner(self, key: str, values: Mapping[str, Any]) -> Section:
        return Section(self.file, f"{self.path}.{key}" if self.path else key, values)
