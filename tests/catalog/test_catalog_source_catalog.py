from __future__ import annotations

import math

import numpy as np
import pytest

from hscbox.catalog.source_catalog import SourceCatalog, magnitudes, make_minimal_schema
from hscbox.image.photo_calib import PhotoCalib


def test_columns_are_writable_views(catalog: SourceCatalog) -> None:
    catalog["slot_PsfFlux_flux"][1] = 5.0
    assert catalog["base_PsfFlux_flux"][1] == 5.0
    assert catalog["base_PsfFlux_flag"].dtype == bool
    catalog["note"] = "same"
    assert catalog["note"].tolist() == ["same"] * 7


def test_new_rows_are_nan_zero_false() -> None:
    schema = make_minimal_schema()
    schema.add_field("flag", "Flag")
    cat = SourceCatalog(schema, 2)
    assert np.isnan(cat["coord_ra"]).all()
    assert not cat["flag"].any()
    assert cat["id"].tolist() == [0, 0]


def test_records(catalog: SourceCatalog) -> None:
    record = catalog[-7]
    assert record.getId() == 35205224155054081
    assert record.get("coord_ra") == pytest.approx(math.radians(150.0), rel=1e-15)
    assert record.get("coord_ra").asDegrees() == pytest.approx(150.0, rel=1e-15)
    assert record.getDec().asArcseconds() == pytest.approx(7920.0, rel=1e-14)
    assert isinstance(record["base_PsfFlux_flag"], bool)
    record["slot_PsfFlux_flux"] = 3.0
    assert catalog["base_PsfFlux_flux"][0] == record.getPsfFlux() == 3.0
    assert catalog[4].getParent() == record.getId()
    assert record.getX() == catalog["base_SdssCentroid_x"][0]
    assert record.getFootprint() is catalog.footprints[0]
    assert [row.get("deblend_nChild") for row in catalog] == list(range(7))
    with pytest.raises(IndexError):
        catalog[7]


def test_subsets_and_order(catalog: SourceCatalog) -> None:
    picked = catalog[catalog["parent"] != 0]
    assert picked["deblend_nChild"].tolist() == [4, 5, 6]
    assert picked.footprints[0] is catalog.footprints[4]
    assert catalog[2:5]["note"].tolist() == ["bc", "def", "ghij"]
    assert catalog[np.array([6, 0])]["deblend_nChild"].tolist() == [6, 0]
    assert catalog.subset([])["id"].shape == (0,)
    picked["deblend_nChild"] = 0
    assert catalog["deblend_nChild"].tolist() == list(range(7))
    catalog["deblend_nChild"] = [3, 1, 2, 3, 1, 2, 0]
    assert catalog.sorted("deblend_nChild")["note"].tolist() == ["pqrstu", "a", "ghij", "bc", "klmno", "", "def"]
    assert catalog.sorted("deblend_nChild").metadata == catalog.metadata


def test_extend_by_rows_and_by_a_catalogue(catalog: SourceCatalog) -> None:
    added = catalog.extend(2)
    assert (added.start, added.stop, len(catalog)) == (7, 9, 9)
    assert np.isnan(catalog["base_PsfFlux_flux"][added]).all()
    catalog.extend(catalog.subset(np.array([0])))
    assert catalog["id"][-1] == catalog["id"][0]
    assert catalog.footprints[-1] is catalog.footprints[0]
    with pytest.raises(ValueError, match="same fields"):
        catalog.extend(SourceCatalog(make_minimal_schema(), 1))


def test_with_schema_fills_what_it_has(catalog: SourceCatalog) -> None:
    schema = make_minimal_schema()
    schema.add_field("new", "D")
    other = catalog.with_schema(schema)
    assert other["id"].tolist() == catalog["id"].tolist()
    assert np.isnan(other["new"]).all()


def test_astropy_table_has_units_and_descriptions(catalog: SourceCatalog) -> None:
    table = catalog.asAstropy()
    assert table.colnames == catalog.getSchema().getOrderedNames()
    assert str(table["coord_ra"].unit) == "rad"
    assert table["base_PsfFlux_flux"].unit.to_string() in {"count", "ct"}
    assert table["calib_detected"].description == "matched to a bright source"
    assert table["calib_detected"].dtype == bool
    assert table["vector"].shape == (7, 3)
    assert table.meta["NOISE_SOURCE"] == "measure"
    table["id"][0] = 1
    assert catalog["id"][0] != 1


def test_magnitudes(catalog: SourceCatalog) -> None:
    catalog["base_PsfFlux_flux"] = [100.0, 1.0, np.nan, -5.0, 0.0, 1e4, 10.0]
    calib = PhotoCalib(10.0 ** (0.4 * 27.0))
    wanted = [22.0, 27.0, np.nan, np.nan, np.nan, 17.0, 24.5]
    for name in ("slot_PsfFlux", "base_PsfFlux_flux"):
        np.testing.assert_allclose(magnitudes(catalog, name, calib), wanted, rtol=0, atol=1e-12)
