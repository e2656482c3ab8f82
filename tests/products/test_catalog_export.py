from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.errors import UsageError
from hscbox.image.photo_calib import PhotoCalib
from hscbox.products.export import export_csv, export_ds9, export_parquet


def test_csv_reads_back_exactly(catalog: SourceCatalog, tmp_path: Path) -> None:
    catalog["note"][1] = 'a,"b"'
    export_csv(tmp_path / "src.csv", catalog)
    with (tmp_path / "src.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["id"]) for row in rows] == catalog["id"].tolist()
    back = np.array([float(row["base_PsfFlux_flux"]) for row in rows])
    np.testing.assert_array_equal(back, catalog["base_PsfFlux_flux"])
    single = np.array([row["base_SdssCentroid_xSigma"] for row in rows]).astype("f4")
    np.testing.assert_array_equal(single, catalog["base_SdssCentroid_xSigma"])
    assert max(len(row["base_SdssCentroid_xSigma"]) for row in rows) <= 14
    assert [row["calib_detected"] == "True" for row in rows] == catalog["calib_detected"].tolist()
    assert rows[1]["note"] == 'a,"b"'
    vector = np.array([[row[f"vector_{k}"] for k in range(3)] for row in rows]).astype("f4")
    np.testing.assert_array_equal(vector, catalog["vector"])


def test_csv_of_chosen_columns_with_magnitudes(catalog: SourceCatalog, tmp_path: Path) -> None:
    catalog["base_PsfFlux_flux"], catalog["base_PsfFlux_fluxSigma"] = 100.0, 1.0
    calib = PhotoCalib(10.0 ** (0.4 * 27.0))
    export_csv(tmp_path / "a.csv", catalog, calib, columns=["id", "slot_PsfFlux_flux"])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "id,slot_PsfFlux_flux,slot_PsfFlux_mag,slot_PsfFlux_magErr"
    values = [float(text) for text in lines[1].split(",")]
    assert values[2] == pytest.approx(22.0, abs=1e-12)
    assert values[3] == pytest.approx(1.0857362047581294 / 100, rel=1e-12)
    with pytest.raises(UsageError, match="nothing"):
        export_csv(tmp_path / "b.csv", catalog, columns=["nothing"])


def test_fluxes_of_reference_objects_get_no_magnitudes(tmp_path: Path) -> None:
    schema = make_minimal_schema().prefixed("ref_")
    schema.add_field("ref_r_flux", "D")
    schema.add_field("ref_r_fluxSigma", "D")
    export_csv(tmp_path / "a.csv", SourceCatalog(schema, 1, table_type=""), PhotoCalib(1.0))
    assert "mag" not in (tmp_path / "a.csv").read_text()


def test_parquet(catalog: SourceCatalog, tmp_path: Path) -> None:
    export_parquet(tmp_path / "src.parquet", catalog)
    table = pyarrow.parquet.read_table(tmp_path / "src.parquet")
    assert table.column_names == catalog.schema.names()
    np.testing.assert_array_equal(table["base_PsfFlux_flux"].to_numpy(), catalog["base_PsfFlux_flux"])
    assert table["calib_detected"].to_pylist() == catalog["calib_detected"].tolist()
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), catalog["vector"])
    metadata = table.schema.field("base_SdssCentroid_x").metadata
    assert metadata == {b"unit": b"pixel", b"description": b"column"}
    export_parquet(tmp_path / "again.parquet", catalog)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "src.parquet").read_bytes()


def test_parquet_without_pyarrow(catalog: SourceCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pyarrow"):
        export_parquet(tmp_path / "src.parquet", catalog)


def test_ds9_regions(catalog: SourceCatalog, tmp_path: Path) -> None:
    catalog["base_SdssCentroid_x"], catalog["base_SdssCentroid_y"] = 10.0, 20.25
    catalog["base_SdssCentroid_x"][3] = np.nan
    export_ds9(tmp_path / "a.reg", catalog, radius=5)
    lines = (tmp_path / "a.reg").read_text().splitlines()
    assert lines[0].startswith("# Region file format: DS9")
    assert lines[2] == "image"
    # DS9 counts pixels from 1.
    assert lines[3] == "circle(11.00,21.25,5) # text={35205224155054081}"
    assert len(lines) == 3 + 6
    export_ds9(tmp_path / "b.reg", catalog, PhotoCalib(10.0 ** (0.4 * 27.0)), radius=1.5, sky=True)
    lines = (tmp_path / "b.reg").read_text().splitlines()
    assert lines[2] == "icrs"
    assert lines[3].startswith('circle(150.0000000,2.2000000,1.5") # text={')
    with pytest.raises(UsageError, match="slot_Centroid_x"):
        export_ds9(tmp_path / "c.reg", SourceCatalog(make_minimal_schema(), 1))
