"""The instrument signature removal of one CCD with chosen switches, for comparisons; nothing is written."""

from __future__ import annotations

import copy
from typing import Any

from ..butler.butler import Butler
from ..butler.data_id import DataId
from ..butler.derived import exposure_id
from ..camera.filters import canonical_name
from ..camera.visit_info import visit_info_from_header
from ..image.exposure import Exposure
from ..isr.task import IsrConfig, IsrTask
from ..pipeline.config_store import load_config
from ..pipeline.process_ccd import ProcessCcdConfig, science_detector
from .frames import get_or_say

__all__ = ["ISR_STEPS", "recorded_isr_config", "run_isr"]

# These leave pixels and mask alone.
_NOT_STEPS = {"doWrite", "doWriteVignettePolygon"}
ISR_STEPS: tuple[str, ...] = tuple(
    sorted(name.removeprefix("do") for name in IsrConfig._fields if name.startswith("do") and name not in _NOT_STEPS)
)
"""The steps that can be switched: the words after `isr.do`."""


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
        load_config(butler.path("processCcd_config"), config)
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
    detector = science_detector(int(data_id["ccd"]))
    raw: Any = get_or_say(butler, "raw", data_id)
    filter_name = canonical_name(str(data_id["filter"]))
    wanted: dict[str, bool] = {
        "bias": chosen.doBias,
        "dark": chosen.doDark,
        "flat": chosen.doFlat,
        "fringe": chosen.doFringe and filter_name in chosen.fringe.filters,
    }
    calibs: dict[str, Any] = {name: butler.get(name, data_id) for name, on in wanted.items() if on}
    result = IsrTask(chosen, "show.isr").run(
        raw=raw,
        detector=detector,
        visit_info=visit_info_from_header(raw.header),
        filter_name=filter_name,
        bf_kernel=butler.get("bfKernel", data_id) if chosen.doBrighterFatter else None,
        defects=butler.get("defects", data_id) if chosen.doDefect else (),
        exposure_id=exposure_id(data_id),
        **calibs,
    )
    return result.exposure
