"""Masks from raw levels, dead amplifiers, assembly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from isr_frames import N_ROWS, raw_frame

from hscbox.camera.boxes import Box
from hscbox.camera.camera import load_camera
from hscbox.camera.detector import Detector
from hscbox.errors import DamagedInputError, DataError, SaturatedFrameError
from hscbox.image.mask import mask_bits
from hscbox.isr.amplifiers import assemble, detector_of_raw, is_dead
from hscbox.isr.config import IsrConfig

SAT, SUSPECT, BAD = mask_bits("SAT"), mask_bits("SUSPECT"), mask_bits("BAD")


def truth(detector: Detector) -> np.ndarray:
    y, x = np.mgrid[: detector.height, : detector.width]
    return (100.0 + 0.25 * x + y).astype(np.float32)


def test_assembly_restores_every_pixel(detector: Detector) -> None:
    image = truth(detector)
    raw = raw_frame(detector, image)
    before = raw.pixels.copy()
    frame = assemble(raw.pixels, detector, [], IsrConfig())
    assert np.max(np.abs(frame.image - image)) < 1e-3
    assert not frame.mask.any() and frame.dead == ()
    assert frame.overscan_levels == {0: 1000.0, 1: 1000.0, 2: 1000.0, 3: 1000.0}
    assert frame.overscan_sigmas == {0: 0.0, 1: 0.0, 2: 0.0, 3: 0.0}
    assert np.array_equal(raw.pixels, before)


def test_levels_apply_to_raw_values_and_the_level_itself_counts(detector: Detector) -> None:
    raw = raw_frame(detector, truth(detector))
    amp = detector.amplifiers[2]
    y0, x0 = amp.data.y0, amp.data.x0
    raw.pixels[y0, x0 : x0 + 4] = [49999.0, 50000.0, amp.saturation - 1.0, amp.saturation]
    frame = assemble(raw.pixels, detector, [], IsrConfig())
    first = amp.trimmed.x0
    assert frame.mask[0, first : first + 4].tolist() == [0, SUSPECT, SUSPECT, SUSPECT | SAT]
    assert np.count_nonzero(frame.mask) == 3
    off = IsrConfig()
    off.doSuspect = False
    assert np.count_nonzero(assemble(raw.pixels, detector, [], off).mask) == 1


def test_dead_amplifier_is_bad_and_left_alone(detector: Detector) -> None:
    raw = raw_frame(detector, truth(detector))
    raw.pixels[detector.amplifiers[1].data.slices] = 65535.0
    defects = [Box(511, 0, 514, N_ROWS), Box(3, 3, 2, 2)]
    assert [is_dead(amp, defects) for amp in detector.amplifiers] == [False, True, False, False]
    frame = assemble(raw.pixels, detector, defects, IsrConfig())
    assert frame.dead == (1,) and 1 in frame.overscan_levels
    assert np.all(frame.mask[:, 512:1024] == BAD) and not frame.mask[:, :512].any()
    assert np.all(frame.image[:, 512:1024] == 65535.0)


def test_saturated_amplifier_keeps_its_pedestal(detector: Detector) -> None:
    raw = raw_frame(detector, truth(detector))
    raw.pixels[detector.amplifiers[0].data.slices] = 60000.0
    frame = assemble(raw.pixels, detector, [], IsrConfig())
    assert np.all(frame.image[:, :512] == 60000.0) and np.all(frame.mask[:, :512] == (SAT | SUSPECT))
    assert np.max(np.abs(frame.image[:, 512:] - truth(detector)[:, 512:])) < 1e-3


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
    frame = assemble(raw.pixels, dataclasses.replace(detector, amplifiers=amps), [], IsrConfig())
    assert not frame.mask.any()


def test_rows_follow_the_raw_shape() -> None:
    full = load_camera()[55]
    assert detector_of_raw(full, (4241, 2144)) is full
    cut = detector_of_raw(full, (65 + 17, 2144))
    assert cut.height == 17 and cut.amplifiers[3].data.height == 17
    for shape in ((4242, 2144), (65, 2144), (200, 2048), (2144,)):
        with pytest.raises(DamagedInputError):
            detector_of_raw(full, shape)
