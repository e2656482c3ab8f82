"""Amplifiers that have died since the list of defects was made."""

from __future__ import annotations

import numpy as np

from ..image.mask import mask_bits
from ..numerics.statistics import median
from .frame import Frame

__all__ = ["find_silent_amplifiers"]

_SHARE = 0.05
"""An amplifier below this part of the brightest one's level is silent; vignetting within a CCD takes half at most."""
_LEAST_SIGNAL = 20.0
"""Read noises of sky that the brightest amplifier must see before silence means anything."""
_MOST_SIGNAL = 1.0
"""A silent amplifier is this many read noises from its pedestal at most: faint sky beside a bright object is more."""
_ROW_STEP = 16


def find_silent_amplifiers(frame: Frame) -> None:
    """Set BAD, in place, on amplifiers that see nothing of the sky that the others see, with a warning each.

    The level is the median of every 16th row, without BAD and SAT pixels; the image [ADU] must be without pedestal.
    All dead amplifiers are named in the header.
    """
    exposure, amplifiers, ignored = frame.exposure, frame.detector.amplifiers, mask_bits("BAD", "SAT")
    levels = {}
    for amp in amplifiers:
        rows, columns = amp.trimmed.slices
        part = slice(rows.start, rows.stop, _ROW_STEP), columns
        levels[amp.index] = median(exposure.image[part], exposure.mask[part], ignored)
    brightest = max((level for level in levels.values() if np.isfinite(level)), default=0.0)
    if brightest >= _LEAST_SIGNAL * max(amp.read_noise for amp in amplifiers):
        for amp in amplifiers:
            level = levels[amp.index]
            if level < _SHARE * brightest and abs(level) <= _MOST_SIGNAL * amp.read_noise:
                frame.log.warning("Amplifier %d sees no sky although others do; setting it to BAD", amp.index)
                exposure.mask[amp.trimmed.slices] |= mask_bits("BAD")
                frame.dead = tuple(sorted({*frame.dead, amp.index}))
    names = " ".join(map(str, frame.dead))
    exposure.metadata.set("DEADAMPS", names, "amplifiers in the defect list, or without signal")
