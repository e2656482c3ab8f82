"""Mask planes drawn over an image: which, in which colour, and how.

Borders of masked regions are drawn solid, their inside is only tinted, so that the image stays visible.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..butler.data_id import suggestion
from ..errors import UsageError
from ..image.mask import MASK_PLANES
from ..numerics.arrays import BoolArray, ByteArray, Int32Array

__all__ = ["DEFAULT_PLANES", "PLANE_COLOURS", "Colour", "chosen_planes", "paint"]

Colour = tuple[int, int, int]

# In the order of drawing, the most important last. Where the stack's display has a colour for a plane, it is close to
# that: BAD red, CR magenta, SAT green, EDGE yellow, DETECTED blue, DETECTED_NEGATIVE cyan, NO_DATA orange.
PLANE_COLOURS: dict[str, Colour] = {
    "DETECTED": (70, 130, 255),
    "DETECTED_NEGATIVE": (0, 220, 230),
    "INTRP": (150, 215, 160),
    "EDGE": (235, 220, 60),
    "NO_DATA": (240, 145, 30),
    "NOT_DEBLENDED": (165, 110, 60),
    "SUSPECT": (190, 165, 20),
    "CROSSTALK": (160, 100, 245),
    "UNMASKEDNAN": (255, 190, 200),
    "BAD": (235, 40, 40),
    "SAT": (40, 205, 70),
    "CR": (255, 40, 220),
}
DEFAULT_PLANES = ("NO_DATA", "SUSPECT", "CROSSTALK", "BAD", "SAT", "CR")
_TINT = 0.25
# Footprints cover much of a deep image and say nothing about its quality: outlines are enough, and on a whole frame,
# where most are a few points large, even these would hide the image.
_OUTLINED = {"DETECTED", "DETECTED_NEGATIVE", "NOT_DEBLENDED"}


def chosen_planes(text: str | None, *, cut_out: bool = True) -> tuple[str, ...]:
    """Return the planes that a list such as `CR,SAT` names, in drawing order; also `all` and `none`.

    Parameters
    ----------
    text
        The list; None for the planes drawn by default.
    cut_out
        Whether a part of the frame is drawn; then the outlines of detected sources are among the default.

    Raises
    ------
    UsageError
        A plane is unknown; the message names all.
    """
    if text is None:
        return ("DETECTED", *DEFAULT_PLANES) if cut_out else DEFAULT_PLANES
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["all"]:
        return tuple(PLANE_COLOURS)
    if words == ["none"]:
        return ()
    wanted = {word.upper() for word in words}
    unknown = [word for word in words if word.upper() not in MASK_PLANES]
    if unknown or not words:
        word = unknown[0] if unknown else text
        raise UsageError(
            f"Unknown mask plane '{word}'; allowed are all, none, or a list of {','.join(MASK_PLANES)}",
            remedy=suggestion(word.upper(), MASK_PLANES),
        )
    return tuple(name for name in PLANE_COLOURS if name in wanted)


def paint(rgb: ByteArray, bits: Int32Array, planes: Sequence[str]) -> ByteArray:
    """Return a copy of the colours (height, width, 3) with mask planes painted over, the last on top.

    A pixel of a plane that has a neighbour outside of it (up, down, left, right) takes the plane's colour, the
    others a quarter of it.
    """
    result = rgb.astype(np.float64)
    for name in planes:
        inside = (bits & np.int32(1 << MASK_PLANES[name])) != 0
        if not inside.any():
            continue
        colour = np.array(PLANE_COLOURS[name], dtype=np.float64)
        border = inside & ~_surrounded(inside)
        if name not in _OUTLINED:
            result[inside] = (1.0 - _TINT) * result[inside] + _TINT * colour
        result[border] = colour
    return np.rint(result).astype(np.uint8)


def _surrounded(inside: BoolArray) -> BoolArray:
    """Return the pixels whose four neighbours are inside too; beyond the image counts as inside."""
    padded = np.pad(inside, 1, constant_values=True)
    return np.asarray(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])
