"""Data ids: what names an exposure or a file, and the `--id` syntax that users type.

`visit=1^5^9 ccd=1..5:2` means the cross product of the values, the last key varying fastest.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args, get_type_hints

from ..camera.translate import RawRecord
from ..errors import UsageError

__all__ = [
    "EXPOSURE_KEYS",
    "KEY_TYPES",
    "DataId",
    "cast_value",
    "format_data_id",
    "parse_ids",
    "parse_one_id",
    "suggestion",
]

DataId = dict[str, int | str | float]

_HINTS = {name: hint for name, hint in get_type_hints(RawRecord).items() if name != "notes"}

# Columns of the raw registry (without the row number) with the type that their values have in a data id.
KEY_TYPES: dict[str, type] = {name: (*get_args(hint), hint)[0] for name, hint in _HINTS.items()}

# The keys of a complete exposure id, in the order in which they are printed.
EXPOSURE_KEYS = ("field", "dateObs", "pointing", "filter", "visit", "ccd", "taiObs", "expTime")

# More ids than this are a typing error (all frames that HSC took until 2024 are about two million).
MAX_IDS = 3_000_000

_RANGE = re.compile(r"(\d+)\.\.(\d+)(?::(\d+))?")
_INT64_MAX = 2**63 - 1


def suggestion(word: str, choices: Iterable[str]) -> str:
    """Return `Did you mean '...'?` for the choice closest to `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f"Did you mean '{close[0]}'?" if close else ""


def cast_value(key: str, value: object, key_types: Mapping[str, type] = KEY_TYPES) -> int | str | float:
    """Convert one value of a data id to the type of its key.

    Raises
    ------
    UsageError
        The key is unknown or the value cannot be converted.
    """
    if key not in key_types:
        raise UsageError(
            f"Unknown data id key '{key}'; allowed are {', '.join(key_types)}",
            remedy=suggestion(key, key_types),
        )
    wanted = key_types[key]
    try:
        if wanted is int:
            number = _to_int(value)
            if abs(number) > _INT64_MAX:
                raise ValueError("too large")
            return number
        if wanted is float:
            return float(str(value))
        return str(value)
    except (ValueError, TypeError):
        noun = "a whole number" if wanted is int else "a number"
        raise UsageError(
            f"Bad value for data id key '{key}': {value!r}; it must be {noun}",
            remedy="Allowed forms are 5, 1^5^9 and, for whole numbers, 1..9 or 1..9:2",
        ) from None


def _to_int(value: object) -> int:
    text = str(value)
    # int() itself would take "1_000" and " 5 "; a float such as 55.0 is no whole number to a registry.
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        raise ValueError(text)
    return int(text)


def parse_one_id(tokens: Sequence[str]) -> dict[str, list[int | str | float]]:
    """Parse the words after one `--id` into the list of values of each key.

    Raises
    ------
    UsageError
        A word is not `key=value`, a key is unknown or comes twice, or a value is not of the key's type.
    """
    values: dict[str, list[int | str | float]] = {}
    for token in tokens:
        key, equals, text = token.partition("=")
        if not equals or not key or not text:
            raise UsageError(
                f"Bad data id '{token}'; it must have the form key=value", remedy="Example: --id visit=40984 ccd=55"
            )
        if key in values:
            raise UsageError(
                f"Data id key '{key}' is given twice in one --id",
                remedy=f"Join the values: {key}=A^B, or use a second --id",
            )
        if key not in KEY_TYPES:
            cast_value(key, text)
        values[key] = list(_values_of(key, text))
    return values


def _values_of(key: str, text: str) -> Iterable[int | str | float]:
    parts: list[int | str | float] = []
    for part in text.split("^"):
        matched = _RANGE.fullmatch(part) if KEY_TYPES[key] is int else None
        if matched is None:
            if not part:
                raise UsageError(f"Empty value in '{key}={text}'", remedy="Allowed are 5, 1^5^9, 1..9 and 1..9:2")
            parts.append(cast_value(key, part))
            continue
        first, last = (int(cast_value(key, bound)) for bound in matched.group(1, 2))
        step = int(cast_value(key, matched.group(3) or "1"))
        if step == 0 or last < first:
            raise UsageError(
                f"Empty range in '{key}={part}'; the first number must not exceed the last and the step not be 0",
                remedy=f"Write {key}={min(first, last)}..{max(first, last)}",
            )
        values = range(first, last + 1, step)
        if len(values) > MAX_IDS:
            raise UsageError(f"Range '{key}={part}' has {len(values)} values; at most {MAX_IDS} are allowed")
        parts.extend(values)
    return dict.fromkeys(parts)


def parse_ids(ids: Iterable[Sequence[str]]) -> list[DataId]:
    """Expand every `--id` into data ids: cross product with the last key fastest, duplicates removed.

    Parameters
    ----------
    ids
        For each `--id` on the command line the words after it. An `--id` without words gives the empty data
        id, which stands for everything in the registry.

    Raises
    ------
    UsageError
        As `parse_one_id`, or the product has too many members.
    """
    unique: dict[tuple[tuple[str, int | str | float], ...], DataId] = {}
    for tokens in ids:
        values = parse_one_id(tokens)
        size = math.prod(map(len, values.values()))
        if size > MAX_IDS:
            raise UsageError(f"'--id {' '.join(tokens)}' stands for {size} data ids; at most {MAX_IDS} are allowed")
        for combination in itertools.product(*values.values()):
            data_id: DataId = dict(zip(values, combination, strict=True))
            unique.setdefault(tuple(sorted(data_id.items())), data_id)
    return list(unique.values())


def format_data_id(data_id: Mapping[str, object]) -> str:
    """Return a data id as users type it: `visit=40984 ccd=55`."""
    return " ".join(f"{key}={value}" for key, value in data_id.items())
