"""Read pickles that were found on disk without letting them run anything.

Only plain containers, numbers, texts and numpy arrays of plain numbers are admitted. Everything else that a
pickle can name (functions, classes) is refused before it is imported.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DamagedInputError, HscboxError, MissingInputError, UnsafeInputError

__all__ = ["dump_plain", "load_pickle", "loads_pickle"]

# Larger pickles are not what a kernel or a list of versions looks like.
_MAX_BYTES = 64 * 1024 * 1024


def _empty_array(subtype: object, shape: object, dtype: object) -> np.ndarray[Any, Any]:
    """Stand in for numpy's `_reconstruct`, which pickles call with (ndarray, (0,), b'b')."""
    del subtype, shape, dtype
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _plain_dtype(*arguments: object) -> np.dtype[Any]:
    dtype = np.dtype(arguments[0])  # type: ignore[call-overload]
    if dtype.hasobject:
        raise pickle.UnpicklingError("arrays of objects are not admitted")
    return dtype  # type: ignore[no-any-return]


def _plain_scalar(dtype: np.dtype[Any], data: bytes) -> object:
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def _from_buffer(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> object:
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if order == "F" else "C").copy()


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for `_codecs.encode`, by which protocol 2 writes bytes."""
    if encoding not in {"latin1", "latin-1"}:
        raise pickle.UnpicklingError(f"text encoding {encoding!r} is not admitted")
    return text.encode("latin-1")


class _PackagesState(dict[str, Any]):
    """Stand in for the stack's `Packages` object: only its state is kept."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.update(state)


_ADMITTED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _plain_dtype,
    ("_codecs", "encode"): _encode,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("builtins", "bytearray"): bytearray,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("lsst.base.packages", "Packages"): _PackagesState,
}
for _module in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_module}.multiarray", "_reconstruct"] = _empty_array
    _ADMITTED[f"{_module}.multiarray", "scalar"] = _plain_scalar
    _ADMITTED[f"{_module}.numeric", "_frombuffer"] = _from_buffer


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> object:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise UnsafeInputError(
                f"A pickle asks for {module}.{name}; only plain containers and numpy arrays are admitted"
            ) from None

    def persistent_load(self, pid: object, /) -> object:
        raise UnsafeInputError(f"A pickle refers to an outside object ({pid!r})")


def loads_pickle(data: bytes, source: str) -> object:
    """Read the pickle in `data`; `source` names it in errors.

    Raises
    ------
    UnsafeInputError
        It names anything else than plain containers and numpy arrays.
    DamagedInputError
        It is no pickle.
    """
    try:
        value = _Reader(io.BytesIO(data), encoding="latin1").load()
    except HscboxError as error:
        raise UnsafeInputError(f"{source}: {error.message}", remedy="Do not use this file") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DamagedInputError(f"{source} is not a readable pickle ({type(error).__name__}: {error})") from error
    return _settle(value)


def _settle(value: object) -> object:
    """Return the dictionary of versions if the pickle held the stack's own object."""
    if isinstance(value, _PackagesState):
        return dict(value.get("_packages", value))
    return value


def load_pickle(path: Path | str) -> object:
    """Read a pickle file under the same restrictions.

    Raises
    ------
    MissingInputError
        The file cannot be read.
    UnsafeInputError, DamagedInputError
        As `loads_pickle`, or the file is larger than 64 MiB.
    """
    file = Path(path)
    try:
        size = file.stat().st_size
        if size > _MAX_BYTES:
            raise UnsafeInputError(f"{file} has {size} bytes; pickles up to {_MAX_BYTES} bytes are read")
        data = file.read_bytes()
    except OSError as error:
        raise MissingInputError(f"Cannot read {file}: {error.strerror or error}") from error
    return loads_pickle(data, str(file))


def dump_plain(value: object) -> bytes:
    """Pickle plain containers or an array; refuse what `loads_pickle` would not read back."""
    data = pickle.dumps(value, protocol=4)
    loads_pickle(data, "the object to write")
    return data
