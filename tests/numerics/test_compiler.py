"""Where compiled loops are kept, and that no place at all stops a run."""

from __future__ import annotations

import collections
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from numba.core import caching

from hscbox.numerics import compiler as jit

SOURCE = """
from hscbox.numerics.compiler import njit

@njit
def twice(x):
    return 2.0 * x
"""


@pytest.fixture
def module(tmp_path: Path) -> Callable[[], ModuleType]:
    """Return a function that imports the same source anew, as a new process would."""
    path = tmp_path / "package" / "loops.py"
    path.parent.mkdir()
    path.write_text(SOURCE)

    def load() -> ModuleType:
        jit._holds_compiled_code.cache_clear()
        spec = importlib.util.spec_from_file_location("loops", path)
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return load


CALLED = """
from hscbox.numerics.compiler import njit

FACTOR = 2.0

@njit
def inner(x):
    return FACTOR * x

@njit
def outer(x):
    return inner(x) + 1.0
"""
CALLER = """
from hscbox.numerics.compiler import njit
from called import outer

@njit
def caller(x):
    \"\"\"Call a loop of another file.\"\"\"
    return 10.0 * outer(x)

@njit
def alone(x):
    return x - 1.0
"""


@pytest.fixture
def two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, tuple[float, int]]]:
    """Return a function that gives, for two files of loops, each loop's value at 3 and its hits in the cache."""
    monkeypatch.syspath_prepend(str(tmp_path))
    # A file that is changed within a second has the same time for Python's own cache of bytecode.
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    def run(called: str, caller: str) -> dict[str, tuple[float, int]]:
        (tmp_path / "called.py").write_text(called)
        (tmp_path / "caller.py").write_text(caller)
        importlib.invalidate_caches()
        modules = []
        for name in ("called", "caller"):
            sys.modules.pop(name, None)
            modules.append(importlib.import_module(name))
        loops = {name: getattr(modules[0], name) for name in ("inner", "outer")}
        loops |= {name: getattr(modules[1], name) for name in ("alone", "caller")}
        return {name: (loop(3.0), _hits(loop)) for name, loop in loops.items()}

    yield run
    for name in ("called", "caller"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("given", [False, True])
def test_a_change_recompiles_what_reaches_it_and_nothing_else(
    given: bool, two_files: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(tmp_path / "given") if given else "")
    fresh = {"inner": (6.0, 0), "outer": (7.0, 0), "alone": (2.0, 0), "caller": (70.0, 0)}
    assert two_files(CALLED, CALLER) == fresh
    kept = {name: (value, 1) for name, (value, _) in fresh.items()}
    assert two_files(CALLED, CALLER) == kept
    changed = {"inner": (9.0, 0), "outer": (10.0, 0), "alone": (2.0, 1), "caller": (100.0, 0)}
    assert two_files(CALLED.replace("FACTOR = 2.0", "FACTOR = 3.0"), CALLER) == changed
    assert two_files(CALLED.replace("FACTOR * x", "3.0 * x"), CALLER) == changed
    assert (tmp_path / "given").exists() == given


def test_words_and_lines_that_are_not_compiled_recompile_nothing(two_files: Callable[..., Any]) -> None:
    before = two_files(CALLED, CALLER)
    told = CALLER.replace("another file.", "another  file.  ").replace(
        "@njit\ndef alone", "\n# More.\n@njit\ndef alone"
    )
    remarks = CALLED.replace("return inner", "# The one above.\n    return inner").replace(
        "FACTOR =", "OTHER = 1\nFACTOR ="
    )
    assert two_files(remarks, told) == {name: (value, 1) for name, (value, _) in before.items()}


def _refuse(self: Any) -> None:
    raise PermissionError("read-only")


def _hits(function: Any) -> int:
    return sum(function.stats.cache_hits.values())


def test_compiled_once(module: Callable[[], ModuleType], tmp_path: Path) -> None:
    first, second = module().twice, module().twice
    assert first(2.0) == second(2.0) == 4.0
    assert (_hits(first), _hits(second)) == (0, 1)
    assert [path.suffix for path in sorted((tmp_path / "package/__pycache__").glob("loops.twice*"))] == [".nbc", ".nbi"]


def test_another_time_of_change_keeps_the_cache_and_another_text_does_not(
    module: Callable[[], ModuleType], tmp_path: Path
) -> None:
    module().twice(2.0)
    path = tmp_path / "package/loops.py"
    os.utime(path, (0, 0))
    touched = module().twice
    assert touched(2.0) == 4.0 and _hits(touched) == 1
    path.write_text(SOURCE.replace("2.0 * x", "3.0 * x"))
    changed = module().twice
    assert changed(2.0) == 6.0 and _hits(changed) == 0


def test_a_cache_that_can_only_be_read_is_used(
    module: Callable[[], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module().twice(2.0)
    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", _refuse)
    before = sorted(tmp_path.rglob("*"))
    function = module().twice
    assert function(2.0) == 4.0 and _hits(function) == 1
    # Another type has to be compiled; the result is not kept anywhere.
    assert function(2) == 4.0
    assert sorted(tmp_path.rglob("*")) == before


def test_no_place_for_a_cache_compiles_every_time(
    module: Callable[[], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", _refuse)
    assert module().twice(2.0) == module().twice(2.0) == 4.0
    assert not list(tmp_path.rglob("*.nb?"))


def test_a_home_without_name_makes_no_directory_called_tilde(
    module: Callable[[], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jit._BesideSource, "from_function", classmethod(lambda cls, py_func, py_file: None))
    monkeypatch.setattr(caching, "AppDirs", lambda **names: type("Dirs", (), {"user_cache_dir": "~/.cache/numba"}))
    assert module().twice(2.0) == 4.0
    assert not (tmp_path / "~").exists()


def test_a_damaged_cache_is_compiled_anew(module: Callable[[], ModuleType], tmp_path: Path) -> None:
    module().twice(2.0)
    for path in (tmp_path / "package/__pycache__").glob("*.nb?"):
        path.write_bytes(b"")
    function = module().twice
    assert function(2.0) == 4.0 and _hits(function) == 0


def test_the_first_compilation_is_said_once(module: Callable[[], ModuleType], caplog: pytest.LogCaptureFixture) -> None:
    jit._announce.cache_clear()
    caplog.set_level("INFO", logger="hscbox.numerics.compiler")
    function = module().twice
    function(2.0), function(2)
    module().twice(2.0)
    assert len(caplog.records) == 1 and "Compiling loops" in caplog.text and "is kept in" in caplog.text


def test_that_nothing_is_kept_is_said(
    module: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module().twice(2.0)
    jit._announce.cache_clear()
    caplog.set_level("INFO", logger="hscbox.numerics.compiler")
    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", _refuse)
    module().twice(2)
    assert "the result is not kept, " in caplog.text


def test_the_order_of_the_fields_of_named_tuples_counts() -> None:
    def made(fields: str) -> Any:
        names = {"Pair": collections.namedtuple("Pair", fields)}
        exec("def function(x):\n    return Pair(x, 2.0).a", names)
        return names["function"]

    assert jit.reach_digest(made("a b")) == jit.reach_digest(made("a b")) != jit.reach_digest(made("b a"))


def test_a_loop_tells_for_which_types_it_is_kept(module: Callable[[], ModuleType]) -> None:
    first = module().twice
    first(2.0), first(2)
    assert [str(types) for types in module().twice._cache.signatures()] == ["(float64,)", "(int64,)"]
