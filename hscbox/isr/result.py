"""What the instrument signature removal takes and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..image.exposure import Exposure
from ..numerics.arrays import ByteArray, Float32Array

__all__ = ["IsrResult", "RawPixels"]


class RawPixels(Protocol):
    """What the task needs of a raw frame."""

    @property
    def pixels(self) -> Float32Array:
        """Raw array in the detector frame, ADU."""

    @property
    def header(self) -> Mapping[str, object]:
        """Header of the raw file."""


@dataclass
class IsrResult:
    """What `IsrTask.run` returns."""

    exposure: Exposure
    oss_thumbnail: ByteArray | None = None
    """Grey picture after overscan subtraction, 1/4 of the size, first row first."""
    flattened_thumbnail: ByteArray | None = None
    """The same of the corrected image."""
    numbers: dict[str, float] = field(default_factory=dict)
    """Key numbers of the steps."""
