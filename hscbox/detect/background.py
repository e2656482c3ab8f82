"""Fit the sky background: clipped means of a grid of cells, smoothed by a Chebyshev surface.

The method of the HSC pipeline (Bosch et al. 2018, PASJ 70, S5, section 4.7; the cell grid and the weights follow
lsst/afw e0459d59, src/math/Background.cc and src/math/Approximate.cc). Two things are ours, and can be switched off:
the wings of detected sources are kept out of the cells, and cells far above the surface are left out.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from lsst.pex.config import ChoiceField, Config, Field, ListField, RangeField

from ..errors import BackgroundError
from ..image.background import BackgroundModel, cell_starts
from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Float32Array, Int32Array
from ..numerics.constants import SIGMA_PER_IQR
from .cell_statistics import cell_statistics
from .source_wings import SourceWings, predict_wings

__all__ = ["BackgroundConfig", "fit_background"]

_ROUNDS = 3
# With fewer cells per term of the surface their scatter about it says little.
_CELLS_PER_TERM = 4


class BackgroundConfig(Config):
    """How the sky background is fitted."""

    binSize = RangeField("Size of a cell in x and y [px]; larger is smoother.", int, default=128, min=1)
    binSizeX = RangeField("Size of a cell in x [px]; 0: binSize.", int, default=0, min=0)
    binSizeY = RangeField("Size of a cell in y [px]; 0: binSize.", int, default=0, min=0)
    statisticsProperty = ChoiceField(
        "Statistic that stands for a cell.",
        str,
        default="MEANCLIP",
        allowed={"MEANCLIP": "mean clipped at 3 sigma", "MEAN": "plain mean", "MEDIAN": "median"},
    )
    ignoredPixelMask = ListField(
        "Mask planes whose pixels are left out.",
        str,
        default=["BAD", "EDGE", "DETECTED", "DETECTED_NEGATIVE", "NO_DATA"],
    )
    isNanSafe = Field(
        "Kept for old override files: pixels that are not finite are always left out.", bool, default=False
    )
    useApprox = ChoiceField(
        "Smooth the cells by a Chebyshev surface.",
        bool,
        default=True,
        allowed={True: "Chebyshev surface; the only form there is"},
    )
    approxOrderX = RangeField(
        "Total degree of the Chebyshev surface; larger follows finer structure.", int, default=6, min=0
    )
    approxOrderY = Field("Must be -1 or equal to approxOrderX.", int, default=-1)
    weighting = Field("Weight cells by 1 / standard error in the surface fit.", bool, default=True)
    wingStrength = RangeField(
        "Wings of detected sources: a source of flux 1 has this times r^(-11/3) at r px; 0: none, as in 2017.",
        float,
        default=0.85,
        min=0.0,
    )
    wingLimit = RangeField(
        "Pixels with wings above this are left out [standard deviations of the sky]; fainter ones are subtracted.",
        float,
        default=0.025,
        min=0.0,
    )
    cellRejection = RangeField(
        "Cells this many times their scatter above the surface are left out: large galaxies; 0: none, as in 2017.",
        float,
        default=3.0,
        min=0.0,
    )

    def validate(self) -> None:
        """Refuse orders that differ between the axes."""
        super().validate()
        if self.approxOrderY not in (-1, self.approxOrderX):
            raise ValueError(
                f"approxOrderY = {self.approxOrderY} contradicts approxOrderX = {self.approxOrderX}; "
                "set approxOrderY to -1"
            )


def fit_background(
    image: Float32Array,
    mask: Int32Array,
    config: BackgroundConfig,
    log: logging.Logger | None = None,
) -> BackgroundModel:
    """Fit the background of an image.

    Parameters
    ----------
    image, mask
        Pixels [ADU] and their mask bits, shape (height, width). Nothing is modified.
    config
        Cell size, statistic, mask planes left out, order of the surface.
    log
        Receives a warning when a small image forces a lower order.

    Raises
    ------
    BackgroundError
        If no cell has a usable value.
    """
    height, width = image.shape
    x_edges = cell_starts(width, width // (config.binSizeX or config.binSize) + 1)
    y_edges = cell_starts(height, height // (config.binSizeY or config.binSize) + 1)
    ignored = mask_bits(*config.ignoredPixelMask)
    wings = _wings(image, mask, ignored, config)
    stats, errors = cell_statistics(image, mask, ignored, x_edges, y_edges, config.statisticsProperty, wings)
    valid = np.isfinite(stats) & np.isfinite(errors) & (errors > 0)
    if not valid.any():
        raise BackgroundError(
            f"no valid cell to fit the background: all {stats.size} cells of {config.binSize} px are masked "
            f"({', '.join(config.ignoredPixelMask)}) or constant; one is needed",
            remedy="Look at the mask plane of the exposure, or use a larger binSize",
            cells=stats.size,
        )
    model = BackgroundModel(
        stats=stats,
        mask=np.zeros(stats.shape, dtype=np.int32),
        error=errors,
        width=width,
        height=height,
        approx_order=_order(valid, config.approxOrderX, log),
        weighting=config.weighting,
    )
    return _without_high_cells(model, config.cellRejection)


def _wings(image: Float32Array, mask: Int32Array, ignored: int, config: BackgroundConfig) -> SourceWings | None:
    detected = mask_bits("DETECTED") & ignored
    if not detected or config.wingStrength == 0:
        return None
    spoilt = mask_bits("CR", "NO_DATA")
    return predict_wings(image, mask, detected, spoilt, ignored, config.wingStrength, config.wingLimit)


def _without_high_cells(model: BackgroundModel, rejection: float) -> BackgroundModel:
    """Return the model without the cells that stand out above its surface, found in a few rounds."""
    stats = model.stats
    n_terms = (model.approx_order + 1) * (model.approx_order + 2) // 2
    x, y = model.cell_centres()
    errors = model.error.astype(np.float64)
    for _ in range(_ROUNDS if rejection else 0):
        # Errors of 0 belong to constant cells, which say nothing about the scatter.
        usable = np.isfinite(stats) & (errors > 0)
        if usable.sum() < _CELLS_PER_TERM * n_terms:
            break
        surface = replace(model, stats=stats).surface().evaluate(x[None, :], y[:, None])
        deviation = np.full(stats.shape, -np.inf)
        deviation[usable] = (stats[usable] - surface[usable]) / errors[usable]
        lower, upper = np.quantile(deviation[usable], [0.25, 0.75])
        high = deviation > rejection * SIGMA_PER_IQR * (upper - lower)
        if not high.any():
            break
        stats = np.where(high, np.float32(np.nan), stats)
    return model if stats is model.stats else replace(model, stats=stats)


def _order(valid: BoolArray, order: int, log: logging.Logger | None) -> int:
    # An image of few rows (a cut-out) has fewer cells than the surface has terms in y.
    n_columns, n_rows = int(valid.any(axis=0).sum()), int(valid.any(axis=1).sum())
    possible = min(order, n_columns - 1, n_rows - 1)
    while (possible + 1) * (possible + 2) // 2 > int(valid.sum()):
        possible -= 1
    if possible < order and log is not None:
        log.warning(
            "Too few cells (%d x %d) to constrain a background of order %d; reducing the order to %d",
            n_columns,
            n_rows,
            order,
            possible,
        )
    return possible
