"""Fixed patterns of the detector and its readout: bias structure, dark current, glow, pedestals, defects.

`PATTERNS` says for each kind of master calibration what it shows and how that acts on a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from ..camera.bad_channels import bad_amplifiers
from ..camera.boxes import Box
from ..camera.defects import defects_for
from ..camera.geometry import CCD_HEIGHT, CCD_WIDTH
from ..errors import CalibNotFoundError
from ..numerics.arrays import Float32Array, FloatArray
from .illumination import flat_field, fringe_pattern
from .scene import FRINGE_FILTERS, Scene

__all__ = [
    "PATTERNS",
    "DefectList",
    "Pattern",
    "acting",
    "bias_structure",
    "dark_rate",
    "pedestals",
    "scene_defects",
    "serial_drift",
]


_PEDESTAL, _PEDESTAL_SCATTER, _PEDESTAL_DRIFT = 1000.0, 60.0, 1.0
_COLUMN_PATTERN, _SEAM, _REGISTER_GLOW, _REGISTER_SCALE = 0.3, 2.0, 0.8, 40.0
_DARK_RATE = 3e-4
_WARM_FRACTION, _WARM_RATE = 6e-5, 0.02
_GLOW_CCD, _GLOW_BOX, _GLOW_RATE, _GLOW_SCALE = 33, Box(0, 3920, 256, 256), 0.4, 70.0
_DRIFT_AMPLITUDE = 0.7


@dataclass(frozen=True)
class DefectList:
    """What is broken on a CCD: whole amplifiers by index, and boxes by kind."""

    dead_amplifiers: frozenset[int]
    dead_boxes: tuple[Box, ...]
    hot_boxes: tuple[Box, ...]


def bias_structure(scene: Scene) -> Float32Array:
    """Return the master bias in ADU, (rows, 2048): what the overscan does not remove; zero if the effect is off."""
    if not scene.effects.bias_structure:
        return np.zeros(scene.shape, dtype=np.float32)
    rng = scene.rng("bias structure", fixed=True)
    columns = _COLUMN_PATTERN * rng.standard_normal(scene.shape[1])
    # The line in the middle of the chip, between the two halves of the readout.
    columns[CCD_WIDTH // 2 - 1 : CCD_WIDTH // 2 + 1] += _SEAM
    glow = _REGISTER_GLOW * np.exp(-np.arange(scene.shape[0]) / _REGISTER_SCALE)
    return (glow[:, None] + columns[None, :]).astype(np.float32)


@lru_cache(maxsize=1)
def dark_rate(scene: Scene) -> Float32Array:
    """Return the master dark in ADU per second, (rows, 2048): dark current, warm pixels, glow of CCD 33.

    The frame and its master ask for it one after the other, so the last one is kept, read-only.
    """
    rate = np.zeros(scene.shape)
    if scene.effects.dark:
        rng = scene.rng("dark", fixed=True)
        rate += _DARK_RATE
        warm = rng.random(scene.shape) < _WARM_FRACTION
        rate[warm] += rng.exponential(_WARM_RATE, np.count_nonzero(warm))
    if scene.effects.amp_glow and scene.ccd == _GLOW_CCD:
        box = _GLOW_BOX.clip(Box(0, 0, scene.shape[1], scene.shape[0]))
        y, x = np.mgrid[box.slices]
        rate[box.slices] += _GLOW_RATE * np.exp(-np.hypot(x, CCD_HEIGHT - 1.0 - y) / _GLOW_SCALE)
    result = rate.astype(np.float32)
    result.flags.writeable = False
    return result


def pedestals(scene: Scene) -> FloatArray:
    """Return the level of each of the four amplifiers without light, ADU: fixed, plus a drift between frames."""
    fixed = _PEDESTAL + _PEDESTAL_SCATTER * np.clip(scene.rng("pedestal", fixed=True).standard_normal(4), -3, 3)
    return fixed + _PEDESTAL_DRIFT * scene.rng("pedestal").standard_normal(4)


def serial_drift(scene: Scene, n_rows: int) -> FloatArray:
    """Return the drift of the pedestal during readout, ADU, (4, n_rows): slow waves, different per amplifier.

    No wave is shorter than 1500 rows: the smooth curve that the reduction fits through the overscan follows them.
    """
    drift = np.zeros((4, n_rows))
    if scene.effects.overscan_drift:
        rng = scene.rng("overscan drift")
        row = np.arange(n_rows, dtype=np.float64)
        for amplifier in range(4):
            for length in rng.uniform(1500.0, 6000.0, 2):
                phase = 2.0 * np.pi * (row / length + rng.random())
                drift[amplifier] += _DRIFT_AMPLITUDE * rng.standard_normal() * np.sin(phase)
    return drift


def scene_defects(scene: Scene) -> DefectList:
    """Return the broken parts on the scene's date: the defect list and the channels declared bad.

    A box that covers an amplifier is a dead amplifier; of the other boxes one in two is hot, the others are dead.
    """
    if not scene.effects.defects:
        return DefectList(frozenset(), (), ())
    try:
        boxes = defects_for(scene.ccd, scene.date, scene.rows)
    except CalibNotFoundError:
        boxes = []
    dead = set(bad_amplifiers(scene.ccd, scene.date))
    small = []
    for box in boxes:
        covered = [a.index for a in scene.detector.amplifiers if a.trimmed.clip(box) == a.trimmed]
        dead.update(covered)
        # The glowing corner of CCD 33 is listed as a defect; its charge comes from the dark.
        if not covered and not (scene.ccd == _GLOW_CCD and box.clip(_GLOW_BOX) == box):
            small.append(box)
    rng = scene.rng("defects", fixed=True)
    hot = rng.random(len(small)) < 0.5
    return DefectList(
        frozenset(dead),
        tuple(box for box, is_hot in zip(small, hot, strict=True) if not is_hot),
        tuple(box for box, is_hot in zip(small, hot, strict=True) if is_hot),
    )


@dataclass(frozen=True)
class Pattern:
    """What the masters of one kind show."""

    pixels: Callable[[Scene], Float32Array]
    """The master, (rows, 2048)."""
    acts: Literal["sky", "light", "charge", "level"]
    """How a frame feels it: in proportion to the sky, as factor of all light, as ADU per second, as ADU."""
    depends: tuple[str, ...] = ()
    """Effects of the scene that the pixels depend on."""
    filters: frozenset[str] | None = None
    """Canonical names of the filters that have it; None: all."""
    switch: str = ""
    """Effect of the scene that puts it into frames, beside those that the pixels depend on."""


PATTERNS: dict[str, Pattern] = {
    "bias": Pattern(bias_structure, "level", depends=("bias_structure",)),
    "dark": Pattern(dark_rate, "charge", depends=("dark", "amp_glow")),
    "flat": Pattern(flat_field, "light", depends=("flat", "jacobian")),
    "fringe": Pattern(fringe_pattern, "sky", filters=FRINGE_FILTERS, switch="fringes"),
}


def acting(scene: Scene, how: Literal["sky", "light", "charge", "level"]) -> list[Float32Array]:
    """Return the patterns that act on a frame of the scene in that way."""
    return [
        pattern.pixels(scene)
        for pattern in PATTERNS.values()
        if pattern.acts == how
        and (pattern.filters is None or scene.canonical_filter in pattern.filters)
        and (not pattern.switch or getattr(scene.effects, pattern.switch))
    ]
