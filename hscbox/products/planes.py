"""Image, mask and variance as FITS units, in the layout of afw, and the translation of mask planes by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..fits.cards import card
from ..fits.write import FitsUnit, image_unit
from ..image.mask import MASK_PLANES
from ..numerics.arrays import Int32Array

__all__ = ["mask_from_file", "mask_plane_cards", "origin_cards", "origin_from_header", "plane_unit"]

PlaneKind = Literal["IMAGE", "MASK", "VARIANCE"]

_CORE_BITS = (1 << 9) - 1


def mask_plane_cards() -> list[str]:
    """Return the MP_ cards that say which bit is which plane, in alphabetical order."""
    return [card(f"MP_{name}", bit) for name, bit in sorted(MASK_PLANES.items())]


def origin_cards() -> list[str]:
    """Return the cards of the trivial second WCS, which say that the first pixel is (0, 0)."""
    return [
        card("CRVAL1A", 0, "Column pixel of Reference Pixel"),
        card("CRVAL2A", 0, "Row pixel of Reference Pixel"),
        card("CRPIX1A", 1, "Column Pixel Coordinate of Reference"),
        card("CRPIX2A", 1, "Row Pixel Coordinate of Reference"),
        card("CTYPE1A", "LINEAR", "Type of projection"),
        card("CTYPE2A", "LINEAR", "Type of projection"),
        card("CUNIT1A", "PIXEL", "Column unit"),
        card("CUNIT2A", "PIXEL", "Row unit"),
    ]


def origin_from_header(header: Mapping[str, object]) -> tuple[int, int]:
    """Return the parent coordinates of the first pixel; (0, 0) unless all four cards are there."""
    values = [header.get(key) for key in ("CRVAL1A", "CRVAL2A", "CRPIX1A", "CRPIX2A")]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < 4:
        return 0, 0
    return round(numbers[0] - numbers[2] + 1), round(numbers[1] - numbers[3] + 1)


def plane_unit(kind: PlaneKind, array: NDArray[Any], wcs_cards: Iterable[str] = ()) -> FitsUnit:
    """Return one of the three planes of an exposure; the mask gets its MP_ cards."""
    dtype = np.int32 if kind == "MASK" else np.float32
    cards = [
        *wcs_cards,
        card("LTV1", 0.0),
        card("LTV2", 0.0),
        card("INHERIT", True),
        card("EXTTYPE", kind),
        *(mask_plane_cards() if kind == "MASK" else ()),
        *origin_cards(),
    ]
    return image_unit(np.asarray(array, dtype=dtype), cards)


def mask_from_file(pixels: NDArray[Any], header: Mapping[str, object]) -> Int32Array:
    """Translate mask pixels of a file to our bits, by the names in its MP_ cards.

    Planes without a counterpart here (VIGNETTED, STREAK, ...) are dropped. Without any MP_ card the first nine
    bits are taken as afw's default planes, which have the same numbers here.
    """
    pixels = pixels.astype(np.int32, copy=False)
    stated = {key[3:]: value for key, value in header.items() if key.startswith("MP_")}
    if not stated:
        return pixels & np.int32(_CORE_BITS)
    # Planes that move by the same distance move together.
    groups: dict[int, int] = {}
    for name, bit in stated.items():
        if name in MASK_PLANES and isinstance(bit, int) and 0 <= bit < 31:
            shift = MASK_PLANES[name] - bit
            groups[shift] = groups.get(shift, 0) | 1 << bit
    present = int(np.bitwise_or.reduce(pixels, axis=None)) if pixels.size else 0
    staying = groups.pop(0, 0)
    if not present & ~staying:
        return pixels
    result = pixels & np.int32(staying)
    for shift, bits in groups.items():
        if present & bits:
            moved = pixels & np.int32(bits)
            result |= moved << np.int32(shift) if shift > 0 else moved >> np.int32(-shift)
    return result
