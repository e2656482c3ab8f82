"""Drawing with Pillow: text, ticks, circles, arrows, in one font that comes with Pillow."""

from __future__ import annotations

import functools
import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..numerics.arrays import ByteArray
from .overlay import Colour

__all__ = ["BACKGROUND", "DIM", "TEXT", "Canvas", "png_of", "round_step", "text_width"]

BACKGROUND: Colour = (24, 25, 29)
TEXT: Colour = (232, 232, 235)
DIM: Colour = (160, 163, 170)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font; the basic layout, since the other one depends on a library of the machine. It has hardly more
    # than ASCII signs.
    built_in = ImageFont.load_default(size)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    return ImageFont.truetype(io.BytesIO(built_in.font_bytes), size, layout_engine=ImageFont.Layout.BASIC)


def text_width(text: str, size: int) -> int:
    """Return the width of a text in points."""
    return math.ceil(_font(size).getlength(text))


def round_step(least: float) -> float:
    """Return the smallest of ..., 0.5, 1, 2, 5, 10, ... that is not less than `least`, but for rounding."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


class Canvas:
    """A picture being drawn; positions in points from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)

    def paste(self, rgb: ByteArray, x: int, y: int) -> None:
        """Put an array (height, width, 3) with its upper left corner at (x, y)."""
        self.image.paste(Image.fromarray(np.ascontiguousarray(rgb)), (x, y))

    def text(self, x: float, y: float, text: str, size: int = 14, colour: Colour = TEXT, anchor: str = "la") -> None:
        """Write text; the anchor is two letters of Pillow: l, m, r and a, m, s, d."""
        self._draw.text((round(x), round(y)), text, fill=colour, font=_font(size), anchor=anchor)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Colour = DIM, width: int = 1) -> None:
        """Draw a straight line."""
        self._draw.line((round(x0), round(y0), round(x1), round(y1)), fill=colour, width=width)

    def box(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        """Fill a rectangle."""
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)

    def circle(self, x: float, y: float, radius: float, colour: Colour, width: int = 1) -> None:
        """Draw a circle; its radius counts to the middle of its line."""
        x, y, radius = round(x), round(y), round(radius)
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)

    def arrow(self, x: float, y: float, dx: float, dy: float, name: str) -> None:
        """Draw an arrow from (x, y) by (dx, dy), dy upwards, with its name beyond its tip."""
        length = math.hypot(dx, dy)
        ux, uy = dx / length, -dy / length
        tip_x, tip_y = x + dx, y - dy
        self.line(x, y, tip_x, tip_y, TEXT, 2)
        for side in (-1, 1):
            self.line(tip_x, tip_y, tip_x - 7 * ux - side * 4 * uy, tip_y - 7 * uy + side * 4 * ux, TEXT, 2)
        self.text(tip_x + 10 * ux, tip_y + 10 * uy, name, 14, TEXT, "mm")


def png_of(canvas: Canvas) -> bytes:
    """Return the picture as a PNG file: equal pictures give equal bytes with the same Pillow."""
    buffer = io.BytesIO()
    canvas.image.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
