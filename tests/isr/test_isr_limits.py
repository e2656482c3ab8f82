"""Limits of the corrections, each by pixels just inside and just outside of it."""

from __future__ import annotations

import numpy as np
import pytest
from isr_frames import EXPOSURE_ID, calib

from hscbox.camera.detector import Detector
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.config import IsrConfig
from hscbox.isr.fringe import subtract_fringes
from hscbox.isr.overscan import collapse_rows, overscan_level
from hscbox.isr.silent_amplifiers import mask_silent_amplifiers


def test_overscan_rows_are_clipped_at_three_widths() -> None:
    # Of these 17 pixels the quartiles are -4 and 4: the limit is 3 x 0.74 x 8 = 17.76 from the median, 0.
    row = np.array([-17.7, *range(-7, 8), 17.8], np.float32)
    row[-2] = 17.5
    strip = np.stack([row] * 4)
    mean = row[:-1].astype(np.float64).mean()
    values, masked = collapse_rows(strip, np.zeros(strip.shape, bool))
    assert not masked.any() and values == pytest.approx([mean] * 4)
    assert overscan_level(strip, fit_type="POLY", order=0).level == pytest.approx([mean] * 4)
    assert IsrConfig().overscanRej == 3.0
    # Half of that, 8.88: the three farthest are out.
    values, _ = collapse_rows(strip, np.zeros(strip.shape, bool), 1.5)
    assert values == pytest.approx([-7 / 14] * 4)


@pytest.mark.parametrize(("read_noises", "silent"), [(0.9, True), (1.1, False), (-0.9, True), (-1.1, False)])
def test_a_silent_amplifier_is_one_read_noise_from_its_pedestal(
    detector: Detector, exposure: Exposure, read_noises: float, silent: bool
) -> None:
    amp = detector.amplifiers[2]
    exposure.image[amp.trimmed.slices] = read_noises * amp.read_noise
    assert mask_silent_amplifiers(exposure, detector) == ([2] if silent else [])
    bad = (exposure.mask & mask_bits("BAD")) != 0
    assert bad[amp.trimmed.slices].all() == silent and bad.sum() == silent * amp.trimmed.area


@pytest.mark.parametrize(("sky", "silent"), [(19.0, []), (21.0, [0])])
def test_silence_means_something_under_twenty_read_noises_of_sky(
    detector: Detector, exposure: Exposure, sky: float, silent: list[int]
) -> None:
    exposure.image[:] = sky * max(amp.read_noise for amp in detector.amplifiers)
    exposure.image[detector.amplifiers[0].trimmed.slices] = 0.0
    assert mask_silent_amplifiers(exposure, detector) == silent


def test_fringe_scale_is_sought_until_it_stands_still(exposure: Exposure) -> None:
    """Narrow bright lines further apart than the large box is wide: its median tells little of its mean.

    The first pass finds a third of the scale, and each further one leaves a part of what is missing.
    """
    y, x = np.mgrid[: exposure.height, : exposure.width]
    lines = (0.01 * np.cos(np.pi * (x + 0.4 * y) / 94.0) ** 12).astype(np.float32)
    exposure.image += 20000.0 * lines
    fit = subtract_fringes(exposure, calib(lines), EXPOSURE_ID)
    assert fit.scale == pytest.approx(20000.0, rel=0.01)
