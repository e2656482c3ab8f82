"""The `.boost` metadata file: Boost's text archive of a flat property set.

Grammar: archive header, number of items, then per item its name, type code and vector of values; strings carry
their length. Archive number 14 is that of Boost 1.60, which the 2017 stack used.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ..errors import DamagedInputError, MissingInputError
from ..machine.files import write_bytes
from ..task_metadata import TaskMetadata, Value

__all__ = ["read_boost", "write_boost"]

_HEADER = "22 serialization::archive 14 0 0 1 0\n0"
_MAGIC = b"22 serialization::archive "
_CODES = {str: ord("s"), float: ord("d"), int: ord("i"), bool: ord("b")}
_LONG = ord("x")
_INT32 = 2**31
_TOKEN = re.compile(rb"\s*(\S+)")


def write_boost(path: Path | str, metadata: TaskMetadata) -> None:
    """Write `metadata` to `path`; numbers that are not finite are left out, since Boost cannot read them back."""
    items = [
        (name, kept)
        for name, values in metadata.items.items()
        if (kept := [v for v in values if not isinstance(v, float) or math.isfinite(v)])
    ]
    parts = [_HEADER, str(len(items))]
    first_string = True
    for name, values in items:
        code = _code(values)
        parts += [_string(name), str(code)]
        if code == ord("s") and first_string:
            parts.append("0 0")
            first_string = False
        parts.append(str(len(values)))
        if code != ord("b"):
            parts.append("0")
        parts += [_value(value, code) for value in values]
    write_bytes(path, (" ".join(parts) + "\n").encode())


def _code(values: list[Value]) -> int:
    code = _CODES[type(values[0])]
    if code == ord("i") and any(abs(int(v)) >= _INT32 for v in values):
        return _LONG
    return code


def _string(text: str) -> str:
    return f"{len(text.encode())} {text}"


def _value(value: Value, code: int) -> str:
    if code == ord("s"):
        return _string(str(value))
    if code == ord("d"):
        return f"{value:.17e}"
    return str(int(value))


def read_boost(path: Path | str) -> TaskMetadata:
    """Read a property set written by `write_boost` or by the 2017 stack.

    Raises
    ------
    MissingInputError, DamagedInputError
        The file is not there, or does not follow the grammar.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
    if not data.startswith(_MAGIC):
        raise DamagedInputError(f"{path} is not a Boost text archive")
    try:
        return _Reader(data).read()
    except (ValueError, IndexError, KeyError) as error:
        raise DamagedInputError(f"{path} is a damaged Boost text archive: {error}") from error


class _Reader:
    """A cursor over the tokens of an archive."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = len(_MAGIC)
        self.seen_string = False

    def token(self) -> str:
        found = _TOKEN.match(self.data, self.position)
        if found is None:
            raise ValueError("unexpected end")
        self.position = found.end()
        return found[1].decode()

    def string(self) -> str:
        length = int(self.token())
        start = self.position + 1
        if start + length > len(self.data):
            raise ValueError("a string runs past the end")
        self.position = start + length
        return self.data[start : self.position].decode()

    def read(self) -> TaskMetadata:
        for _ in range(6):  # archive version, class information of the set and its base, object id
            self.token()
        metadata = TaskMetadata()
        for _ in range(int(self.token())):
            name, code = self.string(), int(self.token())
            metadata.items[name] = self.values(code)
        return metadata

    def values(self, code: int) -> list[Value]:
        if code == ord("s") and not self.seen_string:
            self.seen_string = True
            self.token(), self.token()
        count = int(self.token())
        if code != ord("b"):
            self.token()
        if code == ord("s"):
            return [self.string() for _ in range(count)]
        if code in (ord("d"), ord("f")):
            return [float(self.token()) for _ in range(count)]
        integers = [int(self.token()) for _ in range(count)]
        return [bool(v) for v in integers] if code == ord("b") else list(integers)
