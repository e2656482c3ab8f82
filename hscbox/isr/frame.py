"""The frame at work."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from ..camera.detector import Amplifier, Detector
from ..image.exposure import Exposure
from ..numerics.arrays import ByteArray
from .config import IsrConfig
from .inputs import IsrInputs

__all__ = ["Frame"]


@dataclass
class Frame:
    """What the steps read, and the exposure that they change in place."""

    config: IsrConfig
    inputs: IsrInputs
    """Cut to the rows of the frame; every master that a step needs is there and fits."""
    exposure: Exposure
    dead: tuple[int, ...]
    """Amplifiers in the defect list, later also those without signal."""
    usable: tuple[Amplifier, ...]
    """Amplifiers of which at least one pixel is neither saturated nor suspect."""
    log: logging.Logger
    """That of the step at work."""
    thumbnails: dict[str, ByteArray] = field(default_factory=dict)

    @property
    def detector(self) -> Detector:
        """The detector, with the rows of the frame."""
        return self.inputs.detector
