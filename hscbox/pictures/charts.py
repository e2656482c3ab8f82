"""Charts on a canvas: axes with ticks, points, lines, vectors and histograms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..numerics.arrays import FloatArray
from .canvas import DIM, TEXT, Canvas, round_step
from .overlay import Colour

__all__ = ["Axes", "robust_limits"]


_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 34, 46
_TICK = 4
_MOST_TICKS = 6
_FRAME: Colour = (90, 93, 100)


def robust_limits(values: FloatArray, least: float) -> tuple[float, float]:
    """Return limits around zero that hold 98 % of the finite values with a margin, and at least +-`least`."""
    finite = np.abs(values[np.isfinite(values)])
    reach = max(least, 1.2 * float(np.quantile(finite, 0.98))) if len(finite) else least
    return -reach, reach


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, six at the most."""
    step = round_step((high - low) / _MOST_TICKS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True, eq=False)
class Axes:
    """A chart within a rectangle of a canvas, which includes its title and numbers.

    Attributes
    ----------
    x, y, width, height
        The rectangle, points from the upper left corner.
    x_limits, y_limits
        Values at the ends of the axes.
    """

    canvas: Canvas
    x: int
    y: int
    width: int
    height: int
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]

    def frame(self, title: str, x_label: str, y_label: str) -> None:
        """Draw the frame, ticks with their numbers, title and labels."""
        left, right, top, bottom = self._edges()
        for x0, y0, x1, y1 in (
            (left, top, right, top),
            (left, bottom, right, bottom),
            (left, top, left, bottom),
            (right, top, right, bottom),
        ):
            self.canvas.line(x0, y0, x1, y1, _FRAME)
        for value in _ticks(*self.x_limits):
            at, _ = self._place(value, self.y_limits[0])
            self.canvas.line(at, bottom, at, bottom + _TICK, _FRAME)
            self.canvas.text(at, bottom + 2 * _TICK, f"{value:g}", 12, DIM, "ma")
        for value in _ticks(*self.y_limits):
            _, at = self._place(self.x_limits[0], value)
            self.canvas.line(left - _TICK, at, left, at, _FRAME)
            self.canvas.text(left - 2 * _TICK, at, f"{value:.6g}", 12, DIM, "rm")
        self.canvas.text(left, self.y, title, 14, TEXT)
        self.canvas.text(left, self.y + 17, y_label, 12, DIM)
        self.canvas.text(right, bottom + 24, x_label, 12, DIM, "ra")

    def horizontal(self, value: float) -> None:
        """Draw a line across the chart."""
        if self.y_limits[0] <= value <= self.y_limits[1]:
            self.line((self.x_limits[0], value), (self.x_limits[1], value), _FRAME)

    def vertical(self, value: float) -> None:
        """Draw a line up the chart."""
        if self.x_limits[0] <= value <= self.x_limits[1]:
            self.line((value, self.y_limits[0]), (value, self.y_limits[1]), _FRAME)

    def line(self, begin: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
        """Draw a straight line between two points of the chart."""
        self.canvas.line(*self._place(*begin), *self._place(*end), colour)

    def points(self, x: FloatArray, y: FloatArray, colour: Colour, size: int = 3) -> None:
        """Draw dots; those beyond the limits stand at the edge, what is not finite is left out."""
        known = np.isfinite(x) & np.isfinite(y)
        for column, row in zip(x[known], y[known], strict=True):
            at_x, at_y = self._place(self._within(column, self.x_limits), self._within(row, self.y_limits))
            self.canvas.box(round(at_x) - size // 2, round(at_y) - size // 2, size, size, colour)

    def vectors(self, x: FloatArray, y: FloatArray, dx: FloatArray, dy: FloatArray, colour: Colour) -> None:
        """Draw a line from each place by (dx, dy) points, dy upwards, with a dot at its begin."""
        for column, row, right, up in zip(x, y, dx, dy, strict=True):
            if math.isfinite(right) and math.isfinite(up):
                at_x, at_y = self._place(column, row)
                self.canvas.line(at_x, at_y, at_x + right, at_y - up, colour)
                self.canvas.box(round(at_x) - 1, round(at_y) - 1, 3, 3, colour)

    def steps(self, edges: FloatArray, heights: FloatArray, colour: Colour) -> None:
        """Fill the bars of a histogram."""
        for first, last, height in zip(edges[:-1], edges[1:], heights, strict=True):
            x0, y0 = self._place(first, min(float(height), self.y_limits[1]))
            x1, y1 = self._place(last, 0.0)
            if round(y1) > round(y0):
                self.canvas.box(round(x0), round(y0), round(x1) - round(x0), round(y1) - round(y0), colour)

    def curve(self, x: FloatArray, y: FloatArray, colour: Colour) -> None:
        """Draw straight lines from point to point."""
        for number in range(len(x) - 1):
            self.line((float(x[number]), float(y[number])), (float(x[number + 1]), float(y[number + 1])), colour)

    def _edges(self) -> tuple[int, int, int, int]:
        return self.x + _LEFT, self.x + self.width - _RIGHT, self.y + _TOP, self.y + self.height - _BOTTOM

    def _place(self, x: float, y: float) -> tuple[float, float]:
        left, right, top, bottom = self._edges()
        share_x = (x - self.x_limits[0]) / (self.x_limits[1] - self.x_limits[0])
        share_y = (y - self.y_limits[0]) / (self.y_limits[1] - self.y_limits[0])
        return left + share_x * (right - left), bottom - share_y * (bottom - top)

    @staticmethod
    def _within(value: float, limits: tuple[float, float]) -> float:
        return min(max(float(value), limits[0]), limits[1])
