"""Compilation of hot loops: the options that keep results reproducible, and where the compiled code is kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from types import CodeType, NoneType
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import caching
from numba.core.dispatcher import Dispatcher

__all__ = ["njit", "reach_digest"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_log = logging.getLogger(__name__)
# What a directory that cannot be used, or a file that another process cut short, raises.
_TROUBLE = (OSError, EOFError, pickle.UnpicklingError)


def njit(function: _Function) -> _Function:
    """Compile `function` with numba, cached on disk where that is possible.

    No fastmath: it lets the compiler reorder sums, so that results differ between processors. Division by zero
    gives inf or nan as in numpy.

    Compiled code is kept beside the source, else in the user's cache directory. A directory that cannot be written
    but holds compiled code, as in an image, is read and nothing is written anywhere. Where there is no place at
    all, every process compiles anew.
    """
    compiled: Any = numba.njit(error_model="numpy", nogil=True)(function)
    # numba.config.DISABLE_JIT gives the plain function.
    if compiled is not function:
        try:
            compiled._cache = _Cache(function)
        except RuntimeError as error:
            _log.debug("%s", error)
    result: _Function = compiled
    return result


def reach_digest(function: Callable[..., Any]) -> str:
    """Return the SHA-256 of all that the compiled form of a function depends on.

    That is the bytecode of the function and of the compiled functions it calls, wherever they stand, with the
    constants that these use. Comments, docstrings, type annotations and line numbers do not count.
    """
    return hashlib.sha256(repr(_reached(function, {})).encode()).hexdigest()


def _reached(function: Any, seen: dict[int, int]) -> object:
    if id(function) in seen:
        return seen[id(function)]
    seen[id(function)] = len(seen)
    code = function.__code__
    used = {name: function.__globals__[name] for name in sorted(_names(code)) if name in function.__globals__}
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    values = [*used.values(), *cells, *(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]
    return _instructions(code, function.__doc__), list(used), [_value(value, seen) for value in values]


def _names(code: CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _instructions(code: CodeType, doc: str | None = None) -> tuple[object, ...]:
    constants: list[object] = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            constants.append(_instructions(constant))
        elif isinstance(constant, frozenset):
            constants.append(sorted(map(repr, constant)))
        else:
            constants.append(None if constant == doc else constant)
    return (
        code.co_code,
        code.co_argcount,
        code.co_kwonlyargcount,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        constants,
    )


def _value(value: Any, seen: dict[int, int]) -> object:
    if isinstance(value, Dispatcher):
        return _reached(value.py_func, seen)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (tuple, list)):
        return [_value(item, seen) for item in value]
    if isinstance(value, (bool, int, float, complex, str, bytes, np.generic, NoneType)):
        return type(value).__name__, value
    if fields := getattr(value, "_fields", None):
        # A class of named tuples.
        return value.__qualname__, fields, repr(value._field_defaults)
    # A module, a type or a function of a library.
    return getattr(value, "__module__", ""), getattr(value, "__qualname__", getattr(value, "__name__", ""))


@functools.cache
def _holds_compiled_code(directory: str) -> bool:
    return any(Path(directory).glob("*.nbi"))


class _Stamped:
    """What all places of compiled code have in common."""

    only_read = False

    def get_source_stamp(self) -> str:
        # numba's own stamp is that of one file; ours is known when the functions that are called exist.
        return ""

    def get_disambiguator(self) -> str:
        # numba's own is the line number, which an unrelated line above would change.
        return "loop"


class _Given(_Stamped, caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """The directory that NUMBA_CACHE_DIR names."""


class _BesideSource(_Stamped, caching.InTreeCacheLocator):  # type: ignore[misc]
    """The source's __pycache__, also where it can only be read."""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _BesideSource | None:
        writable: _BesideSource | None = super().from_function(py_func, py_file)
        if writable is not None:
            return writable
        found = cls(py_func, py_file)
        found.only_read = True
        return found if _holds_compiled_code(found.get_cache_path()) else None


class _OfUser(_Stamped, caching.UserWideCacheLocator):  # type: ignore[misc]
    """The user's cache directory, if there is one."""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _OfUser | None:
        # A user id without home leaves "~" in the path, which would be made in the working directory.
        if not Path(cls(py_func, py_file).get_cache_path()).is_absolute():
            return None
        found: _OfUser | None = super().from_function(py_func, py_file)
        return found


class _Places(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Given, _BesideSource, _OfUser)


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    """A cache that never ends a run: what cannot be read is compiled, what cannot be written is not kept."""

    _impl_class = _Places

    def _stamp(self) -> None:
        if not self._cache_file._source_stamp:
            self._cache_file._source_stamp = reach_digest(self._py_func)

    def signatures(self) -> list[Any]:
        """Return the types of arguments that the function is kept compiled for."""
        self._stamp()
        return sorted({key[0] for key in self._cache_file._load_index()}, key=str)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        self._stamp()
        try:
            found = super().load_overload(sig, target_context)
        except _TROUBLE as error:
            _log.debug("Compiled code of %s cannot be read: %s", self._py_func.__qualname__, error)
            with contextlib.suppress(OSError):
                self.flush()
            found = None
        if found is None:
            _announce(self.cache_path, self._impl.locator.only_read)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        self._stamp()
        try:
            super().save_overload(sig, data)
        except _TROUBLE as error:
            _log.debug("Compiled code of %s is not kept: %s", self._py_func.__qualname__, error)


@functools.cache
def _announce(directory: str, only_read: bool) -> None:
    fate = f"is not kept, {directory} can only be read" if only_read else f"is kept in {directory}"
    _log.info("Compiling loops, which takes about a minute in all; the result %s", fate)
