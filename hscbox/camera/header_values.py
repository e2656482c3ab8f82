"""Read values out of headers that may be incomplete, ill-typed or hostile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NoReturn

from ..errors import InputError

__all__ = ["number", "refuse", "shown", "text", "whole_number"]

Header = Mapping[str, object]


def text(header: Header, keyword: str) -> str | None:
    """Return the value as text without surrounding blanks; None if it is absent, undefined or blank."""
    value = header.get(keyword)
    return (str(value).strip() or None) if value is not None else None


def number(header: Header, keyword: str) -> float | None:
    """Return the value as a finite number; headers of 2013 store some as strings. None if it is not one."""
    value = header.get(keyword)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    # Python's float() would also take "1_0".
    if isinstance(value, str) and "_" in value:
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def whole_number(header: Header, keyword: str) -> int | None:
    """Return the value as a whole number; None if it is not one."""
    value = number(header, keyword)
    return int(value) if value is not None and value == int(value) else None


def shown(value: object) -> str:
    """Return a header value fit for a message: quoted, control characters escaped, not endless."""
    written = ascii(value)
    return written if len(written) <= 80 else written[:77] + "..."


def refuse(
    error: type[InputError], filename: object, keyword: str, value: object, problem: str, remedy: str
) -> NoReturn:
    """Raise `error`: file, keyword, value, what is wrong with it, what to do."""
    what = f"{keyword} is missing" if value is None else f"{keyword} = {shown(value)}"
    raise error(f"{filename}: {what}: {problem}", remedy=remedy, file=str(filename), keyword=keyword, value=value)
