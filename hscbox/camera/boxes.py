"""Rectangles of pixels."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Box"]


class Box(NamedTuple):
    """A rectangle of whole pixels: lower-left pixel (0-based) and size.

    A box without pixels has width or height 0; its lower-left pixel then means nothing.
    """

    x0: int
    y0: int
    width: int
    height: int

    @property
    def x1(self) -> int:
        """Last column, inclusive."""
        return self.x0 + self.width - 1

    @property
    def y1(self) -> int:
        """Last row, inclusive."""
        return self.y0 + self.height - 1

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index that takes the box out of an array [y, x]."""
        return slice(self.y0, self.y0 + self.height), slice(self.x0, self.x0 + self.width)

    def contains(self, x: float, y: float) -> bool:
        """Say whether the point lies on a pixel of the box; pixels reach half a pixel around their centre."""
        in_x = self.x0 - 0.5 <= x < self.x0 + self.width - 0.5
        in_y = self.y0 - 0.5 <= y < self.y0 + self.height - 0.5
        return in_x and in_y

    def clip(self, other: Box) -> Box:
        """Return the part of this box that lies inside `other`; width or height is 0 if there is none."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        width = max(0, min(self.x1, other.x1) - x0 + 1)
        height = max(0, min(self.y1, other.y1) - y0 + 1)
        return Box(x0, y0, width, height)

    def shifted(self, dx: int, dy: int) -> Box:
        """Return the box moved by whole pixels."""
        return Box(self.x0 + dx, self.y0 + dy, self.width, self.height)
