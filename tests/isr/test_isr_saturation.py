"""Trail widening and interpolation of saturated pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, generate_binary_structure, iterate_structure

from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.saturation import full_wells, grow_mask, interpolate_saturated, widen_trails

SAT, INTRP = mask_bits("SAT"), mask_bits("INTRP")


@pytest.mark.parametrize(
    ("width", "extra"), [(1, 0), (5, 0), (6, 1), (7, 1), (8, 3), (9, 3), (10, 4), (11, 4), (40, 4)]
)
def test_widening_table(width: int, extra: int) -> None:
    mask = np.zeros((3, 100), np.int32)
    mask[1, 30 : 30 + width] = SAT | 32
    assert widen_trails(mask) == 2 * extra
    assert np.flatnonzero(mask[1] & SAT).tolist() == list(range(30 - extra, 30 + width + extra))
    assert not mask[[0, 2]].any() and np.count_nonzero(mask[1] & 32) == width


def test_widening_uses_original_runs_and_stops_at_the_border() -> None:
    mask = np.zeros((1, 40), np.int32)
    mask[0, 0:12] = SAT
    mask[0, 15:19] = SAT
    mask[0, 36:40] = SAT
    widen_trails(mask)
    # Both first runs now touch; had the second been measured afterwards it would have grown too.
    assert np.flatnonzero(mask[0] & SAT).tolist() == [*range(19), *range(36, 40)]


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_growth_is_a_diamond(radius: int) -> None:
    rng = np.random.default_rng(6)
    mask = np.where(rng.random((40, 70)) < 0.01, SAT | 8, 0).astype(np.int32)
    mask[0, 0] = mask[39, 69] = SAT
    mask[20, 20] = 8
    expected = (mask & SAT) != 0
    if radius:
        expected = binary_dilation(expected, iterate_structure(generate_binary_structure(2, 1), radius))
    assert np.array_equal(grow_mask(mask, SAT, radius), expected)


def test_saturated_star_is_interpolated_with_its_rim(exposure: Exposure) -> None:
    exposure.image[:] = 100.0
    exposure.image[50, 200:203] = 60000.0
    exposure.mask[50, 200:203] = SAT
    assert interpolate_saturated(exposure, 1) == 3 + 2 + 6
    assert np.max(np.abs(exposure.image - 100.0)) < 1e-3
    assert np.flatnonzero(exposure.mask[50] & SAT).tolist() == [200, 201, 202]
    assert np.flatnonzero(exposure.mask[50] & INTRP).tolist() == [199, 200, 201, 202, 203]
    assert np.flatnonzero(exposure.mask[51] & INTRP).tolist() == [200, 201, 202]
    assert np.count_nonzero(exposure.mask & INTRP) == 11


def test_full_wells_reach_one_pixel_along_the_column() -> None:
    mask = np.zeros((6, 5), np.int32)
    mask[0, 1] = mask[3, 3] = SAT | INTRP
    mask[4, 0] = INTRP
    assert np.argwhere(full_wells(mask)).tolist() == [[0, 1], [1, 1], [2, 3], [3, 3], [4, 3]]
