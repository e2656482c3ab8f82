"""Configuration overrides: from files that are parsed but never executed, and from the command line.

A file of the 2017 stack is Python. What such files need in practice is literal assignment; exactly that is
understood here, and anything else is refused with its line.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsst.pex.config import Config, ConfigurableField

from ..errors import ConfigError, MissingInputError

__all__ = ["apply_assignment", "apply_file", "apply_text"]

_ROOTS = {"config", "root"}
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "+inf": math.inf}


def apply_file(config: Config, path: Path | str) -> None:
    """Apply the assignments of a configuration file to `config`.

    Raises
    ------
    MissingInputError
        The file cannot be read.
    ConfigError
        The file holds anything but imports, the type assertion and literal assignments, or a field is unknown or
        refuses its value.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingInputError(f"Cannot read configuration file {path}: {error}") from error
    apply_text(config, text, str(path))


def apply_text(config: Config, text: str, filename: str) -> None:
    """Apply the assignments in `text`; `filename` names it in errors. Raises as `apply_file`."""
    try:
        tree = ast.parse(text, filename)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", 0)
        raise ConfigError(f"{filename}:{line}: not valid Python: {error}") from error
    for statement in tree.body:
        with _named(f"{filename}:{statement.lineno}"):
            _apply_statement(config, statement)


def _apply_statement(config: Config, statement: ast.stmt) -> None:
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assert | ast.Pass) or _is_docstring(statement):
        return
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        _set(config, _path(statement.targets[0]), _literal(statement.value))
    elif isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.BitOr):
        steps = _path(statement.target)
        current = list(_walk(config, steps))
        _set(config, steps, current + [item for item in _literal(statement.value) if item not in current])
    else:
        raise ConfigError(
            f"only literal assignments to 'config' are allowed, found: {ast.unparse(statement)[:80]}",
            remedy="Configuration files are parsed, never executed: write config.<name> = <literal>",
        )


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Say where an assignment is at fault; whatever it runs into inside of the configuration classes is its fault."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", remedy=error.remedy) from error
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError, MemoryError) as error:
        # What pex_config says up to where it points into its own source.
        reason = " ".join(str(error).partition("For more information")[0].split())
        raise ConfigError(f"{where}: {reason or type(error).__name__}") from error


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _literal(node: ast.expr) -> Any:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "float"
        and len(node.args) == 1
        and not node.keywords
    ):
        argument = _literal(node.args[0])
        if isinstance(argument, str) and argument.lower() in _FLOATS:
            return _FLOATS[argument.lower()]
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ConfigError(
            f"not a literal value: {ast.unparse(node)[:80]}",
            remedy="Write numbers, strings, True, False, None, lists or dicts",
        ) from error


def _path(node: ast.expr) -> list[str | tuple[str]]:
    """Return the steps of a target: names for attributes, one-element tuples for keys."""
    if isinstance(node, ast.Attribute):
        return [*_path(node.value), node.attr]
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return [*_path(node.value), (node.slice.value,)]
    if isinstance(node, ast.Name) and node.id in _ROOTS:
        return []
    raise ConfigError(f"not a configuration field: {ast.unparse(node)[:80]}")


def _walk(config: Config, steps: list[str | tuple[str]]) -> Any:
    """Follow all steps; a key that names the only alternative of a former registry is the thing itself."""
    current: Any = config
    for step in steps:
        if isinstance(step, tuple):
            if isinstance(current, Config):
                only = getattr(current, "name", step[0])
                if only != step[0]:
                    raise ConfigError(f"there is no alternative '{step[0]}' here, only '{only}'")
                continue
            current = current[step[0]]
        elif step == "active" and isinstance(current, Config) and "active" not in current:
            continue
        else:
            current = _attribute(current, step)
    return current


def _attribute(current: Any, name: str) -> Any:
    if isinstance(current, Config) and name not in current:
        close = ", ".join(sorted(current)[:30])
        raise ConfigError(f"no config field '{name}'", remedy=f"Fields here: {close}")
    try:
        return getattr(current, name)
    except AttributeError as error:
        raise ConfigError(f"no config field '{name}'") from error


def _set(config: Config, steps: list[str | tuple[str]], value: Any) -> None:
    if not steps:
        raise ConfigError("'config' itself cannot be replaced")
    owner, last = _walk(config, steps[:-1]), steps[-1]
    if isinstance(last, tuple):
        owner[last[0]] = value
    else:
        _attribute(owner, last)
        setattr(owner, last, list(value) if isinstance(value, tuple) else value)


def apply_assignment(config: Config, text: str) -> None:
    """Apply one ``name=value`` of the command line.

    The value is read as a Python literal if it is one; a list field takes ``a,b,c``; anything else is the text
    itself if the field holds strings. ``None`` empties an optional field.

    Raises
    ------
    ConfigError
        The form is wrong, the field is unknown, or it refuses the value.
    """
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ConfigError(f"Cannot parse override '{text}'", remedy="Use -c name=value, for example isr.doBias=False")
    with _named(f"-c {text}"):
        steps = _path_of_name(name)
        _set(config, steps, _typed(value, *_field_kind(config, steps)))


def _path_of_name(name: str) -> list[str | tuple[str]]:
    try:
        return _path(ast.parse(f"config.{name}", mode="eval").body)
    except (SyntaxError, ConfigError) as error:
        raise ConfigError(f"'{name}' is not a field name") from error


def _field_kind(config: Config, steps: list[str | tuple[str]]) -> tuple[type, bool]:
    """Return the element type of a field and whether it is a list."""
    owner, last = _walk(config, steps[:-1]), steps[-1]
    if isinstance(last, tuple):
        return object, False
    _attribute(owner, last)
    field = owner._fields.get(last) if isinstance(owner, Config) else None
    if field is None or isinstance(field, ConfigurableField):
        return object, False
    item = getattr(field, "itemtype", None) or getattr(field, "itemType", None)
    return (item, True) if item is not None and not hasattr(field, "keytype") else (field.dtype, False)


def _typed(value: str, kind: type, is_list: bool) -> Any:
    try:
        literal = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        literal = _NOT_LITERAL
    if is_list:
        if isinstance(literal, list | tuple):
            return list(literal)
        return [_typed(part.strip(), kind, False) for part in value.split(",") if part.strip()]
    if kind is str:
        return literal if isinstance(literal, str) or value == "None" else value
    if literal is _NOT_LITERAL:
        if value.lower() in _FLOATS and kind is float:
            return _FLOATS[value.lower()]
        raise ConfigError(f"cannot read '{value}' as {kind.__name__}")
    if kind is float and isinstance(literal, int) and not isinstance(literal, bool):
        return float(literal)
    return literal


_NOT_LITERAL = object()
