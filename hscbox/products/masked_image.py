"""Master calibrations as FITS files: one image, or image, mask and variance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedInputError
from ..fits.cards import metadata_cards
from ..fits.metadata import CardValue, Metadata
from ..fits.read import ReadUnit, naming, read_units
from ..fits.write import image_unit, primary_unit, write_units
from ..numerics.arrays import Float32Array, Int32Array
from .planes import mask_from_file, plane_unit

__all__ = ["STRUCTURAL", "read_image", "write_masked_image"]

_FILE = (
    "SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 NAXIS3 PCOUNT GCOUNT EXTEND GROUPS BLOCKED CHECKSUM DATASUM ZHECKSUM "
    "ZDATASUM LONGSTRN COMMENT HISTORY EXTNAME EXTVER END INHERIT"
)
STRUCTURAL = frozenset(_FILE.split())
"""Keywords that describe the file and not what is in it."""


def read_image(
    path: Path | str,
) -> tuple[Float32Array, Int32Array | None, Float32Array | None, Metadata]:
    """Read a master calibration in either form that exists: one image in any HDU, or afw's header, image, mask,
    variance.

    Plain, gzipped and tile-compressed files are accepted.

    Returns
    -------
    image, mask, variance
        (height, width); mask in our bits; mask and variance None if the file has none.
    header
        Cards of the primary HDU.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    DamagedInputError
        It has no image, or planes of different sizes.
    """
    with naming(path):
        return _interpret(path, read_units(path))


def _interpret(
    path: Path | str, units: list[ReadUnit]
) -> tuple[Float32Array, Int32Array | None, Float32Array | None, Metadata]:
    start = next((k for k, unit in enumerate(units) if unit.is_image), None)
    if start is None:
        raise DamagedInputError(f"{path} has no two-dimensional image", remedy="Use a master calibration")
    image = units[start].array().astype(np.float32, copy=False)
    planes: dict[str, ReadUnit] = {}
    for unit in units[start + 1 :]:
        kind = str(unit.header.get("EXTTYPE", "")).strip()
        if kind in ("MASK", "VARIANCE") and kind not in planes and unit.stored is not None:
            planes[kind] = unit
    arrays = {kind: unit.array() for kind, unit in planes.items()}
    for kind, array in arrays.items():
        if array.shape != image.shape:
            raise DamagedInputError(
                f"{path}: {kind} has {array.shape[1]} x {array.shape[0]} pixels, "
                f"the image {image.shape[1]} x {image.shape[0]}"
            )
    mask = mask_from_file(arrays["MASK"], planes["MASK"].header) if "MASK" in arrays else None
    variance = arrays["VARIANCE"].astype(np.float32, copy=False) if "VARIANCE" in arrays else None
    return image, mask, variance, units[0].metadata(STRUCTURAL.__contains__)


def write_masked_image(
    path: Path | str,
    image: NDArray[Any],
    mask: Int32Array | None = None,
    variance: NDArray[Any] | None = None,
    header: Mapping[str, CardValue] | None = None,
) -> None:
    """Write a master calibration atomically: header, image, mask, variance; or one image if there is neither
    mask nor variance.

    Pixels become float32, a missing plane of the two is filled with zeros.

    Raises
    ------
    OutputError, TemporaryError
        The file cannot be written.
    """
    cards = metadata_cards(Metadata(header).without(STRUCTURAL.__contains__))
    if mask is None and variance is None:
        write_units(path, [image_unit(np.asarray(image, dtype=np.float32), cards, primary=True)])
        return
    mask = np.zeros(image.shape, np.int32) if mask is None else mask
    variance = np.zeros(image.shape, np.float32) if variance is None else variance
    write_units(
        path,
        [
            primary_unit(cards),
            plane_unit("IMAGE", image),
            plane_unit("MASK", mask),
            plane_unit("VARIANCE", variance),
        ],
    )
