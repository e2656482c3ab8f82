"""The instrument signature removal of one CCD with chosen switches, for comparisons; nothing is written."""

from __future__ import annotations

import copy

from ..butler.butler import Butler
from ..butler.data_id import DataId
from ..image.exposure import Exposure
from ..isr.config import IsrConfig
from ..isr.steps import STEPS, Step
from ..isr.task import IsrTask
from ..pipeline.inputs import Inputs, isr_inputs
from ..pipeline.overrides import apply_file
from ..pipeline.process_ccd import ProcessCcdConfig

__all__ = ["ISR_STEPS", "recorded_isr_config", "run_isr"]

ISR_STEPS: dict[str, Step] = {
    step.switch.removeprefix("do"): step for step in STEPS if step.switch and step.plane != "none"
}
"""The steps that can be switched and seen, by the word after `isr.do`."""


def recorded_isr_config(butler: Butler) -> tuple[IsrConfig, bool]:
    """Return the configuration that the output was made with, else the default; and whether it was recorded.

    Raises
    ------
    ConfigError
        The recorded configuration cannot be understood.
    """
    config = ProcessCcdConfig()
    recorded = butler.datasetExists("processCcd_config")
    if recorded:
        apply_file(config, butler.path("processCcd_config"))
    return config.isr, recorded


def run_isr(butler: Butler, data_id: DataId, config: IsrConfig, switches: dict[str, bool]) -> Exposure:
    """Return the corrected exposure of a complete data id.

    Parameters
    ----------
    config
        The configuration to start from; it is not changed.
    switches
        Steps of `ISR_STEPS` to switch on or off.

    Raises
    ------
    InputError
        The raw frame or a calibration is missing or damaged.
    DataError
        The pixels defeat the correction.
    """
    chosen = copy.deepcopy(config)
    chosen.update(**{f"do{step}": on for step, on in switches.items()})
    chosen.qa.update(doThumbnailOss=False, doThumbnailFlattened=False)
    result = IsrTask(chosen, "show.isr").run(isr_inputs(butler, data_id, chosen, Inputs()))
    return result.exposure
