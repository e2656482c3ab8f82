"""Pictures of how the products of a simulated frame differ from the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..numerics.arrays import FloatArray
from .canvas import DIM, Canvas, png_of
from .charts import Axes, robust_limits
from .overlay import Colour

__all__ = ["residual_plots"]

Table = Mapping[str, FloatArray]
Tables = Mapping[str, Table]

_STARS: Colour = (255, 196, 64)
_GALAXIES: Colour = (96, 178, 255)
_ABOVE: Colour = (255, 110, 90)
_LINE: Colour = (210, 212, 218)
# The CCD with a margin that vectors may reach into.
_CCD_X, _CCD_Y = (-150.0, 2198.0), (-150.0, 4326.0)
# Points of the picture for 10 mas, and for an ellipticity of 0.01.
_PER_10_MAS, _PER_CENT = 40.0, 40.0


def residual_plots(tables: Tables, heading: str) -> dict[str, bytes]:
    """Return PNG files by name: astrometry, photometry, psf, galaxies, classes, pulls.

    Parameters
    ----------
    tables
        Columns of each table as `hscbox.truth.scores.residuals_of` returns them.
    heading
        What is drawn: stands over each picture.
    """
    drawings: dict[str, Callable[[Canvas, Tables], None]] = {
        "astrometry": _astrometry,
        "photometry": _photometry,
        "psf": _psf,
        "galaxies": _galaxies,
        "classes": _classes,
        "pulls": _pulls,
    }
    pictures = {}
    for name, draw in drawings.items():
        canvas = Canvas(900, 860)
        canvas.text(16, 12, f"{heading}: {name}", 18)
        draw(canvas, tables)
        pictures[name] = png_of(canvas)
    return pictures


def _ccd(canvas: Canvas, x: int, title: str, note: str) -> Axes:
    axes = Axes(canvas, x, 50, 440, 800, _CCD_X, _CCD_Y)
    axes.frame(title, "x (pixel)", f"y (pixel){note}")
    return axes


def _astrometry(canvas: Canvas, tables: Tables) -> None:
    stars, corners = tables["positions"], tables["corners"]
    axes = _ccd(canvas, 0, "fitted minus true position", "")
    scale = _PER_10_MAS / 10
    # Along RA and Dec, whatever way the camera was turned.
    axes.vectors(stars["x"], stars["y"], scale * stars["ra"], scale * stars["dec"], _STARS)
    canvas.line(300, 78, 300 + _PER_10_MAS, 78, _LINE, 2)
    canvas.text(350, 78, "10 mas", 12, DIM, "lm")
    for x, y, distance in zip(corners["x"], corners["y"], corners["distance"], strict=True):
        side, end = ("r" if x > _CCD_X[1] / 2 else "l"), ("a" if y > _CCD_Y[1] / 2 else "d")
        at_x, at_y = (420 if side == "r" else 76), (90 if end == "a" else 798)
        canvas.text(at_x, at_y, f"{distance:.1f} mas", 12, _ABOVE, side + end)
    limits = robust_limits(np.concatenate([stars["ra"], stars["dec"]]), 10.0)
    cloud = Axes(canvas, 450, 50, 440, 440, limits, limits)
    cloud.frame("bright isolated stars", "RA (mas)", "Dec (mas)")
    cloud.horizontal(0.0)
    cloud.vertical(0.0)
    cloud.points(stars["ra"], stars["dec"], _STARS, 5)


def _photometry(canvas: Canvas, tables: Tables) -> None:
    bright, more = tables["bright_stars"], tables["stars"]
    for row, name in enumerate(("psf", "aperture")):
        limits = robust_limits(more[name], 10.0)
        axes = Axes(canvas, 0, 50 + 400 * row, 890, 390, _span(more["magnitude"]), limits)
        axes.frame(f"{name} flux of isolated stars", "true magnitude", "measured minus true (mmag)")
        axes.horizontal(0.0)
        axes.points(more["magnitude"], more[name], _GALAXIES, 5)
        axes.points(bright["magnitude"], bright[name], _STARS, 5)
    canvas.text(880, 16, "yellow: bright enough for zero point and scatter", 12, DIM, "ra")


def _span(values: FloatArray) -> tuple[float, float]:
    """Return limits that hold all finite values."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    return float(finite.min()) - 0.1, float(finite.max()) + 0.1


