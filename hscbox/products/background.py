"""Lists of backgrounds as FITS files (layout: lsst/afw e0459d59, python/lsst/afw/math/background.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DamagedInputError
from ..fits.cards import card
from ..fits.read import ReadUnit, naming, read_units
from ..fits.write import FitsUnit, image_unit, write_units
from ..image.background import BackgroundModel
from .planes import mask_from_file, mask_plane_cards, origin_cards

__all__ = ["read_backgrounds", "write_backgrounds"]

_AKIMA_SPLINE = 5
_REDUCE_ORDER = 1
_CHEBYSHEV = 0


def write_backgrounds(path: Path | str, backgrounds: Sequence[BackgroundModel]) -> None:
    """Write backgrounds atomically, each as three small images: levels, mask, standard errors.

    Raises
    ------
    ValueError
        The list is empty: there is no file without HDU.
    OutputError, TemporaryError
        The file cannot be written.
    """
    if not backgrounds:
        raise ValueError("a background file needs at least one background")
    units: list[FitsUnit] = []
    for background in backgrounds:
        cards = _model_cards(background)
        units += [
            image_unit(background.stats.astype(np.float32), [*cards, *origin_cards()], primary=not units),
            image_unit(background.mask.astype(np.int32), [*cards, *mask_plane_cards(), *origin_cards()]),
            image_unit(background.error.astype(np.float32), [*cards, *origin_cards()]),
        ]
    write_units(path, units)


def read_backgrounds(path: Path | str) -> list[BackgroundModel]:
    """Read a list of backgrounds.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    DamagedInputError
        The number of HDUs is not a multiple of three, cards are missing, or the surface is not of the kind
        known here.
    """
    with naming(path):
        units = read_units(path)
        if len(units) % 3:
            raise DamagedInputError(f"{path} has {len(units)} HDUs; a list of backgrounds has three for each")
        return [_read_one(path, units[k : k + 3]) for k in range(0, len(units), 3)]


def _model_cards(background: BackgroundModel) -> list[str]:
    return [
        card("INTERPSTYLE", _AKIMA_SPLINE),
        card("UNDERSAMPLESTYLE", _REDUCE_ORDER),
        card("APPROXSTYLE", _CHEBYSHEV),
        card("APPROXORDERX", background.approx_order),
        card("APPROXORDERY", background.approx_order),
        card("APPROXWEIGHTING", background.weighting),
        card("BKGD_X0", 0),
        card("BKGD_Y0", 0),
        card("BKGD_WIDTH", background.width),
        card("BKGD_HEIGHT", background.height),
    ]


def _read_one(path: Path | str, units: list[ReadUnit]) -> BackgroundModel:
    header = units[0].header
    try:
        orders = int(header["APPROXORDERX"]), int(header["APPROXORDERY"])
        style, weighting = int(header["APPROXSTYLE"]), bool(header["APPROXWEIGHTING"])
        width, height = int(header["BKGD_WIDTH"]), int(header["BKGD_HEIGHT"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedInputError(f"{path} is no list of backgrounds: {error}") from error
    if style != _CHEBYSHEV or orders[0] != orders[1] or orders[0] < 0:
        raise DamagedInputError(
            f"{path} has a background of style {style} and orders {orders}; allowed: 0 (Chebyshev) and equal orders"
        )
    stats, mask, error_plane = (unit.array() for unit in units)
    if not stats.shape == mask.shape == error_plane.shape:
        raise DamagedInputError(
            f"{path} has background planes of sizes {stats.shape}, {mask.shape}, {error_plane.shape}"
        )
    return BackgroundModel(
        stats.astype(np.float32),
        mask_from_file(mask, units[1].header),
        error_plane.astype(np.float32),
        width,
        height,
        orders[0],
        weighting,
    )
