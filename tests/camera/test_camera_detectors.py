from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from hscbox.camera import tables
from hscbox.camera.boxes import Box
from hscbox.camera.camera import load_camera
from hscbox.camera.geometry import N_CCDS, N_SCIENCE_CCDS, RAW_HEIGHT, RAW_WIDTH, row_windows
from hscbox.camera.tables import read_table


def test_112_detectors_of_which_8_focus() -> None:
    camera = load_camera()
    assert list(camera) == list(range(112)) == list(range(N_CCDS))
    assert sum(detector.is_science for detector in camera.values()) == N_SCIENCE_CCDS == 104
    assert [ccd for ccd, detector in camera.items() if not detector.is_science] == list(range(104, 112))
    assert len({detector.name for detector in camera.values()}) == 112
    assert [detector.id for detector in camera.values() if detector.mirror == "TB"] == [100, 101, 102, 103]


@pytest.mark.parametrize(("name", "ccd"), [("0_10", 55), ("1_07", 37), ("1_12", 50), ("1_16", 58), ("0_43", 94)])
def test_names_and_numbers_of_published_frames(name: str, ccd: int) -> None:
    detector = load_camera().by_name(name)
    assert (detector.id, detector.serial) == (ccd, str(ccd))
    assert f"{detector.bee}_{detector.sdo:02d}" == name


def test_windows_tile_raw_and_trimmed_frame() -> None:
    for detector in load_camera().values():
        raw = np.zeros((RAW_HEIGHT, RAW_WIDTH), dtype=np.int8)
        trimmed = np.zeros((detector.height, detector.width), dtype=np.int8)
        for amplifier in detector.amplifiers:
            raw[amplifier.raw.slices] += 1
            trimmed[amplifier.trimmed.slices] += 1
            assert amplifier.data.clip(amplifier.raw) == amplifier.data
            assert amplifier.serial_overscan.clip(amplifier.raw) == amplifier.serial_overscan
            assert amplifier.serial_overscan.clip(amplifier.data).area == 0
            assert (amplifier.data.width, amplifier.data.height) == (512, 4176)
        if detector.id in {0, 103}:
            assert (raw == 1).all()
            assert (trimmed == 1).all()
        assert sum(amplifier.raw.area for amplifier in detector.amplifiers) == raw.size


def test_windows_equal_the_header_windows(raw_header: Callable[..., dict]) -> None:
    header = raw_header("2015")
    for amplifier in load_camera()[37].amplifiers:
        # The keywords count from 1, before the array is mirrored in x.
        first, last = header[f"T_EFMN{amplifier.channel}1"], header[f"T_EFMX{amplifier.channel}1"]
        assert (amplifier.data.x0, amplifier.data.x1) == (RAW_WIDTH - last, RAW_WIDTH - first)
        first, last = header[f"T_OSMN{amplifier.channel}1"], header[f"T_OSMX{amplifier.channel}1"]
        assert (amplifier.serial_overscan.x0, amplifier.serial_overscan.x1) == (
            RAW_WIDTH - last,
            RAW_WIDTH - first,
        )
        assert (amplifier.data.y0, amplifier.data.y1) == (49, 4224)
        assert amplifier.header_gain == header[f"T_GAIN{amplifier.channel}"]


def test_row_windows_are_those_of_real_headers(raw_header: Callable[..., dict]) -> None:
    header = raw_header("2015")
    for key, row in row_windows(4176).items():
        assert {header[f"{key}{channel}2"] for channel in (1, 2, 3, 4)} == {row}
    # A cut-out of 100 exposed rows has 165 in all.
    assert row_windows(100) == {"T_EFMN": 50, "T_EFMX": 149, "T_OSMN": 150, "T_OSMX": 165}


def test_channels() -> None:
    camera = load_camera()
    assert [amplifier.channel for amplifier in camera[55].amplifiers] == [4, 3, 2, 1]
    assert [amplifier.channel for amplifier in camera[100].amplifiers] == [1, 2, 3, 4]


def test_levels() -> None:
    amplifiers = [a for detector in load_camera().values() if detector.is_science for a in detector.amplifiers]
    assert {a.suspect for a in amplifiers} == {50000.0}
    assert {a.linearity_type for a in amplifiers} == {"Squared"}
    assert min(a.gain for a in amplifiers) == pytest.approx(2.462, abs=1e-3)
    assert np.median([a.read_noise for a in amplifiers]) == pytest.approx(1.56)
    assert all(np.isnan(a.suspect) and a.linearity_type == "None" for a in load_camera()[104].amplifiers)


def test_cut_out_keeps_columns_and_geometry() -> None:
    whole = load_camera()[55]
    cut = whole.for_rows(600)
    assert (cut.width, cut.height) == (2048, 600)
    for amplifier in cut.amplifiers:
        assert amplifier.trimmed.height == amplifier.data.height == amplifier.serial_overscan.height == 600
        assert amplifier.raw.height == 49 + 600 + 16
    assert cut.pixel_to_focal_plane(3.0, 7.0) == whole.pixel_to_focal_plane(3.0, 7.0)
    for rows in (0, 4177):
        with pytest.raises(ValueError, match="rows"):
            whole.for_rows(rows)


def test_boxes() -> None:
    box = Box(3, 5, 4, 2)
    image = np.arange(80).reshape(8, 10)
    assert image[box.slices].tolist() == [[53, 54, 55, 56], [63, 64, 65, 66]]
    assert (box.x1, box.y1, box.area) == (6, 6, 8)
    assert box.contains(2.5, 6.4)
    assert not box.contains(6.5, 6.0)
    assert box.clip(Box(5, 0, 100, 6)) == Box(5, 5, 2, 1)
    assert box.clip(Box(50, 50, 2, 2)).area == 0
    assert box.shifted(-1, 2) == Box(2, 7, 4, 2)


def test_own_reader_agrees_with_astropy() -> None:
    paths = sorted((Path(tables.__file__).parent / "data").glob("*.ecsv"))
    assert len(paths) == 11
    for path in paths:
        expected = Table.read(path, format="ascii.ecsv")
        rows = read_table(path.stem)
        assert len(rows) == len(expected)
        assert expected.meta["source"]
        for column in expected.colnames:
            theirs = ["" if value is None else value for value in expected[column].tolist()]
            ours = [row[column] for row in rows]
            assert all(a == b or (a != a and b != b) for a, b in zip(ours, theirs, strict=True))


def test_loading_is_cached() -> None:
    assert load_camera() is load_camera()
