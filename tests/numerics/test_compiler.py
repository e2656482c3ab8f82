"""Where compiled loops are kept, and that no place at all stops a run."""

from __future__ import annotations

import importlib.util
import os
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
        jit._source_digest.cache_clear()
        jit._holds_compiled_code.cache_clear()
        spec = importlib.util.spec_from_file_location("loops", path)
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return load


@pytest.mark.parametrize("given", [False, True])
def test_another_text_of_a_called_function_in_another_file_is_compiled_anew(
    given: bool, module: Callable[[], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(tmp_path / "given") if given else "")
    room = tmp_path / "others/room"
    room.mkdir(parents=True)
    monkeypatch.setattr(jit, "_PACKAGE", room.parent)
    hits = []
    for text in ("@njit\ndef called(): ...", "@njit\ndef called(): return 1"):
        (room / "called.py").write_text(text)
        jit._rooms_digest.cache_clear()
        for _ in range(2):
            function = module().twice
            function(2.0)
            hits.append(_hits(function))
    jit._rooms_digest.cache_clear()
    assert hits == [0, 1, 0, 1]
    assert (tmp_path / "given").exists() == given


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
