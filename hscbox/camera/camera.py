"""The camera: all archived CCDs by number and by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from .boxes import Box
from .detector import Amplifier, Detector
from .tables import Row, read_table

__all__ = ["Camera", "load_camera"]


class Camera(Mapping[int, Detector]):
    """The 112 archived CCDs: 104 science CCDs (0 to 103) and 8 focus CCDs (104 to 111), by number."""

    name = "HSC"

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        self._by_id = {detector.id: detector for detector in detectors}
        self._by_name = {detector.name: detector for detector in detectors}

    def __getitem__(self, ccd: int) -> Detector:
        return self._by_id[ccd]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def by_name(self, name: str) -> Detector:
        """Return the CCD called `name`, like "0_10"; KeyError if there is none."""
        return self._by_name[name]


@cache
def load_camera() -> Camera:
    """Return the camera as of 2017-09-22; it is read once and shared.

    Source: lsst/obs_subaru @ b7c7029d (2017-09-22): hsc/camera.
    """
    windows = {row["amp"]: row for row in read_table("amplifier_boxes")}
    amplifiers: dict[int, list[Amplifier]] = {}
    for row in read_table("amplifiers"):
        amplifiers.setdefault(row["det_id"], []).append(_amplifier(row, windows[row["amp"]]))
    return Camera(tuple(_detector(row, amplifiers[row["id"]]) for row in read_table("detectors")))


def _amplifier(row: Row, window: Row) -> Amplifier:
    def box(name: str) -> Box:
        return Box(*(window[f"{name}_{part}"] for part in ("x0", "y0", "width", "height")))

    return Amplifier(
        index=row["amp"],
        channel=row["channel"],
        gain=row["gain"],
        header_gain=row["header_gain"],
        read_noise=row["read_noise"],
        saturation=row["saturation"],
        suspect=row["suspect"],
        linearity_type=row["linearity_type"],
        linearity_c0=row["linearity_c0"],
        trimmed=box("trimmed"),
        raw=box("raw"),
        data=box("data"),
        serial_overscan=box("serial_overscan"),
    )


def _detector(row: Row, amplifiers: list[Amplifier]) -> Detector:
    return Detector(
        id=row["id"],
        name=row["name"],
        serial=str(row["id"]),
        type=row["type"],
        bee=row["bee"],
        sdo=row["sdo"],
        offset_x=row["offset_x"],
        offset_y=row["offset_y"],
        yaw_deg=row["yaw"],
        mirror=row["mirror"],
        amplifiers=tuple(amplifiers),
    )
