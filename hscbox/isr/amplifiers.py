"""From the raw array to the assembled image: saturation masks, overscan subtraction, trimming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..camera.boxes import Box
from ..camera.detector import Amplifier, Detector
from ..camera.geometry import EXTRA_ROWS, RAW_WIDTH
from ..errors import DamagedInputError, DataError, SaturatedFrameError
from ..image.mask import mask_bits
from ..numerics.arrays import Float32Array, Int32Array
from ..numerics.statistics import clipped_mean, median
from .config import IsrConfig
from .overscan import overscan_level

__all__ = ["AssembledFrame", "assemble", "detector_of_raw", "is_dead"]


@dataclass
class AssembledFrame:
    """Trimmed image and mask, with the overscan numbers of each amplifier."""

    image: Float32Array
    mask: Int32Array
    overscan_levels: dict[int, float] = field(default_factory=dict)
    """Median of the serial overscan by amplifier, ADU."""
    overscan_sigmas: dict[int, float] = field(default_factory=dict)
    """Its clipped standard deviation, ADU."""
    dead: tuple[int, ...] = ()
    """Amplifiers that the defect list covers."""


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
    """Mask saturation, subtract the overscan and put the amplifiers side by side.

    Parameters
    ----------
    pixels
        Raw array in the detector frame, ADU; not changed.
    detector
        Its description, with the rows of the raw array (`detector_of_raw`).
    defects
        Boxes of bad pixels on the trimmed image. Amplifiers inside one are only marked BAD.

    Raises
    ------
    SaturatedFrameError
        No pixel of a working amplifier is below its saturation and suspect levels.
    DataError
        No amplifier works.
    """
    frame = AssembledFrame(
        np.empty((detector.height, detector.width), np.float32),
        np.zeros((detector.height, detector.width), np.int32),
    )
    dead = []
    n_usable = 0
    for amp in detector.amplifiers:
        overscan = pixels[amp.serial_overscan.slices]
        frame.overscan_levels[amp.index] = median(overscan)
        frame.overscan_sigmas[amp.index] = clipped_mean(overscan).std
        frame.image[amp.trimmed.slices] = pixels[amp.data.slices]
        if is_dead(amp, defects):
            frame.mask[amp.trimmed.slices] |= mask_bits("BAD")
            dead.append(amp.index)
        elif _mask_levels(frame, amp, config):
            n_usable += 1
            if config.doOverscan:
                _subtract_overscan(frame, amp, overscan, config)
    frame.dead = tuple(dead)
    if len(dead) == len(detector.amplifiers):
        raise DataError(f"All amplifiers of CCD {detector.id} are in the defect list", ccd=detector.id)
    if n_usable == 0:
        raise SaturatedFrameError(
            f"All pixels of CCD {detector.id} are saturated or suspect; saturation at "
            f"{min(amp.saturation for amp in detector.amplifiers):g} ADU",
            remedy="The frame is over-exposed and cannot be processed",
            ccd=detector.id,
        )
    return frame


def _mask_levels(frame: AssembledFrame, amp: Amplifier, config: IsrConfig) -> bool:
    """Set SAT and SUSPECT from the raw values; return whether any pixel has neither."""
    data, mask = frame.image[amp.trimmed.slices], frame.mask[amp.trimmed.slices]
    usable = True
    for wanted, level, plane in (
        (config.doSaturation, amp.saturation, "SAT"),
        (config.doSuspect, amp.suspect, "SUSPECT"),
    ):
        if wanted and np.isfinite(level):
            mask[data >= level] |= mask_bits(plane)
    if config.doSaturation or config.doSuspect:
        usable = bool(np.any((mask & mask_bits("SAT", "SUSPECT")) == 0))
    return usable


def _subtract_overscan(frame: AssembledFrame, amp: Amplifier, overscan: Float32Array, config: IsrConfig) -> None:
    fit = overscan_level(
        overscan,
        fit_type=config.overscanFitType,
        order=config.overscanOrder,
        max_deviation=config.overscanMaxDev,
        reject=config.overscanRej,
    )
    frame.image[amp.trimmed.slices] -= fit.level.astype(np.float32)[:, None]
    frame.mask[amp.trimmed.slices][fit.doubtful] |= mask_bits("SUSPECT")
