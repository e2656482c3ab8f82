"""Reading what is drawn: a dataset through the butler, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..butler.butler import Butler
from ..butler.data_id import EXPOSURE_KEYS, DataId, format_data_id, suggestion
from ..camera.calib_kinds import CALIB_KINDS
from ..errors import CalibNotFoundError, MissingInputError, UnknownDataIdError, UsageError
from ..image.exposure import Exposure
from ..image.sky_wcs import SkyWcs
from ..numerics.arrays import Int32Array

__all__ = ["DATASETS", "Frame", "default_dataset", "get_or_say", "only_exposure", "read_exposure_dataset", "read_frame"]

DATASETS: dict[str, str] = {
    "raw": "ADU",
    "postISRCCD": "ADU",
    "calexp": "ADU",
    **{kind.name: kind.unit for kind in CALIB_KINDS.values()},
}
"""Datasets that can be drawn, with the unit of their pixels."""

_REMEDIES = {
    "calexp": "Process the CCD first with hscbox process-ccd, and give its output repository",
    "postISRCCD": "It is kept only if asked for: run hscbox process-ccd with -c isr.doWrite=True",
    "raw": "Ingest the frame first with hscbox ingest-images",
    "src": "It is written by hscbox process-ccd; draw without sources: --no-sources",
    "calexpBackground": "It is written by hscbox process-ccd together with calexp",
}


@dataclass(frozen=True, eq=False)
class Frame:
    """An image to draw."""

    pixels: NDArray[np.floating]
    """(height, width)."""
    mask: Int32Array | None
    """Mask bits, or None if the dataset has no mask."""
    wcs: SkyWcs | None = None


def only_exposure(butler: Butler, data_id: DataId) -> DataId:
    """Return the complete data id of the one exposure that `data_id` stands for.

    Raises
    ------
    UsageError
        Several match.
    UnknownDataIdError
        None does.
    """
    rows = butler.exposures(data_id)
    if len(rows) > 1:
        first = ", ".join(f"visit={row['visit']} ccd={row['ccd']}" for row in rows[:3])
        raise UsageError(
            f"{len(rows)} exposures match '{format_data_id(data_id)}'; exactly one must: {first}, ...",
            remedy="Give visit and ccd, such as --id visit=40984 ccd=55",
        )
    return {key: rows[0][key] for key in EXPOSURE_KEYS if key in rows[0]}


def default_dataset(butler: Butler, data_id: DataId) -> str:
    """Return `calexp` if there is one, else `raw`."""
    return "calexp" if butler.datasetExists("calexp", data_id) else "raw"


def read_frame(butler: Butler, dataset: str, data_id: DataId) -> Frame:
    """Read one of `DATASETS`.

    Raises
    ------
    UsageError
        The dataset is unknown or none that can be drawn; the message names all.
    MissingInputError, CalibNotFoundError
        It is not there; the message says how to make it.
    DamagedInputError
        Its file is damaged.
    """
    if dataset not in DATASETS:
        raise UsageError(
            f"Unknown dataset '{dataset}' for a picture; allowed are {', '.join(DATASETS)}",
            remedy=suggestion(dataset, DATASETS),
        )
    value = get_or_say(butler, dataset, data_id)
    if dataset == "raw":
        return Frame(value.pixels, None)  # type: ignore[attr-defined]
    if isinstance(value, Exposure):
        return Frame(value.image, value.mask, value.wcs)
    return Frame(value.image, value.mask)  # type: ignore[attr-defined]


def read_exposure_dataset(butler: Butler, dataset: str, data_id: DataId) -> Exposure:
    """Read a dataset that is an exposure; raises as `read_frame`."""
    value = get_or_say(butler, dataset, data_id)
    assert isinstance(value, Exposure)
    return value


def get_or_say(butler: Butler, dataset: str, data_id: Mapping[str, object]) -> object:
    """Return a dataset, or raise an error that says how to make what is missing."""
    try:
        return butler.get(dataset, data_id)
    except (CalibNotFoundError, UnknownDataIdError):
        raise
    except MissingInputError as error:
        raise type(error)(error.message, remedy=error.remedy or _REMEDIES.get(dataset, "")) from error
