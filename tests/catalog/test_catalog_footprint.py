from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fixtures.footprints import footprint_of, make_peaks

from hscbox.camera.boxes import Box
from hscbox.catalog.footprint import Footprint, HeavyPixels, merge_spans


def _pixels(spans: np.ndarray) -> list[tuple[int, int]]:
    return [(y, x) for y, x0, x1 in spans.tolist() for x in range(x0, x1 + 1)]


@pytest.mark.parametrize("seed", range(5))
def test_geometry_against_brute_force(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    image = rng.random((13, 17)) < 0.5
    footprint = footprint_of(image[2:11, 3:15], 3, 2)
    wanted = [(y, x) for y in range(2, 11) for x in range(3, 15) if image[y, x]]
    ys, xs = footprint.indices()
    assert list(zip(ys.tolist(), xs.tolist(), strict=True)) == wanted
    assert footprint.area == len(wanted)
    x0, y0 = min(x for _, x in wanted), min(y for y, _ in wanted)
    x1, y1 = max(x for _, x in wanted), max(y for y, _ in wanted)
    assert footprint.bbox == Box(x0, y0, x1 - x0 + 1, y1 - y0 + 1)
    grid_y, grid_x = np.mgrid[0:13, 0:17]
    inside = footprint.contains(grid_x + 0.4, grid_y - 0.4)
    assert {(int(y), int(x)) for y, x in np.argwhere(inside)} == set(wanted)


@pytest.mark.parametrize("seed", range(5))
def test_merge_and_union_against_sets_of_pixels(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(100 + seed))
    start = rng.integers(-20, 20, (40, 2))
    spans = np.column_stack([start, start[:, 1] + rng.integers(0, 6, 40)])
    merged = merge_spans(spans)
    pixels = _pixels(merged)
    assert pixels == sorted(set(_pixels(spans)))
    # Canonical: no two spans of a row touch.
    assert all(a[0] != b[0] or b[1] > a[2] + 1 for a, b in pairwise(merged.tolist()))
    one, other = Footprint(merge_spans(spans[:20])), Footprint(merge_spans(spans[20:]))
    assert np.array_equal(one.union(other).spans, merged)


def test_union_sorts_peaks_by_brightness() -> None:
    one = Footprint(np.array([[0, 0, 1]], "i4"), make_peaks([0.0, 1.0], [0.0, 0.0], [5.0, 1.0]))
    other = Footprint(np.array([[0, 2, 3]], "i4"), make_peaks([2.6], [0.0], [3.0]))
    union = one.union(other)
    assert union.peaks["peakValue"].tolist() == [5.0, 3.0, 1.0]
    assert union.peaks["i_x"].tolist() == [0, 3, 1]
    assert union.spans.tolist() == [[0, 0, 3]]


def test_insert_writes_the_pixel_values_where_the_pixels_are(rng: np.random.Generator) -> None:
    mask = rng.random((9, 12)) < 0.6
    footprint = footprint_of(mask, 5, 7)
    values = np.arange(mask.sum(), dtype="f4")
    footprint.heavy = HeavyPixels(values, values.astype("i4"), values)
    image = np.full((20, 20), -1.0, dtype="f4")
    footprint.insert(image)
    wanted = np.full((20, 20), -1.0, dtype="f4")
    wanted[7:16, 5:17][mask] = values
    assert np.array_equal(image, wanted)


def test_empty_footprint() -> None:
    footprint = footprint_of(np.zeros((3, 4), dtype=bool))
    assert footprint.area == 0
    assert footprint.bbox == Box(0, 0, 0, 0)
    assert footprint.indices()[0].shape == (0,)
    assert merge_spans(np.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match="no pixel values"):
        footprint.insert(np.zeros((3, 4)))
