"""Crosstalk: sign, mirroring, order, masks, dead amplifiers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hscbox.camera.crosstalk import crosstalk_matrix
from hscbox.camera.detector import Detector
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.crosstalk import subtract_crosstalk

GHOST = mask_bits("CROSSTALK")


def literal(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sequential subtraction in float64, strip by strip."""
    result = image.astype(np.float64)
    background = np.median(result)
    strips = [result[:, 512 * k : 512 * (k + 1)] for k in range(4)]
    for i in range(4):
        for j in range(4):
            if i != j:
                source = strips[j][:, ::-1] if (i + j) % 2 else strips[j]
                strips[i] -= matrix[j, i] * (source - background)
    return result


def test_against_strip_arithmetic(exposure: Exposure, detector: Detector) -> None:
    rng = np.random.default_rng(4)
    exposure.image += rng.exponential(3000.0, exposure.image.shape).astype(np.float32)
    before = exposure.copy()
    background = subtract_crosstalk(exposure, detector, crosstalk_matrix(), 45000.0)
    assert background == pytest.approx(float(np.median(before.image)))
    assert_allclose(exposure.image, literal(before.image, crosstalk_matrix()), atol=5e-3, rtol=0)
    assert np.max(np.abs(exposure.image - before.image)) > 1.0


def test_one_bright_pixel_has_three_dark_ghosts(exposure: Exposure, detector: Detector) -> None:
    exposure.image[:] = 1000.0
    exposure.variance[:] = 0.0
    exposure.image[7, 512 + 100] = 51000.0
    exposure.variance[7, 512 + 100] = 1e6
    subtract_crosstalk(exposure, detector, crosstalk_matrix(), 45000.0)
    # Amplifiers 0 and 2 are read the other way round, 3 the same way.
    ghosts = {0: 511 - 100, 2: 1024 + 511 - 100, 3: 1536 + 100}
    for victim, x in ghosts.items():
        coefficient = crosstalk_matrix()[1, victim]
        assert coefficient < 0
        assert exposure.image[7, x] == pytest.approx(1000.0 - coefficient * 50000.0, abs=1e-2)
        assert exposure.variance[7, x] == pytest.approx(coefficient**2 * 1e6, rel=1e-5)
    assert np.argwhere(exposure.mask == GHOST)[:, 1].tolist() == sorted(ghosts.values())
    assert np.count_nonzero(exposure.mask) == 3


def test_threshold_counts_and_bright_pixels_are_not_ghosts(exposure: Exposure, detector: Detector) -> None:
    exposure.image[:] = 1000.0
    exposure.image[3, [100, 511 - 100 + 512]] = 45000.0
    exposure.image[4, 100] = 44999.0
    subtract_crosstalk(exposure, detector, crosstalk_matrix(), 45000.0)
    flagged = np.argwhere(exposure.mask == GHOST).tolist()
    assert flagged == [[3, 1024 + 100], [3, 1536 + 511 - 100]]


def test_dead_amplifier_casts_no_ghost(exposure: Exposure, detector: Detector) -> None:
    exposure.image[:] = 1000.0
    exposure.image[:, 1024:1536] = 60000.0
    exposure.mask[:, 1024:1536] = mask_bits("BAD")
    background = subtract_crosstalk(exposure, detector, crosstalk_matrix(), 45000.0)
    assert background == 1000.0
    for victim in (0, 1, 3):
        strip = slice(512 * victim, 512 * (victim + 1))
        assert np.all(exposure.image[:, strip] == 1000.0) and not exposure.mask[:, strip].any()
