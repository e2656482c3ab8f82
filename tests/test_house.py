"""Sizes that keep files and functions readable; the order of imports is checked by `make lint`."""

from __future__ import annotations

import ast
from pathlib import Path

import hscbox

PACKAGE = Path(hscbox.__file__).parent
FILES = {path.relative_to(PACKAGE): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


def test_no_file_is_longer_than_400_lines() -> None:
    assert not {str(path): n for path, text in FILES.items() if (n := len(text.splitlines())) > 400}


def test_no_function_is_longer_than_80_lines() -> None:
    long = {}
    for path, text in FILES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (lines := node.end_lineno - node.lineno + 1) > 80:
                long[f"{path}:{node.name}"] = lines
    assert not long
