"""Read pickles that were found on disk without letting them run anything.

Only plain containers, numbers, texts and numpy arrays of plain numbers are admitted. Everything else that a
pickle can name (functions, classes) is refused before it is imported.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DamagedInputError, HscboxError, MissingInputError, UnsafeInputError

__all__ = ["dump_plain", "load_pickle", "loads_pickle"]

# Larger pickles are not what a kernel or a list of versions looks like.
_MAX_BYTES = 64 * 1024 * 1024
# Numbers and texts; structures and objects are nothing that a product needs.
_KINDS = "biufcSU"


class _Type:
    """Stand in for `numpy.dtype`, whose own state could turn numbers into pointers."""

    def __init__(self, name: str, *rest: object) -> None:
        del rest
        dtype = np.dtype(str(name))
        if dtype.kind not in _KINDS or not dtype.itemsize:
            raise pickle.UnpicklingError(f"arrays of type {name!r} are not admitted")
        self.dtype = dtype

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("arrays with fields are not admitted")
        order = state[1]
        if order == "<" or order == ">":
            self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray[Any, Any]):
    """Array that takes its content from a pickle only if it has the size it claims."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, kind, is_fortran, data = state[-4:]
        content = data.encode("latin-1") if isinstance(data, str) else bytes(memoryview(data))
        if math.prod(shape) * kind.dtype.itemsize != len(content):
            raise pickle.UnpicklingError(f"an array of shape {shape} has {len(content)} bytes")
        complete: Any = (1, tuple(shape), kind.dtype, bool(is_fortran), content)
        super().__setstate__(complete)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.view(np.ndarray).__reduce_ex__(protocol)


def _empty_array(subtype: object, shape: object, dtype: object) -> _Array:
    """Stand in for numpy's `_reconstruct`, which pickles call with (ndarray, (0,), b'b')."""
    del subtype, shape, dtype
    return _Array((0,), np.int8)


def _array_class(*arguments: object) -> object:
    """Stand in for `numpy.ndarray`, which pickles name and never call: it would allocate what they like."""
    raise UnsafeInputError(f"A pickle calls numpy.ndarray with {len(arguments)} arguments")


def _bytearray(data: bytes | str = b"", encoding: str = "latin-1") -> bytearray:
    """Stand in for `bytearray`, to which a number would be a size."""
    return bytearray(_encode(data, encoding) if isinstance(data, str) else memoryview(data))


def _no_bytes() -> bytes:
    """Stand in for `bytes`, which protocol 2 calls without arguments."""
    return b""


def _scalar(kind: _Type, data: bytes) -> object:
    return np.frombuffer(data, dtype=kind.dtype, count=1)[0]


def _from_buffer(data: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> object:
    return np.frombuffer(data, dtype=kind.dtype).reshape(shape, order="F" if order == "F" else "C").copy()


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
    ("numpy", "ndarray"): _array_class,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("builtins", "bytearray"): _bytearray,
    ("__builtin__", "bytearray"): _bytearray,
    ("__builtin__", "bytes"): _no_bytes,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("lsst.base.packages", "Packages"): _PackagesState,
}
for _module in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_module}.multiarray", "_reconstruct"] = _empty_array
    _ADMITTED[f"{_module}.multiarray", "scalar"] = _scalar
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
        return _settle(_Reader(io.BytesIO(data), encoding="latin1").load())
    except HscboxError as error:
        raise UnsafeInputError(f"{source}: {error.message}", remedy="Do not use this file") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DamagedInputError(f"{source} is not a readable pickle ({type(error).__name__}: {error})") from error


def _settle(value: object) -> object:
    """Return the dictionary of versions if the pickle held the stack's own object, a plain array for ours."""
    if isinstance(value, _PackagesState):
        return dict(value.get("_packages", value))
    return value.view(np.ndarray) if isinstance(value, _Array) else value


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
