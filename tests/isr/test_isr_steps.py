"""The declared list of steps: a new entry is applied, logged, recorded; what it needs is asked for and refused."""

from __future__ import annotations

import dataclasses
import logging
from operator import attrgetter

import numpy as np
import pytest
from isr_frames import EXPOSURE_ID, N_ROWS, calib, raw_frame

from hscbox.camera.calib_kinds import CALIB_KINDS
from hscbox.camera.camera import load_camera
from hscbox.camera.detector import Detector
from hscbox.camera.visit_info import VisitInfo
from hscbox.errors import MissingInputError, SaturatedFrameError
from hscbox.isr import steps, task
from hscbox.isr.config import IsrConfig
from hscbox.isr.inputs import IsrInputs

SHAPE = (N_ROWS, 2048)


@pytest.fixture
def inputs(detector: Detector, visit_info: VisitInfo) -> IsrInputs:
    """A frame of nothing but sky, 500 ADU."""
    return IsrInputs(raw_frame(detector, np.full(SHAPE, 500.0)), load_camera()[55], visit_info, "r", EXPOSURE_ID)


def off(*kept: str) -> IsrConfig:
    """Return the configuration with these switches only."""
    config = IsrConfig()
    config.update(**{name: name in kept for name in config if name.startswith("do")})
    return config


@pytest.mark.parametrize("on", [True, False])
def test_a_new_entry_is_all_that_a_correction_needs(
    inputs: IsrInputs, on: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def double(frame: task.Frame) -> None:
        frame.exposure.image *= 1.0 + frame.inputs.masters["flat"].image

    new = steps.Step("Double", double, "doFlat", needs=("flat",), card=("DBL", "doubled"), says="Doubling", logger="x")
    changed = (new, *(step for step in steps.STEPS if step.name != "Flat"))
    for module in (steps, task):
        monkeypatch.setattr(module, "STEPS", changed)
    caplog.set_level(logging.INFO)
    inputs = dataclasses.replace(inputs, masters={"flat": calib(np.ones((N_ROWS + 5, 2048)), "ONES.fits")})
    exposure = task.IsrTask(off("doOverscan", *(["doFlat"] if on else [])), "isr").run(inputs).exposure
    # Before the overscan of 1000 is subtracted: 2 (500 + 1000) - 1000.
    assert np.all(exposure.image == (2000.0 if on else 500.0))
    assert exposure.metadata["ISR_DBL"] is on and exposure.metadata.comment("ISR_DBL") == "doubled"
    assert [exposure.metadata[key] for key in exposure.metadata if key == "DBLNAM"] == ["ONES.fits"] * on
    assert [r.name for r in caplog.records if r.getMessage() == "Doubling"] == ["isr.x"] * on


def test_what_is_missing_is_refused_before_anything_is_computed(inputs: IsrInputs, detector: Detector) -> None:
    inputs = dataclasses.replace(inputs, raw=raw_frame(detector, np.full(SHAPE, 63000.0)))
    with pytest.raises(SaturatedFrameError):
        task.IsrTask(off("doSaturation")).run(inputs)
    with pytest.raises(MissingInputError, match="Unable to retrieve flat"):
        task.IsrTask(off("doSaturation", "doFlat")).run(inputs)
    with pytest.raises(MissingInputError, match="the frame has no visit information"):
        task.IsrTask(off("doDark")).run(dataclasses.replace(inputs, visit_info=None))


@pytest.mark.parametrize(
    ("filter_name", "switched_off", "expected"),
    [
        ("r", (), ["bias", "bf_kernel", "visit_info", "dark", "flat", "defects"]),
        ("y", (), ["bias", "bf_kernel", "visit_info", "dark", "flat", "defects", "fringe"]),
        ("y", ("doFringe", "doDark", "doDefect"), ["bias", "bf_kernel", "flat"]),
        ("N921", ("doBias", "doBrighterFatter", "doDark", "doFlat", "doDefect"), ["fringe"]),
    ],
)
def test_needs_follow_switches_and_filter(
    inputs: IsrInputs, filter_name: str, switched_off: tuple[str, ...], expected: list[str]
) -> None:
    config = IsrConfig()
    config.update(**dict.fromkeys(switched_off, False))
    assert steps.needed(config, dataclasses.replace(inputs, filter_name=filter_name)) == expected


def test_declarations_name_what_exists() -> None:
    fields = {field.name for field in dataclasses.fields(IsrInputs)}
    for step in steps.STEPS:
        assert not step.switch or attrgetter(step.switch)(IsrConfig()) in (True, False)
        assert set(step.needs) <= fields | set(CALIB_KINDS), step.name
        # ISR_XXXX, XXXXXNAM: a keyword of a FITS header has up to 8 letters.
        assert len(step.card[0]) <= 4 and (step.table is None or len(step.table[0]) <= 5), step.name
    for unique in ("name", "card"):
        values = [getattr(step, unique) for step in steps.STEPS if getattr(step, unique) != ("", "")]
        assert len(values) == len(set(values))
    assert set(CALIB_KINDS) <= {need for step in steps.STEPS for need in step.needs}
