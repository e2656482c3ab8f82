"""Masks from raw levels, dead amplifiers, assembly."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from isr_frames import N_ROWS, raw_frame

from hscbox.camera.boxes import Box
from hscbox.camera.camera import load_camera
from hscbox.camera.detector import Detector
from hscbox.errors import DamagedInputError, DataError, SaturatedFrameError
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.amplifiers import assemble, detector_of_raw, is_dead
from hscbox.isr.config import IsrConfig
from hscbox.isr.frame import Frame
from hscbox.isr.inputs import IsrInputs
from hscbox.isr.steps import STEPS

SAT, SUSPECT, BAD = mask_bits("SAT"), mask_bits("SUSPECT"), mask_bits("BAD")


def assembled(raw: SimpleNamespace, detector: Detector, defects: Sequence[Box] = (), **switches: bool) -> Frame:
    """Assemble a frame, set the masks of the raw levels and subtract the overscan."""
    config = IsrConfig()
    config.update(**switches)
    start = assemble(raw.pixels, detector, defects, config)
    exposure = Exposure(start.image, start.mask, np.ones_like(start.image))
    inputs = IsrInputs(raw, detector, None, "r", defects=defects)
    frame = Frame(config, inputs, exposure, start.dead, start.usable, logging.getLogger())
    for step in STEPS:
        if step.name in ("OverscanLevels", "Overscan", "Suspect", "SaturationMask") and step.wanted(config, inputs):
            step.apply(frame)
    return frame


def truth(detector: Detector) -> np.ndarray:
    y, x = np.mgrid[: detector.height, : detector.width]
    return (100.0 + 0.25 * x + y).astype(np.float32)


def test_assembly_restores_every_pixel(detector: Detector) -> None:
    image = truth(detector)
    raw = raw_frame(detector, image)
    before = raw.pixels.copy()
    frame = assembled(raw, detector)
    assert np.max(np.abs(frame.exposure.image - image)) < 1e-3
    assert not frame.exposure.mask.any() and frame.dead == ()
    levels = {f"OSLEVEL{k}": 1000.0 for k in range(4)}
    assert dict(frame.exposure.metadata) == levels | {f"OSSIGMA{k}": 0.0 for k in range(4)}
    assert np.array_equal(raw.pixels, before)


def test_levels_apply_to_raw_values_and_the_level_itself_counts(detector: Detector) -> None:
    raw = raw_frame(detector, truth(detector))
    amp = detector.amplifiers[2]
    y0, x0 = amp.data.y0, amp.data.x0
    raw.pixels[y0, x0 : x0 + 4] = [49999.0, 50000.0, amp.saturation - 1.0, amp.saturation]
    frame = assembled(raw, detector)
    first = amp.trimmed.x0
    assert frame.exposure.mask[0, first : first + 4].tolist() == [0, SUSPECT, SUSPECT, SUSPECT | SAT]
    assert np.count_nonzero(frame.exposure.mask) == 3
    assert np.count_nonzero(assembled(raw, detector, doSuspect=False).exposure.mask) == 1


def test_dead_amplifier_is_bad_and_left_alone(detector: Detector) -> None:
    raw = raw_frame(detector, truth(detector))
    raw.pixels[detector.amplifiers[1].data.slices] = 65535.0
    defects = [Box(511, 0, 514, N_ROWS), Box(3, 3, 2, 2)]
    assert [is_dead(amp, defects) for amp in detector.amplifiers] == [False, True, False, False]
    frame = assembled(raw, detector, defects)
    assert frame.dead == (1,) and "OSLEVEL1" in frame.exposure.metadata
    assert np.all(frame.exposure.mask[:, 512:1024] == BAD) and not frame.exposure.mask[:, :512].any()
    assert np.all(frame.exposure.image[:, 512:1024] == 65535.0)


def test_saturated_amplifier_keeps_its_pedestal(detector: Detector) -> None:
    raw = raw_frame(detector, truth(detector))
    raw.pixels[detector.amplifiers[0].data.slices] = 60000.0
    frame = assembled(raw, detector)
    assert np.all(frame.exposure.image[:, :512] == 60000.0) and np.all(frame.exposure.mask[:, :512] == (SAT | SUSPECT))
    assert np.max(np.abs(frame.exposure.image[:, 512:] - truth(detector)[:, 512:])) < 1e-3


def test_frames_without_usable_pixels_are_refused(detector: Detector) -> None:
    raw = raw_frame(detector, np.full((N_ROWS, 2048), 60000.0))
    with pytest.raises(SaturatedFrameError, match="CCD 55"):
        assemble(raw.pixels, detector, [], IsrConfig())
    with pytest.raises(SaturatedFrameError):
        assemble(raw.pixels, detector, [Box(0, 0, 512, N_ROWS)], IsrConfig())
    with pytest.raises(DataError, match="defect list"):
        assemble(raw.pixels, detector, [Box(0, 0, 2048, N_ROWS)], IsrConfig())


def test_suspect_level_nan_is_off(detector: Detector) -> None:
    amps = tuple(dataclasses.replace(amp, suspect=float("nan")) for amp in detector.amplifiers)
    raw = raw_frame(detector, np.full((N_ROWS, 2048), 51000.0))
    frame = assembled(raw, dataclasses.replace(detector, amplifiers=amps))
    assert not frame.exposure.mask.any()


def test_rows_follow_the_raw_shape() -> None:
    full = load_camera()[55]
    assert detector_of_raw(full, (4241, 2144)) is full
    cut = detector_of_raw(full, (65 + 17, 2144))
    assert cut.height == 17 and cut.amplifiers[3].data.height == 17
    for shape in ((4242, 2144), (65, 2144), (200, 2048), (2144,)):
        with pytest.raises(DamagedInputError):
            detector_of_raw(full, shape)
