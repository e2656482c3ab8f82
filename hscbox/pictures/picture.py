"""The layout of a picture: heading, panels with axes and scales, legend, directions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..camera.boxes import Box
from ..camera.distortion import PIXEL_SCALE
from .canvas import DIM, TEXT, Canvas, png_of, round_step, text_width
from .render import render
from .sheet import LegendEntry, Mark, Panel, Sheet
from .stretch import Scale
from .zoom import Zoom

__all__ = ["draw", "zoom_of"]

_SIZE, _SIZE_OF_SEVERAL = 1000, 700
_MARGIN = 14
_LEFT = 46
_GAP = 18
_TITLE, _LINE, _SMALL, _LARGE = 22, 18, 13, 18
_TICKS = 22
_FOOT = 78
_RAMP = 14
_LEGEND = 250
_COMPASS = 100
_LEAST_WIDTH = 300


def zoom_of(sheet: Sheet) -> Zoom:
    """Return how the region of a sheet is scaled: whole frames to the screen, cut-outs without loss."""
    size = _SIZE if len(sheet.panels) == 1 else _SIZE_OF_SEVERAL
    if sheet.is_whole:
        return Zoom.whole(sheet.region.width, sheet.region.height, _SIZE)
    return Zoom.cut_out(sheet.region.width, sheet.region.height, size)


def draw(sheet: Sheet) -> bytes:
    """Return the picture of a sheet as a PNG file."""
    zoom = zoom_of(sheet)
    width, height = zoom.length(sheet.region.width), zoom.length(sheet.region.height)
    cell = max(width, _LEAST_WIDTH)
    top = _MARGIN + _TITLE + 8 + _LINE * (len(sheet.heading) - 1) + 10
    panel_top = top + _TITLE
    legend_height = _LINE * (len(sheet.legend) + 2) + 2 * _COMPASS + 40
    total_width = _MARGIN + _LEFT + len(sheet.panels) * (cell + _GAP) + _LEGEND
    total_height = panel_top + max(height + _TICKS + _FOOT, legend_height) + _MARGIN
    widest = max(text_width(line, _LARGE if k == 0 else 14) for k, line in enumerate(sheet.heading))
    canvas = Canvas(max(total_width, widest + 2 * _MARGIN), total_height)
    _heading(canvas, sheet.heading)
    for index, panel in enumerate(sheet.panels):
        x = _MARGIN + _LEFT + index * (cell + _GAP)
        place = _Place(Box(x, panel_top, width, height), sheet.region, zoom)
        rgb, scale = render(panel, sheet.region, zoom, sheet.planes)
        canvas.text(x, top, panel.title, 15)
        canvas.paste(rgb, x, panel_top)
        _axes(canvas, place, with_rows=index == 0)
        if panel.kind == "image":
            _marks(canvas, place, sheet.marks)
        _footer(canvas, place, panel, scale)
    x = _MARGIN + _LEFT + len(sheet.panels) * (cell + _GAP)
    y = _legend(canvas, x, panel_top, sheet.legend)
    _directions(canvas, x + 36, y + _COMPASS, sheet)
    return png_of(canvas)


class _Place:
    """Where a panel is in the picture, and where its pixels are."""

    def __init__(self, box: Box, region: Box, zoom: Zoom) -> None:
        self.box, self.region, self.zoom = box, region, zoom

    def x(self, column: float) -> float:
        """Return the point of the centre of a column of the frame."""
        return self.box.x0 + (column - self.region.x0 + 0.5) * self.zoom.points_per_pixel - 0.5

    def y(self, row: float) -> float:
        """Return the point of the centre of a row of the frame; rows go up."""
        return self.box.y1 + 0.5 - (row - self.region.y0 + 0.5) * self.zoom.points_per_pixel


def _heading(canvas: Canvas, lines: Sequence[str]) -> None:
    canvas.text(_MARGIN, _MARGIN, lines[0], _LARGE)
    for number, line in enumerate(lines[1:]):
        canvas.text(_MARGIN, _MARGIN + _TITLE + 8 + number * _LINE, line, 14, DIM)


def _axes(canvas: Canvas, place: _Place, with_rows: bool) -> None:
    box, region = place.box, place.region
    step = max(1, int(round_step(region.width / max(2, box.width // 90))))
    for column in range(-(-region.x0 // step) * step, region.x1 + 1, step):
        canvas.line(place.x(column), box.y1 + 1, place.x(column), box.y1 + 6)
        canvas.text(place.x(column), box.y1 + 8, str(column), _SMALL, DIM, "ma")
    step = max(1, int(round_step(region.height / max(2, box.height // 70))))
    for row in range(-(-region.y0 // step) * step, region.y1 + 1, step):
        canvas.line(box.x0 - 6, place.y(row), box.x0 - 1, place.y(row))
        if with_rows:
            canvas.text(box.x0 - 9, place.y(row), str(row), _SMALL, DIM, "rm")


def _marks(canvas: Canvas, place: _Place, marks: Sequence[Mark]) -> None:
    region = place.region
    for mark in marks:
        radius = max(float(mark.least_points), mark.radius * place.zoom.points_per_pixel)
        for x, y in zip(mark.x.tolist(), mark.y.tolist(), strict=True):
            if region.contains(x, y):
                canvas.circle(place.x(x), place.y(y), radius, mark.colour)


def _footer(canvas: Canvas, place: _Place, panel: Panel, scale: Scale) -> None:
    x, y, width = place.box.x0, place.box.y1 + _TICKS + 6, max(place.box.width, _LEAST_WIDTH)
    ramp_width = min(width, 360)
    canvas.paste(scale.ramp(ramp_width)[None].repeat(_RAMP, axis=0), x, y)
    values = [scale.value(level) for level in (0.0, 0.5, 1.0)]
    texts = _numbers(values)
    for level, anchor, text in zip((0.0, 0.5, 1.0), ("la", "ma", "ra"), texts, strict=True):
        canvas.text(x + level * ramp_width, y + _RAMP + 3, text, _SMALL, TEXT, anchor)
    unit = f" {panel.unit}" if panel.unit else ""
    kind = "asinh stretch" if panel.kind == "image" else "asinh to both sides"
    canvas.text(x, y + _RAMP + 20, f"{texts[0]} to {texts[2]}{unit}, {kind}", _SMALL, DIM)


def _numbers(values: Sequence[float]) -> list[str]:
    """Return numbers with as many decimals as tell them apart."""
    extent = max(values) - min(values)
    decimals = max(0, 2 - math.floor(math.log10(extent))) if extent > 0 else 2
    return [f"{value:.{decimals}f}" if decimals <= 6 else f"{value:.3g}" for value in values]


def _legend(canvas: Canvas, x: int, y: int, entries: Sequence[LegendEntry]) -> int:
    """Draw the legend and return where it ends."""
    for entry in entries:
        if entry.round:
            canvas.circle(x + 6, y + 8, 5, entry.colour, 2)
        else:
            canvas.box(x + 1, y + 3, 11, 11, entry.colour)
        canvas.text(x + 22, y, entry.name, 14)
        canvas.text(x + 22 + text_width(entry.name, 14) + 10, y + 1, entry.text, _SMALL, DIM)
        y += _LINE
    return y


def _directions(canvas: Canvas, x: int, y: int, sheet: Sheet) -> None:
    canvas.arrow(x, y, 40, 0, "x")
    canvas.arrow(x, y, 0, 40, "y")
    if sheet.north is not None and sheet.east is not None:
        for direction, name in ((sheet.north, "N"), (sheet.east, "E")):
            length = math.hypot(*direction)
            canvas.arrow(x + 110, y - 20, 36 * direction[0] / length, 36 * direction[1] / length, name)
    _scale_bar(canvas, x - 30, y + 50, zoom_of(sheet))


def _scale_bar(canvas: Canvas, x: int, y: int, zoom: Zoom) -> None:
    """Draw the longest round number of arc seconds that fits."""
    per_point = PIXEL_SCALE / zoom.points_per_pixel
    candidates = [k * 10.0**n for n in range(-1, 4) for k in (1, 2, 5)]
    arcsec = max((c for c in candidates if c / per_point <= 170), default=candidates[0])
    length = arcsec / per_point
    canvas.line(x, y, x + length, y, TEXT, 2)
    for end in (x, x + length):
        canvas.line(end, y - 5, end, y + 5, TEXT, 2)
    canvas.text(x, y + 9, f"{arcsec:g} arcsec = {arcsec / PIXEL_SCALE:.0f} pixels", _SMALL, DIM)
