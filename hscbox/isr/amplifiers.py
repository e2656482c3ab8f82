"""From the raw array to the assembled image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..camera.boxes import Box
from ..camera.detector import Amplifier, Detector
from ..camera.geometry import EXTRA_ROWS, RAW_WIDTH
from ..errors import DamagedInputError, DataError, SaturatedFrameError
from ..image.mask import mask_bits
from ..numerics.arrays import Float32Array, Int32Array
from .config import IsrConfig

__all__ = ["AssembledFrame", "assemble", "detector_of_raw", "is_dead"]


@dataclass(frozen=True)
class AssembledFrame:
    """Trimmed image and mask, and which amplifiers work."""

    image: Float32Array
    mask: Int32Array
    dead: tuple[int, ...]
    """Amplifiers that the defect list covers."""
    usable: tuple[Amplifier, ...]
    """The others, of which at least one pixel is below the saturation and suspect levels."""


def detector_of_raw(detector: Detector, shape: tuple[int, ...]) -> Detector:
    """Return the detector with as many rows as a raw array of this shape has; cut-outs have fewer.

    Raises
    ------
    DamagedInputError
        The array is not as wide as a raw frame or has no exposed rows.
    """
    n_rows = shape[0] - EXTRA_ROWS if len(shape) == 2 else 0
    if len(shape) != 2 or shape[1] != RAW_WIDTH or not 1 <= n_rows <= detector.height:
        raise DamagedInputError(
            f"Raw frame of CCD {detector.id} has shape {shape}; allowed: {RAW_WIDTH} columns and "
            f"{EXTRA_ROWS + 1} to {EXTRA_ROWS + detector.height} rows",
            shape=shape,
        )
    return detector if n_rows == detector.height else detector.for_rows(n_rows)


def is_dead(amplifier: Amplifier, defects: Sequence[Box]) -> bool:
    """Say whether one defect box covers the whole amplifier."""
    area = amplifier.trimmed
    return any(
        box.x0 <= area.x0
        and box.y0 <= area.y0
        and box.x0 + box.width >= area.x0 + area.width
        and box.y0 + box.height >= area.y0 + area.height
        for box in defects
    )


def assemble(pixels: Float32Array, detector: Detector, defects: Sequence[Box], config: IsrConfig) -> AssembledFrame:
    """Put the amplifiers side by side, raw values and pedestal as they are.

    Parameters
    ----------
    pixels
        Raw array in the detector frame, ADU; not changed.
    detector
        Its description, with the rows of the raw array (`detector_of_raw`).
    defects
        Boxes of bad pixels on the trimmed image. Amplifiers inside one are marked BAD.
    config
        Says which levels count.

    Raises
    ------
    SaturatedFrameError
        No pixel of a working amplifier is below its saturation and suspect levels.
    DataError
        No amplifier works.
    """
    image = np.empty((detector.height, detector.width), np.float32)
    mask = np.zeros(image.shape, np.int32)
    dead = tuple(amp.index for amp in detector.amplifiers if is_dead(amp, defects))
    usable = []
    for amp in detector.amplifiers:
        image[amp.trimmed.slices] = pixels[amp.data.slices]
        if amp.index in dead:
            mask[amp.trimmed.slices] = mask_bits("BAD")
        elif not np.all(pixels[amp.data.slices] >= _lowest_level(amp, config)):
            usable.append(amp)
    if len(dead) == len(detector.amplifiers):
        raise DataError(f"All amplifiers of CCD {detector.id} are in the defect list", ccd=detector.id)
    if not usable:
        raise SaturatedFrameError(
            f"All pixels of CCD {detector.id} are saturated or suspect; saturation at "
            f"{min(amp.saturation for amp in detector.amplifiers):g} ADU",
            remedy="The frame is over-exposed and cannot be processed",
            ccd=detector.id,
        )
    return AssembledFrame(image, mask, dead, tuple(usable))


def _lowest_level(amp: Amplifier, config: IsrConfig) -> float:
    """Return the raw level above which no pixel is good; infinity without any."""
    levels = ((config.doSaturation, amp.saturation), (config.doSuspect, amp.suspect))
    return min((level for wanted, level in levels if wanted and np.isfinite(level)), default=np.inf)
