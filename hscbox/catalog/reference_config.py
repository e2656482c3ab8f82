"""The config.py of a reference catalogue: read as data, never executed."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ..errors import DamagedInputError, UnsafeInputError
from .htm import MAX_DEPTH

__all__ = ["ReferenceConfig", "format_reference_config", "parse_reference_config"]

_CLASS = "lsst.meas.algorithms.ingestIndexReferenceTask.DatasetConfig"
# The depth of files that do not state one, from the class that wrote them.
_DEFAULT_DEPTH = 8


@dataclass(frozen=True)
class ReferenceConfig:
    """What a reference catalogue says about itself.

    Parameters
    ----------
    name
        Name of the data set.
    depth
        Depth of the HTM mesh that its files are cut by.
    """

    name: str
    depth: int


def format_reference_config(config: ReferenceConfig) -> str:
    """Return the text of config.py, in the form that the LSST stack's configuration system loads."""
    module = _CLASS.rpartition(".")[0]
    return (
        f"import {module}\n"
        f"assert type(config)=={_CLASS}, 'config is of type %s.%s instead of {_CLASS}' "
        "% (type(config).__module__, type(config).__name__)\n"
        "# Name of the data set, also of its directory.\n"
        f"config.ref_dataset_name={config.name!r}\n\n"
        "# Depth of the HTM mesh; at depth 7 a trixel covers about 0.3 square degrees.\n"
        f"config.indexer['HTM'].depth={config.depth}\n\n"
        "config.indexer.name='HTM'\n"
    )


def parse_reference_config(text: str, source: str) -> ReferenceConfig:
    """Read the text of config.py.

    Imports, assertions and docstrings are passed over; assignments of literals to parts of ``config`` are
    taken.

    Parameters
    ----------
    source
        Name of the file, for messages.

    Raises
    ------
    UnsafeInputError
        There is any other statement.
    DamagedInputError
        It is not Python, or the mesh is not HTM, or its depth is impossible.
    """
    values = _assignments(text, source)
    indexer, depth = values.get("indexer.name", "HTM"), values.get("indexer['HTM'].depth", _DEFAULT_DEPTH)
    if indexer != "HTM":
        raise DamagedInputError(
            f"{source} cuts the catalogue by {indexer!r}; only 'HTM' is known",
            remedy="Use another reference catalogue",
        )
    if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth <= MAX_DEPTH:
        raise DamagedInputError(
            f"{source} states HTM depth {depth!r}; allowed are 0 to {MAX_DEPTH}", remedy="Correct the file"
        )
    return ReferenceConfig(str(values.get("ref_dataset_name", "")), depth)


def _assignments(text: str, source: str) -> dict[str, object]:
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DamagedInputError(f"{source} is not a configuration file: {error}", remedy="Fetch it again") from error
    values = {}
    for statement in statements:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(targets=[target], value=value) if ast.unparse(target).startswith("config."):
                values[ast.unparse(target).removeprefix("config.")] = _literal(value, source)
            case _:
                raise UnsafeInputError(
                    f"{source}:{statement.lineno}: only assignments of literals to parts of config are allowed",
                    remedy="The file is read as data and never executed; remove the statement",
                )
    return values


def _literal(node: ast.expr, source: str) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UnsafeInputError(
            f"{source}:{node.lineno}: {ast.unparse(node)[:60]!r} is not a literal",
            remedy="The file is read as data and never executed; write the value itself",
        ) from error
