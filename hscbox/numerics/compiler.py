"""Compilation of hot loops: the options that keep results reproducible, and where the compiled code is kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import caching

__all__ = ["njit"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parent
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


@functools.cache
def _source_digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes() + _rooms_digest()).hexdigest()


@functools.cache
def _rooms_digest() -> bytes:
    """Return a digest of all rooms with compiled loops: compiled code holds what it calls, also of other files."""
    sources = {path: path.read_bytes() for path in sorted(_PACKAGE.glob("*/**/*.py"))}
    rooms = {path.parent for path, text in sources.items() if b"@njit" in text}
    return hashlib.sha256(b"".join(text for path, text in sources.items() if path.parent in rooms)).digest()


@functools.cache
def _holds_compiled_code(directory: str) -> bool:
    return any(Path(directory).glob("*.nbi"))


class _Stamped:
    """What all places of compiled code have in common."""

    _py_file: str
    only_read = False

    def get_source_stamp(self) -> str:
        # numba's own stamp is that of one file.
        return _source_digest(self._py_file)


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

    def load_overload(self, sig: Any, target_context: Any) -> Any:
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
        try:
            super().save_overload(sig, data)
        except _TROUBLE as error:
            _log.debug("Compiled code of %s is not kept: %s", self._py_func.__qualname__, error)


@functools.cache
def _announce(directory: str, only_read: bool) -> None:
    fate = f"is not kept, {directory} can only be read" if only_read else f"is kept in {directory}"
    _log.info("Compiling loops, which takes about a minute in all; the result %s", fate)
