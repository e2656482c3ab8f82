"""Amplifiers that have died since the list of defects was made."""

from __future__ import annotations

import numpy as np

from ..camera.detector import Detector
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.statistics import median
from .frame import Frame

__all__ = ["find_silent_amplifiers", "mask_silent_amplifiers"]

_SHARE = 0.05
"""An amplifier below this part of the brightest one's level is silent; vignetting within a CCD takes half at most."""
_LEAST_SIGNAL = 20.0
"""Read noises of sky that the brightest amplifier must see before silence means anything."""
_MOST_SIGNAL = 1.0
"""A silent amplifier is this many read noises from its pedestal at most: faint sky beside a bright object is more."""
_ROW_STEP = 16


def mask_silent_amplifiers(exposure: Exposure, detector: Detector) -> list[int]:
    """Set BAD, in place, on amplifiers that see nothing of the sky that the others see; return their numbers.

    The level is the median of every 16th row, without BAD and SAT pixels; the image [ADU] must be without pedestal.
    """
    ignored = mask_bits("BAD", "SAT")
    levels = {}
    for amp in detector.amplifiers:
        rows, columns = amp.trimmed.slices
        part = slice(rows.start, rows.stop, _ROW_STEP), columns
        levels[amp.index] = median(exposure.image[part], exposure.mask[part], ignored)
    seen = [level for level in levels.values() if np.isfinite(level)]
    if not seen or max(seen) < _LEAST_SIGNAL * max(amp.read_noise for amp in detector.amplifiers):
        return []
    silent = [
        amp
        for amp in detector.amplifiers
        if levels[amp.index] < _SHARE * max(seen) and abs(levels[amp.index]) <= _MOST_SIGNAL * amp.read_noise
    ]
    for amp in silent:
        exposure.mask[amp.trimmed.slices] |= mask_bits("BAD")
    return [amp.index for amp in silent]


def find_silent_amplifiers(frame: Frame) -> None:
    """Mark silent amplifiers as dead, with a warning each, and name all dead ones in the header."""
    silent = mask_silent_amplifiers(frame.exposure, frame.detector)
    for number in silent:
        frame.log.warning("Amplifier %d sees no sky although others do; setting it to BAD", number)
    frame.dead = tuple(sorted({*frame.dead, *silent}))
    names = " ".join(map(str, frame.dead))
    frame.exposure.metadata.set("DEADAMPS", names, "amplifiers in the defect list, or without signal")
