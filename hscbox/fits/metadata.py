"""An ordered mapping of header keywords to values, as exposures carry them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping

__all__ = ["CardValue", "Metadata"]

CardScalar = bool | int | float | str
CardValue = CardScalar | list[CardScalar]


class Metadata(MutableMapping[str, CardValue]):
    """Header keywords in file order, with optional comments.

    A list stands for several cards with one keyword. Equality compares keywords, values and their order, not the
    comments.
    """

    def __init__(self, values: Mapping[str, CardValue] | None = None) -> None:
        self._values: dict[str, CardValue] = {}
        self._comments: dict[str, str] = {}
        if isinstance(values, Metadata):
            self._comments.update(values._comments)
        for key, value in (values or {}).items():
            self[key] = value

    def __getitem__(self, key: str) -> CardValue:
        return self._values[key]

    def __setitem__(self, key: str, value: CardValue) -> None:
        self._values[key] = list(value) if isinstance(value, list) else value

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._comments.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Metadata):
            return NotImplemented
        return list(self._values.items()) == list(other._values.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Metadata({self._values!r})"

    def set(self, key: str, value: CardValue, comment: str = "") -> None:
        """Set a value together with its comment; an empty comment leaves an earlier one."""
        self[key] = value
        if comment:
            self._comments[key] = comment

    def add(self, key: str, value: CardScalar, comment: str = "") -> None:
        """Append a value to those that the key already has; the comment counts with the first."""
        if key not in self._values:
            self.set(key, value, comment)
            return
        present = self._values[key]
        self._values[key] = [*present, value] if isinstance(present, list) else [present, value]

    def comment(self, key: str) -> str:
        """Return the comment of a key, "" if it has none."""
        return self._comments.get(key, "")

    def without(self, drop: Callable[[str], bool]) -> Metadata:
        """Return an independent copy without the keys of which `drop` says so."""
        result = self.copy()
        for key in filter(drop, self):
            del result[key]
        return result

    def copy(self) -> Metadata:
        """Return an independent copy, comments included."""
        return Metadata(self)
