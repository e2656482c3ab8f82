"""TOML files held against pydantic models: every key is known, every value is checked, every complaint names both."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Strict, ValidationError
from pydantic_core import ErrorDetails

from ..errors import ConfigError

__all__ = ["Line", "Listed", "TomlModel", "toml_values", "validated"]

T = TypeVar("T")
M = TypeVar("M", bound="TomlModel")

_LONGEST = 100
# What pydantic calls otherwise than people who write TOML.
_WORDS = {
    "model_type": "it must be a table",
    "dict_type": "it must be a table",
    "tuple_type": "it must be a list",
    "string_type": "it must be a text",
    "int_type": "it must be a whole number",
}


class TomlModel(BaseModel):
    """A table of a TOML file: unknown keys are errors, and no value is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must be a text of one line")
    return text


Line = Annotated[str, AfterValidator(_line)]
"""A text of one line."""

Listed = Annotated[tuple[T, ...], Strict(False)]
"""A list, kept as a tuple."""


def toml_values(text: str, file: str) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    ConfigError
        It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}", remedy="Mend that line") from error


def validated(model: type[M], values: Mapping[str, Any], file: str, **others: object) -> M:
    """Return what the content of a TOML file stands for.

    Parameters
    ----------
    file
        Its name, for messages.
    others
        Fields of the model that are no keys of the file, such as its name.

    Raises
    ------
    ConfigError
        One line for each fault: file, key, value and what is allowed; for an unknown key also the one it resembles.
    """
    faults = [_unknown(model, (key,), others) for key in values if key in others]
    try:
        result = model(**{**values, **others})
    except ValidationError as error:
        faults += [_fault(model, detail, others) for detail in error.errors()]
    if faults:
        raise ConfigError("\n".join(f"{file}: {fault}" for fault in faults))
    return result


def _fault(model: type[TomlModel], detail: ErrorDetails, others: Mapping[str, object]) -> str:
    place = [str(part) for part in detail["loc"] if part != "[key]"]
    name, value, kind = ".".join(place), detail["input"], detail["type"]
    if kind == "extra_forbidden":
        return _unknown(model, place, others)
    if kind == "missing":
        return f"'{name}' is missing"
    allowed = _WORDS.get(kind) or re.sub(r"^\w+ should", "it must", detail["msg"].removeprefix("Value error, "))
    if isinstance(value, Mapping | TomlModel):
        return f"'{name}': {allowed}" if name else allowed
    shown = repr(value)
    return f"'{name}' is {shown if len(shown) <= _LONGEST else f'{shown[:_LONGEST]}...'}, {allowed}"


def _unknown(model: type[TomlModel], place: Sequence[str], others: Mapping[str, object]) -> str:
    *tables, key = place
    kind: Any = model
    for table in tables:
        kind = _inside(kind, table)
    known = [name for name in kind.model_fields if tables or name not in others]
    near = difflib.get_close_matches(key, known, n=1)
    table = "".join(f"{part}." for part in tables)
    hint = f"did you mean '{table}{near[0]}'? Allowed" if near else "allowed"
    return f"unknown key '{table}{key}'; {hint} are {', '.join(known)}"


def _inside(kind: Any, part: str) -> Any:
    """Return the type of a part of a model, table of tables or list."""
    if isinstance(kind, type) and issubclass(kind, TomlModel):
        inner = kind.model_fields[part].annotation
    else:
        inner = get_args(kind)[get_origin(kind) is dict]
    while get_origin(inner) in {Annotated, Union, UnionType}:
        inner = get_args(inner)[0]
    return inner
