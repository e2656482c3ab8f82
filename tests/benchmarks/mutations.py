"""Small changes of a source text: constants, operators, bounds of slices.

Annotations, decorators, errors, log messages, f-strings and `strict=` of zip are left alone: a test that knows them
tests nothing.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

# How an operator is written, and what takes its place.
_COMPARISONS = {
    ast.Lt: ("<", "<=", ">="), ast.LtE: ("<=", "<", ">"), ast.Gt: (">", ">=", "<="), ast.GtE: (">=", ">", "<"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.BitXor: ("^", "|"),
    ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"), ast.MatMult: ("@", "*"),
}  # fmt: skip
_LOG = {"debug", "info", "warning", "error"}
_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list"}


@dataclass(frozen=True)
class Change:
    """Bytes [start, end) of a file become `new`."""

    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Site:
    """A place where a file can be changed."""

    function: str
    line: int
    changes: tuple[Change, ...]


def sites(source: bytes) -> list[Site]:
    """Return the places of a source text, in its order."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node: ast.AST) -> tuple[int, int]:
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def swapped(left: ast.AST, right: ast.AST, old: str, new: str) -> Change:
        """Change the operator that stands between two operands."""
        first = span(left)[1]
        between = source[first : span(right)[0]].decode()
        start = first + len(between[: between.index(old)].encode())
        return Change(start, start + len(old), new)

    def changes(node: ast.AST) -> Iterator[tuple[Change, ...]]:
        match node:
            case ast.Constant(value=bool(value)):
                yield (Change(*span(node), repr(not value)),)
            case ast.Constant(value=int(value) | float(value)):
                others = (1, value + 1, 2 * value, 0 if isinstance(value, int) else 0.5 * value)
                yield tuple(
                    Change(*span(node), repr(n)) for n in dict.fromkeys(others if value else (1,)) if n != value
                )
            case ast.Compare(left=left, ops=ops, comparators=right):
                for a, op, b in zip([left, *right], ops, right, strict=False):
                    old, *others = _COMPARISONS[type(op)]
                    yield tuple(swapped(a, b, old, new) for new in others)
            case ast.BinOp(left=left, op=op, right=right):
                yield (swapped(left, right, *_ARITHMETIC[type(op)]),)
            case ast.AugAssign(target=target, op=op, value=value):
                old, new = _ARITHMETIC[type(op)]
                yield (swapped(target, value, old + "=", new + "="),)
            case ast.BoolOp(op=op, values=values):
                old, new = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
                for a, b in itertools.pairwise(values):
                    yield (swapped(a, b, old, new),)
            case ast.UnaryOp(op=op):
                start = span(node)[0]
                yield (Change(start, start + (3 if isinstance(op, ast.Not) else 1), " "),)
            case ast.Slice(lower=lower, upper=upper):
                for bound in (lower, upper):
                    if bound is not None and not isinstance(bound, ast.Constant):
                        yield (Change(span(bound)[1], span(bound)[1], " + 1"),)

    found: list[Site] = []

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr)) or (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOG
        ):
            return
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            function = f"{function}.{node.name}".lstrip(".")
        # A union of types at module level is no arithmetic.
        if function or not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
            found.extend(Site(function, node.lineno, each) for each in changes(node) if each)
        for field, value in ast.iter_fields(node):
            if field in _SKIPPED_FIELDS or (isinstance(node, ast.keyword) and node.arg == "strict"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, function)

    visit(ast.parse(source), "")
    return found


def lines_of_code(source: bytes) -> int:
    """Return the number of lines with code: no comments, docstrings or blanks."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.expr, ast.stmt))]
    return len({node.lineno for node in nodes if not (isinstance(node, ast.Constant) and isinstance(node.value, str))})
