"""Datasets that are parts of a file (`calexp_wcs`, `src_schema`) or are computed from the data id alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..camera.geometry import EXPOSURE_IDS_PER_VISIT
from ..errors import DamagedInputError, UsageError
from .data_id import DataId, suggestion
from .formatters import read_file, read_fits_header
from .templates import DATASETS, DatasetType

if TYPE_CHECKING:
    from ..camera.detector import Detector

__all__ = ["COMPUTED", "ExposureIdInfo", "compute", "exposure_id", "read_part", "split_name"]


@dataclass(frozen=True)
class ExposureIdInfo:
    """Number of an exposure and how many bits it takes within a source id.

    Source ids are `exp_id * 2**(max_bits - exp_bits) + counter`.
    """

    exp_id: int
    exp_bits: int = 32
    max_bits: int = 64

    @property
    def unused_bits(self) -> int:
        """Bits left for the counter of sources."""
        return self.max_bits - self.exp_bits


def exposure_id(data_id: DataId) -> int:
    """Return `200 visit + ccd`, the number of one CCD exposure."""
    return int(data_id["visit"]) * EXPOSURE_IDS_PER_VISIT + int(data_id["ccd"])


def _camera(data_id: DataId) -> object:
    from ..camera.camera import load_camera

    del data_id
    return load_camera()


def _detector(data_id: DataId) -> Detector:
    from ..camera.camera import load_camera

    return load_camera()[int(data_id["ccd"])]


def _defects(data_id: DataId) -> object:
    from ..camera.defects import defects_for

    return defects_for(int(data_id["ccd"]), str(data_id["taiObs"]))


# Name, the keys it needs, and how it is computed.
COMPUTED: dict[str, tuple[tuple[str, ...], Callable[[DataId], object]]] = {
    "ccdExposureId": (("visit", "ccd"), exposure_id),
    "ccdExposureId_bits": ((), lambda data_id: 32),
    "expIdInfo": (("visit", "ccd"), lambda data_id: ExposureIdInfo(exposure_id(data_id))),
    "camera": ((), _camera),
    "defects": (("ccd", "taiObs"), _defects),
}

_ANY = ("filename",)
_PARTS: dict[str, tuple[str, ...]] = {
    "raw": ("filename", "md", "wcs", "visitInfo", "filter", "detector", "bbox"),
    "exposure": ("filename", "md", "wcs", "calib", "visitInfo", "filter", "detector", "bbox"),
    "image": ("filename", "md", "bbox"),
    "catalog": ("filename", "md", "len", "schema"),
    "matches": ("filename", "md", "len"),
}


def split_name(name: str) -> tuple[DatasetType, str]:
    """Return the dataset type and the part (`md`, `wcs`, ...) that a dataset name stands for; part "" is all.

    Raises
    ------
    UsageError
        There is no such dataset; the message names those that are close, or all.
    """
    if name in DATASETS:
        return DATASETS[name], ""
    stem, _, part = name.rpartition("_")
    if stem in DATASETS:
        kind = DATASETS[stem]
        allowed = _PARTS.get(kind.storage, _ANY)
        if part in allowed:
            return kind, part
        raise UsageError(
            f"Dataset '{stem}' has no part '{part}'; allowed are {', '.join(f'{stem}_{a}' for a in allowed)}"
        )
    choices = (*DATASETS, *COMPUTED)
    raise UsageError(
        f"Unknown dataset '{name}'; allowed are {', '.join(sorted(choices))}", remedy=suggestion(name, choices)
    )


def compute(name: str, data_id: DataId) -> object:
    """Return a computed dataset for a data id that has the keys it needs."""
    return COMPUTED[name][1](data_id)


def read_part(kind: DatasetType, part: str, path: Path, data_id: DataId) -> Any:
    """Read one part of the dataset whose file is `path`."""
    if part == "filename":
        return [str(path)]
    if part == "detector":
        return _detector(data_id)
    if kind.storage == "raw":
        return _raw_part(part, path, data_id)
    if part == "md":
        return _metadata(kind, path)
    if part == "len":
        return _length(read_fits_header(path, 1), 2, path)
    if part == "bbox":
        return _bbox(read_fits_header(path, 1 if kind.storage == "exposure" else 0), path)
    if part == "schema":
        return read_file(kind.storage, path).schema
    exposure = read_file(kind.storage, path)
    attribute = {"wcs": "wcs", "calib": "photo_calib", "visitInfo": "visit_info", "filter": "filter_name"}[part]
    return getattr(exposure, attribute)


def _metadata(kind: DatasetType, path: Path) -> object:
    from ..fits.metadata import Metadata

    cards = read_fits_header(path, 1 if kind.storage in {"catalog", "matches"} else 0)
    return Metadata({k: v for k, v in cards.items() if isinstance(v, bool | int | float | str)})


def _bbox(header: dict[str, object], path: Path) -> object:
    from ..camera.boxes import Box

    return Box(0, 0, _length(header, 1, path), _length(header, 2, path))


def _length(header: dict[str, object], axis: int, path: Path) -> int:
    value = header.get(f"NAXIS{axis}")
    if isinstance(value, bool) or not isinstance(value, int):
        raise DamagedInputError(f"{path} has NAXIS{axis} = {value!r}, not a number", remedy="Fetch or make it again")
    return value


def _raw_part(part: str, path: Path, data_id: DataId) -> object:
    from ..camera.visit_info import visit_info_from_header
    from ..fits.header_reader import read_primary_header
    from ..fits.metadata import Metadata
    from ..image.wcs import initial_wcs

    header = read_primary_header(path)
    if part == "md":
        return Metadata({k: v for k, v in header.items() if isinstance(v, bool | int | float | str)})
    if part == "bbox":
        return _bbox(header, path)
    if part == "filter":
        from ..camera.filters import canonical_name

        return canonical_name(str(data_id["filter"]))
    visit_info = visit_info_from_header(header)
    return visit_info if part == "visitInfo" else initial_wcs(_detector(data_id), visit_info)


def read_raw_frame(path: Path, data_id: DataId) -> object:
    """Read the pixels of a raw frame, turned into the frame of its detector."""
    from ..products.raw import read_raw

    return read_raw(path, _detector(data_id))
