"""Which pixels decide about the fringe scale, and when its passes end."""

from __future__ import annotations

import numpy as np
import pytest
from isr_frames import EXPOSURE_ID, calib

from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.config import IsrConfig
from hscbox.isr.fringe import subtract_fringes

SCALE = 6000.0


def pattern(shape: tuple[int, ...]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (0.01 * np.sin(2 * np.pi * (x + 0.4 * y) / 60.0)).astype(np.float32)


@pytest.mark.parametrize("level", [1900.0, 0.0])
def test_dead_amplifiers_do_not_pull_the_scale(exposure: Exposure, level: float) -> None:
    # Two dead amplifiers, half of the frame: without fringes, though the fringe frame goes on over them.
    fringe = pattern(exposure.image.shape)
    exposure.image += SCALE * fringe
    exposure.image[:, :1024] = level
    exposure.mask[:, :1024] = mask_bits("BAD")
    spoilt = Exposure(exposure.image.copy(), exposure.mask.copy(), exposure.variance.copy())
    fit = subtract_fringes(exposure, calib(fringe), EXPOSURE_ID)
    # Noise of 25 ADU under fringes of 42 ADU rms in a 64th of a CCD: 1 per cent.
    assert fit.scale == pytest.approx(SCALE, rel=0.03)
    assert 0.4 * fit.n_positions < fit.n_used < 0.6 * fit.n_positions
    # The same with the dead half counted is wrong by more than half.
    wrong = subtract_fringes(spoilt, calib(fringe), EXPOSURE_ID, ignored_planes=("SAT", "NO_DATA"))
    assert abs(wrong.scale) < 0.5 * SCALE


def test_the_task_leaves_bad_pixels_out() -> None:
    assert set(IsrConfig().fringe.stats.badMaskPlanes) == {"SAT", "NO_DATA", "BAD"}


def test_passes_go_on_until_the_scale_stands(exposure: Exposure) -> None:
    # Without noise the median of a wave shows 0.6 of it: two passes leave 14 per cent.
    fringe = pattern(exposure.image.shape)
    exposure.image[...] = 1900.0 + SCALE * fringe
    fit = subtract_fringes(exposure, calib(fringe), EXPOSURE_ID)
    assert fit.scale == pytest.approx(SCALE, rel=0.02)
    assert np.abs(exposure.image - 1900.0).max() < 0.02 * SCALE * 0.01
