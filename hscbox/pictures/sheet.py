"""What a picture shows: one or several images of the same pixels, and what is written around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..camera.boxes import Box
from ..numerics.arrays import FloatArray, Int32Array
from .overlay import Colour

__all__ = ["LegendEntry", "Mark", "Panel", "Sheet"]


@dataclass(frozen=True, eq=False)
class Panel:
    """One image."""

    title: str
    pixels: NDArray[np.floating]
    """The whole frame, (height, width)."""
    unit: str
    mask: Int32Array | None = None
    """Mask bits to draw over it, (height, width)."""
    kind: Literal["image", "difference"] = "image"


@dataclass(frozen=True, eq=False)
class Mark:
    """Circles around positions."""

    x: FloatArray
    """Pixel columns (n,), 0-based in the frame."""
    y: FloatArray
    colour: Colour
    radius: float
    """Pixels of the frame."""
    least_points: int = 1
    """Smallest radius in points of the picture."""


@dataclass(frozen=True)
class LegendEntry:
    """One line of the legend."""

    name: str
    colour: Colour
    text: str = ""
    """What stands behind the name, such as a number of pixels."""
    round: bool = False
    """Whether the sign is a circle instead of a square."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Everything in one picture."""

    heading: tuple[str, ...]
    """Lines at the top, the first one large."""
    panels: tuple[Panel, ...]
    """Side by side, all of the same frame."""
    region: Box
    """What is shown of the frame."""
    is_whole: bool
    """Whether that is the whole frame, which is made to fit the screen."""
    planes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    north: tuple[float, float] | None = None
    """Direction of north in pixels (x, y), any length; None if the sky is not known."""
    east: tuple[float, float] | None = None
    """Direction of east likewise."""
