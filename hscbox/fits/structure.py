"""What a FITS file is made of: headers of 80-character cards and data, both in whole blocks, and sums over them.

Sources: FITS standard 4.0, sections 3.3, 4.4.1 and appendix J.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.arrays import ByteArray

__all__ = ["BLOCK", "CARD_SIZE", "DTYPES", "PORTION", "array_sum", "data_size", "padding", "word_sum"]

CARD_SIZE = 80
BLOCK = 2880
DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""Types of stored numbers by BITPIX."""
PORTION = 1 << 18
"""Numbers that are swapped at once: they fit the cache."""
_MOST_AXES = 999


def padding(size: int) -> int:
    """Return how many bytes fill the last block after `size` bytes."""
    return -size % BLOCK


def data_size(header: Mapping[str, Any]) -> int:
    """Return how many bytes of data a header promises, without padding.

    Raises
    ------
    ValueError
        It has no or impossible numbers.
    """

    def size(keyword: str, default: int | None = None) -> int:
        value = header.get(keyword, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{keyword} = {value!r} is not a size")
        return value

    bitpix, axes = header.get("BITPIX"), size("NAXIS")
    if bitpix not in DTYPES:
        raise ValueError(f"BITPIX = {bitpix!r} is not allowed")
    if axes > _MOST_AXES:
        raise ValueError(f"NAXIS = {axes} is not allowed")
    if axes == 0:
        return 0
    if size("GCOUNT", 1) != 1:
        raise ValueError(f"GCOUNT = {header['GCOUNT']} is not allowed")
    numbers = math.prod(size(f"NAXIS{axis}") for axis in range(1, axes + 1))
    return abs(int(bitpix)) // 8 * (size("PCOUNT", 0) + numbers)


def word_sum(data: bytes | memoryview | ByteArray, start: int = 0) -> int:
    """Return the ones' complement sum of 32-bit big-endian words, added to `start`; missing bytes count as zero."""
    array = np.frombuffer(data, dtype=np.uint8)
    whole = len(array) // 4 * 4
    total = start
    words = array[:whole].view(np.uint32)
    for first in range(0, len(words), PORTION):
        # Swapping a portion that fits the cache is faster than summing a swapped view.
        total += int(words[first : first + PORTION].astype(">u4").view(np.uint32).sum(dtype=np.uint64))
    if whole < len(array):
        total += int.from_bytes(array[whole:].tobytes().ljust(4, b"\0"), "big")
    return _fold(total)


def array_sum(array: NDArray[Any], rest: bytes = b"") -> int:
    """Return the sum of an array of native byte order, followed by the bytes `rest`, as `word_sum` of its FITS
    form would.

    Arrays of items of 4 and 8 bytes need not be swapped for this.
    """
    flat = array.reshape(-1)
    if array.dtype.itemsize >= 4:
        return word_sum(rest, _fold(int(flat.view(np.uint32).sum(dtype=np.uint64))))
    total, swapped, whole = 0, array.dtype.newbyteorder(">"), flat.size // PORTION * PORTION
    for first in range(0, whole, PORTION):
        total = word_sum(flat[first : first + PORTION].astype(swapped).view(np.uint8), total)
    return word_sum(flat[whole:].astype(swapped).tobytes() + rest, total)


def _fold(total: int) -> int:
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
