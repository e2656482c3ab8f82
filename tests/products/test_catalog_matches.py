from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hscbox.catalog.matches import MatchList, match_metadata
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.errors import DamagedInputError
from hscbox.products.catalog import read_catalog
from hscbox.products.matches import read_match_list, write_denormalized, write_match_list
from hscbox.products.reference_shards import make_reference_catalog


@pytest.fixture
def matches(catalog: SourceCatalog) -> MatchList:
    ids = catalog["id"][[5, 0, 3]]
    return MatchList(np.array([30, 10, 40]), ids, np.array([1e-6, 2e-6, 0.0]), match_metadata(150.0, 2.2, 0.19, "r"))


def test_match_list(matches: MatchList, tmp_path: Path) -> None:
    path = tmp_path / "match.fits"
    write_match_list(path, matches)
    back = read_match_list(path)
    assert back.ref_ids.tolist() == [30, 10, 40]
    assert back.source_ids.tolist() == matches.source_ids.tolist()
    assert back.distance.tolist() == [1e-6, 2e-6, 0.0]
    assert back.metadata == matches.metadata
    with fits.open(path, checksum=True) as hdus:
        header = hdus[1].header
        assert len(hdus) == 2
        assert [header[f"TTYPE{k}"] for k in (1, 2, 3)] == ["first", "second", "distance"]
        assert [header[f"TFORM{k}"] for k in (1, 2, 3)] == ["1K", "1K", "1D"]
        assert list(header)[-8:-2] == ["RA", "DEC", "RADIUS", "SMATCHV", "FILTER", "AFW_TABLE_VERSION"]
        assert "AFW_TYPE" not in header


def test_joined(matches: MatchList, catalog: SourceCatalog, tmp_path: Path) -> None:
    ids = np.array([40, 10, 20, 30])
    flux = {"r": ids * 1e-6}
    ref = make_reference_catalog(ids, ids / 10.0, ids / 20.0, flux, {"r": flux["r"] / 100}, flags=["resolved"])
    ref.schema.set_alias("r2_camFlux", "r_flux")
    path = tmp_path / "full.fits"
    write_denormalized(path, ref, catalog, matches)
    full = read_catalog(path)
    assert full.table_type == ""
    wanted = [f"ref_{name}" for name in ref.schema.names()] + [f"src_{name}" for name in catalog.schema.names()]
    assert full.schema.names() == [*wanted, "distance"]
    assert full["ref_id"].tolist() == [30, 10, 40]
    assert full["ref_r2_camFlux"].tolist() == [30 * 1e-6, 10 * 1e-6, 40 * 1e-6]
    assert full["src_id"].tolist() == matches.source_ids.tolist()
    assert full["src_note"].tolist() == catalog["note"][[5, 0, 3]].tolist()
    assert full["src_base_PsfFlux_flag"].tolist() == catalog["base_PsfFlux_flag"][[5, 0, 3]].tolist()
    assert full.schema.resolve("src_slot_PsfFlux_flux") == "src_base_PsfFlux_flux"
    assert full.metadata == matches.metadata
    assert full.footprints == [None] * 3


def test_joining_refuses_unknown_ids(matches: MatchList, catalog: SourceCatalog, tmp_path: Path) -> None:
    for ids in (np.array([30, 40]), np.array([10, 30, 50]), np.zeros(0, dtype=int)):
        ref = make_reference_catalog(ids, ids, ids, {}, {})
        with pytest.raises(KeyError, match="not in the catalogue"):
            write_denormalized(tmp_path / "full.fits", ref, catalog, matches)


def test_other_tables_are_no_match_lists(data_dir: Path) -> None:
    with pytest.raises(DamagedInputError, match="no match list"):
        read_match_list(data_dir / "src.fits")
