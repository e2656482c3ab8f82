"""Files that lsst.afw wrote, or accepted; the numbers are those of its own listing of these files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.products.catalog import read_catalog, write_catalog
from hscbox.products.matches import read_match_list


def _samples(directory: Path) -> list[Path]:
    """Return the small copies, and the whole collection if it lies beside the repository."""
    collection = Path(__file__).resolve().parents[3] / "shared" / "samples"
    return [*sorted(directory.glob("*.fits")), *sorted(collection.glob("*.fits"))]


def test_every_catalogue_opens_and_survives_rewriting(data_dir: Path, tmp_path: Path) -> None:
    read = []
    for path in _samples(data_dir):
        if path.name.startswith(("calexp", "handmade-2017")):
            continue
        cat = read_catalog(path)
        write_catalog(tmp_path / path.name, cat)
        back = read_catalog(tmp_path / path.name)
        assert back.schema == cat.schema
        for name in cat.schema.names():
            np.testing.assert_array_equal(back[name], cat[name])
        read.append(path.name)
    assert {"src.fits", "srcMatch.fits", "refcat-shard.fits", "handmade-src.fits"} <= set(read)


@pytest.fixture
def src(data_dir: Path) -> SourceCatalog:
    return read_catalog(data_dir / "src.fits")


def test_src_schema(src: SourceCatalog) -> None:
    names = src.getSchema().getOrderedNames()
    assert (len(src), len(names)) == (5, 43)
    assert names[:4] == ["id", "coord_ra", "coord_dec", "parent"]
    # Flags stand where the header mentions them: TFLAG1 after column 10, TFLAG15 after column 27.
    assert names[9] == "base_SdssCentroid_flag"
    assert names[-3:] == ["calib_psfUsed", "note", "vec"]
    assert sum(field.is_flag for field in src.schema) == 15
    assert src.schema.aliases["slot_ApFlux"] == "base_CircularApertureFlux_12_0"
    assert src.schema.find("coord_ra").dtype == "Angle"
    assert src.schema.find("base_SdssCentroid_x_y_Cov").unit == "pixel pixel"
    assert dict(src.metadata) == {"CAT_NOTE": "sample header entry"}
    assert src["vec"].shape == (5, 3)
    assert src["slot_PsfFlux_flux"] is src["base_PsfFlux_instFlux"]


def test_src_footprints(src: SourceCatalog, data_dir: Path) -> None:
    footprints = [footprint for footprint in src.footprints if footprint is not None]
    assert [footprint.heavy is not None for footprint in footprints] == [True, False, True, False, True]
    # Rows of the SpanSets in the archive's index.
    assert [len(footprint.spans) for footprint in footprints] == [8, 6, 7, 10, 11]
    assert [len(footprint.peaks) for footprint in footprints] == [1] * 5
    heavy = [footprint for footprint in footprints if footprint.heavy is not None]
    assert max(footprint.area for footprint in heavy) == 83
    assert all(len(footprint.heavy.image) == footprint.area for footprint in heavy)
    for footprint, x, y in zip(footprints, src["base_SdssCentroid_x"], src["base_SdssCentroid_y"], strict=True):
        assert footprint.contains(x, y)
    plain = read_catalog(data_dir / "src-noheavy.fits").footprints
    assert all(footprint is not None and footprint.heavy is None for footprint in plain)
    assert np.array_equal(plain[4].spans, footprints[4].spans)
    assert read_catalog(data_dir / "src-nofootprints.fits").footprints == [None] * 5


def test_heavy_pixels_stand_in_span_order(src: SourceCatalog) -> None:
    """The brightest pixel of an isolated star is at its peak."""
    footprint = src.footprints[4]
    ys, xs = footprint.indices()
    brightest = int(np.argmax(footprint.heavy.image))
    assert (xs[brightest], ys[brightest]) == (footprint.peaks["i_x"][0], footprint.peaks["i_y"][0])


def test_handmade(data_dir: Path) -> None:
    cat = read_catalog(data_dir / "handmade-src.fits")
    assert (len(cat), cat.table_type) == (4, "SOURCE")
    assert cat.schema.names()[-3:] == [f"base_{stem}" for stem in _HANDMADE_FLAGS]
    assert [footprint is not None for footprint in cat.footprints] == [True, True, False, False]
    assert cat["note"].tolist() == ["a", "bb", "ccc", ""]


_HANDMADE_FLAGS = ("SdssCentroid_flag", "PsfFlux_flag", "PixelFlags_flag_edge")


def test_matches(data_dir: Path) -> None:
    matches = read_match_list(data_dir / "srcMatch.fits")
    assert len(matches) == 5
    assert matches.source_ids.tolist() == [1, 2, 3, 4, 5]
    wanted = {"RA": 150.1163, "DEC": 2.2058, "RADIUS": 0.01, "SMATCHV": 1, "FILTER": "i"}
    assert dict(matches.metadata) == wanted


def test_reference_shard(data_dir: Path) -> None:
    cat = read_catalog(data_dir / "refcat-shard.fits")
    assert (len(cat), cat.table_type) == (20, "SIMPLE")
    assert cat.metadata["REFCAT_FORMAT_VERSION"] == 1
    assert cat.schema.find("r_fluxErr").unit == "nJy"
    assert np.all(np.diff(cat["id"]) > 0)
