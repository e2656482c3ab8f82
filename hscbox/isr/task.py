"""The instrument signature removal task: the declared steps, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..image.exposure import Exposure
from ..numerics.arrays import ByteArray
from ..task_metadata import Task, timed_method
from .amplifiers import assemble
from .config import IsrConfig
from .frame import Frame
from .header import numbers_digest, raw_cards, record_calib
from .inputs import IsrInputs
from .starting_wcs import starting_wcs
from .steps import STEPS, Step, needed

__all__ = ["IsrResult", "IsrTask"]


@dataclass
class IsrResult:
    """What `IsrTask.run` returns."""

    exposure: Exposure
    thumbnails: dict[str, ByteArray]
    """Grey pictures, 1/4 of the size, first row first, by dataset."""


class IsrTask(Task[IsrConfig]):
    """Turn a raw frame into a flat-fielded exposure with mask and variance."""

    def __init__(self, config: IsrConfig | None = None, name: str = "isr") -> None:
        super().__init__(IsrConfig() if config is None else config, name)

    @timed_method
    def run(self, inputs: IsrInputs) -> IsrResult:
        """Apply all steps that are switched on, in the order of `STEPS`; no input is changed.

        Raises
        ------
        MissingInputError
            A calibration of a correction that is switched on is missing; nothing has been computed then.
        DamagedInputError
            Shapes do not fit.
        SaturatedFrameError
            No usable pixel is left.
        DataError
            All amplifiers are defects, or fringes cannot be measured.
        """
        frame = self._assembled(inputs.fitted(needed(self.config, inputs)))
        for step in STEPS:
            wanted = step.wanted(self.config, frame.inputs)
            if wanted:
                self._apply(step, frame)
            letters, comment = step.card
            if letters:
                frame.exposure.metadata.set(f"ISR_{letters}", wanted, comment)
        return IsrResult(frame.exposure, frame.thumbnails)

    def _assembled(self, inputs: IsrInputs) -> Frame:
        frame = assemble(inputs.raw.pixels, inputs.detector, inputs.defects, self.config)
        exposure = Exposure(
            frame.image,
            frame.mask,
            np.ones_like(frame.image),
            starting_wcs(inputs.detector, inputs.visit_info, inputs.raw.header),
            visit_info=inputs.visit_info,
            filter_name=inputs.filter_name,
            detector=inputs.detector,
            metadata=raw_cards(inputs.raw.header),
        )
        return Frame(self.config, inputs, exposure, frame.dead, frame.usable, self.log)

    def _apply(self, step: Step, frame: Frame) -> None:
        """Do a step, and record the calibrations that it uses."""
        metadata, masters = frame.exposure.metadata, frame.inputs.masters
        frame.log = self.log.getChild(step.logger) if step.logger else self.log
        if step.says:
            frame.log.info(step.says)
        for master in (masters[kind] for kind in step.needs if kind in masters):
            record_calib(metadata, step.card[0], master.name, master.sha256)
        if step.table is not None:
            letters, name, numbers = step.table
            record_calib(metadata, letters, name, numbers_digest(numbers(frame.inputs)))
        # Pixels without a value stay such pixels, and are marked: nobody needs to be told of each operation.
        with np.errstate(all="ignore"):
            step.apply(frame)
