"""What one step of the reduction does: the frame without it, with it, and the difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..butler.butler import Butler
from ..butler.data_id import DataId, suggestion
from ..errors import UsageError
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..image.sky_wcs import SkyWcs
from ..numerics.arrays import Float32Array, FloatArray, Int32Array
from .frames import get_or_say, read_exposure_dataset
from .isr_runs import ISR_STEPS, recorded_isr_config, run_isr

__all__ = ["STEPS", "Comparison", "compare", "step_named"]

Pixels = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A frame without and with one step."""

    step: str
    titles: tuple[str, str]
    before: Pixels
    after: Pixels
    before_mask: Int32Array
    after_mask: Int32Array
    how: str
    """In one line, what was done to get the two."""
    unit: str = "ADU"
    wcs: SkyWcs | None = None

    @property
    def difference(self) -> FloatArray:
        """With minus without the step."""
        return self.after.astype(np.float64) - self.before.astype(np.float64)

    @property
    def changed_mask(self) -> Int32Array:
        """Mask bits that only one of the two has, on pixels of equal value; where values differ, these are shown."""
        return np.where(self.after == self.before, self.before_mask ^ self.after_mask, np.int32(0))


def step_named(text: str) -> str:
    """Return the step that a word stands for, upper or lower case.

    Raises
    ------
    UsageError
        There is none; the message names all.
    """
    by_lower = {name.lower(): name for name in STEPS}
    if text.lower() in by_lower:
        return by_lower[text.lower()]
    close = suggestion(text.lower(), by_lower)
    raise UsageError(
        f"Unknown step '{text}'; allowed are {', '.join(STEPS)}", remedy=close or "Example: --compare BrighterFatter"
    )


def compare(butler: Butler, step: str, data_id: DataId) -> Comparison:
    """Return the frame of a complete data id without and with a step of `STEPS`.

    Raises
    ------
    InputError
        Something that the comparison needs is missing or damaged.
    DataError
        The pixels defeat the correction.
    """
    return STEPS[step](butler, step, data_id)


def _isr_step(butler: Butler, step: str, data_id: DataId) -> Comparison:
    config, recorded = recorded_isr_config(butler)
    before = run_isr(butler, data_id, config, {step: False})
    after = run_isr(butler, data_id, config, {step: True})
    how = f"instrument signature removal with isr.do{step}=False and True, all else "
    how += "as the output records it" if recorded else "by default"
    if not getattr(config, f"do{step}"):
        how += "; the step was off in that record"
    plane = ISR_STEPS[step].plane
    prefix, unit = ("variance ", "ADU^2") if plane == "variance" else ("", "ADU")
    titles = (f"{prefix}without {step}", f"{prefix}with {step}")
    first, second = (getattr(exposure, plane) for exposure in (before, after))
    return Comparison(step, titles, first, second, before.mask, after.mask, how, unit, after.wcs)


def _background(butler: Butler, step: str, data_id: DataId) -> Comparison:
    after = read_exposure_dataset(butler, "calexp", data_id)
    sky = _sky(butler, data_id, after)
    titles = ("calexp with its background added back", "calexp")
    how = "calexp, and the same plus the sum of the models in calexpBackground"
    return Comparison(step, titles, after.image + sky, after.image, after.mask, after.mask, how, wcs=after.wcs)


def _cosmic_ray(butler: Butler, step: str, data_id: DataId) -> Comparison:
    repaired = read_exposure_dataset(butler, "calexp", data_id)
    if butler.datasetExists("postISRCCD", data_id):
        raw, source = read_exposure_dataset(butler, "postISRCCD", data_id), "postISRCCD"
    else:
        config, _ = recorded_isr_config(butler)
        raw, source = run_isr(butler, data_id, config, {}), "the frame after instrument signature removal (run again)"
    rays = (repaired.mask & np.int32(mask_bits("CR"))) != 0
    before = raw.image - _sky(butler, data_id, repaired)
    # What else differs is rounding: the background was subtracted in several parts.
    before = np.where(rays, before, repaired.image)
    how = f"CR pixels of {source} minus background, and of calexp; all other pixels are those of calexp"
    without = repaired.mask & ~np.int32(mask_bits("CR"))
    titles = ("cosmic rays as observed", "cosmic rays replaced (calexp)")
    return Comparison(step, titles, before, repaired.image, without, repaired.mask, how, wcs=repaired.wcs)


def _sky(butler: Butler, data_id: DataId, exposure: Exposure) -> Float32Array:
    models = get_or_say(butler, "calexpBackground", data_id)
    total = np.zeros(exposure.image.shape, dtype=np.float32)
    for model in models:  # type: ignore[attr-defined]
        total += model.evaluate()
    return total


STEPS: dict[str, Callable[[Butler, str, DataId], Comparison]] = {
    **dict.fromkeys(ISR_STEPS, _isr_step),
    "Background": _background,
    "CosmicRay": _cosmic_ray,
}
"""How each step is compared."""