def _psf(canvas: Canvas, tables: Tables) -> None:
    stars = tables["psf"]
    sizes = _ccd(
        canvas, 0, "size of the model minus truth", "; bars of 1 % = 200 points; red too large, blue too small"
    )
    for sign, colour in ((1, _ABOVE), (-1, _GALAXIES)):
        chosen = sign * stars["size"] > 0
        length = 200 * np.abs(stars["size"][chosen])
        sizes.vectors(stars["x"][chosen], stars["y"][chosen], np.zeros_like(length), length, colour)
    whiskers = _ccd(canvas, 450, "ellipticity of the model minus truth", "; whiskers of 0.01 = 40 points")
    e, angle = np.hypot(stars["e1"], stars["e2"]), 0.5 * np.arctan2(stars["e2"], stars["e1"])
    length = _PER_CENT * e / 0.01
    whiskers.vectors(stars["x"], stars["y"], length * np.cos(angle), length * np.sin(angle), _STARS)


def _galaxies(canvas: Canvas, tables: Tables) -> None:
    table = tables["galaxies"]
    across = _span(table["magnitude"])
    for row, (name, title, unit, least) in enumerate(
        (("kron", "Kron flux", "mmag", 50.0), ("size", "HSM size, seen through the PSF", "%", 3.0))
    ):
        axes = Axes(canvas, 0, 50 + 400 * row, 440, 390, across, robust_limits(table[name], least))
        axes.frame(title, "true magnitude", f"measured minus true ({unit})")
        axes.horizontal(0.0)
        axes.points(table["magnitude"], table[name], _GALAXIES)
    for row, name in enumerate(("e1", "e2")):
        axes = Axes(canvas, 450, 50 + 400 * row, 440, 390, (-1.0, 1.0), robust_limits(table[f"regauss_{name}"], 0.05))
        axes.frame(f"REGAUSS {name}", f"true {name} before the PSF", "measured minus true")
        axes.horizontal(0.0)
        axes.points(table[f"true_{name}"], table[f"regauss_{name}"], _GALAXIES)


def _classes(canvas: Canvas, tables: Tables) -> None:
    table = tables["classes"]
    axes = Axes(canvas, 0, 50, 890, 800, (1.2, 3.6), (-0.3, 1.5))
    axes.frame("what tells stars from galaxies", "log10 of the expected S/N", "PSF minus model magnitude")
    for kind, colour in ((0.0, _GALAXIES), (1.0, _STARS)):
        chosen = table["is_star"] == kind
        axes.points(np.log10(table["snr"][chosen]), table["concentration"][chosen], colour)
    canvas.text(880, 16, "yellow: stars; blue: galaxies", 12, DIM, "ra")


def _pulls(canvas: Canvas, tables: Tables) -> None:
    table = tables["pulls"]
    edges = np.linspace(-4.0, 4.0, 33)
    normal = np.linspace(-4.0, 4.0, 81)
    titles = {"psf": "PSF flux", "kron": "Kron flux", "x": "centroid x", "y": "centroid y"}
    for number, (name, title) in enumerate(titles.items()):
        values = table[name][np.isfinite(table[name])]
        density = np.histogram(values, edges)[0] / max(len(values), 1) / (edges[1] - edges[0])
        top = max(0.5, 1.1 * float(density.max()))
        place = (450 * (number % 2), 50 + 400 * (number // 2))
        axes = Axes(canvas, *place, 440, 390, (-4.0, 4.0), (0.0, top))
        axes.frame(f"{title}: {len(values)} stars", "difference in units of its error", "density")
        axes.steps(edges, density, _GALAXIES)
        axes.curve(normal, np.exp(-0.5 * normal**2) / np.sqrt(2 * np.pi), _LINE)
