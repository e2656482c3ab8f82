"""Pictures of residuals."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hscbox.pictures.canvas import Canvas
from hscbox.pictures.charts import Axes, robust_limits
from hscbox.pictures.residual_plots import residual_plots

RED = (255, 0, 0)
COLUMNS = {
    "positions": ("x", "y", "ra", "dec"),
    "corners": ("x", "y", "distance"),
    "bright_stars": ("magnitude", "psf", "aperture"),
    "stars": ("magnitude", "psf", "aperture"),
    "psf": ("x", "y", "size", "e1", "e2"),
    "galaxies": ("magnitude", "kron", "size", "true_e1", "true_e2", "regauss_e1", "regauss_e2"),
    "classes": ("snr", "is_star", "concentration"),
    "pulls": ("psf", "kron", "x", "y"),
}


@pytest.mark.parametrize("n", [0, 4])
def test_all_pictures_are_drawn_with_and_without_data(n: int) -> None:
    rng = np.random.default_rng(1)
    tables = {name: {column: rng.uniform(1, 20, n) for column in columns} for name, columns in COLUMNS.items()}
    tables["galaxies"]["kron"][:] = np.nan
    tables["corners"] = {name: np.array([0.0, 2047.0, 0.0, 2047.0]) for name in ("x", "y", "distance")}
    pictures = residual_plots(tables, "visit 2 ccd 3")
    assert list(pictures) == ["astrometry", "photometry", "psf", "galaxies", "classes", "pulls"]
    for content in pictures.values():
        assert Image.open(io.BytesIO(content)).size == (900, 860)
    assert pictures == residual_plots(tables, "visit 2 ccd 3")


def test_points_stand_where_the_axes_say() -> None:
    canvas = Canvas(284, 280)
    # 200 points of the picture each way: 70 and 34 points from the upper left corner.
    axes = Axes(canvas, 0, 0, 284, 280, (0.0, 10.0), (-1.0, 1.0))
    axes.points(np.array([5.0, 2.5, np.nan]), np.array([0.0, 99.0, 0.0]), RED, 1)
    red = np.argwhere((np.asarray(canvas.image) == RED).all(axis=2))
    assert red.tolist() == [[34, 120], [134, 170]]


def test_limits_leave_out_the_far_away() -> None:
    values = np.concatenate([np.linspace(-10, 10, 1000), [1e6, np.nan]])
    low, high = robust_limits(values, 1.0)
    assert low == -high and 10.0 < high < 13.0
    assert robust_limits(np.array([np.nan]), 3.0) == (-3.0, 3.0)
