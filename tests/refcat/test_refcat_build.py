from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from fixtures.catalogs import directory_reader

from hscbox.catalog.htm import trixel_of
from hscbox.catalog.reference import load_region
from hscbox.catalog.schema import Field, Schema
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.errors import DamagedInputError, MissingInputError, OutputError, UsageError
from hscbox.products.export import export_csv, export_parquet
from hscbox.products.reference_shards import read_reference_config, write_shards
from hscbox.refcat.build import build, build_from_table
from hscbox.refcat.column_map import ColumnMap, load_map
from hscbox.refcat.columns import read_columns
from hscbox.simulate.reference import reference_catalog
from hscbox.simulate.scene import Scene
from hscbox.simulate.sources import scene_objects

_BANDS = "grizy"
_JANSKY_MAP = 'description = "the generator"\n[columns]\nid = "id"\nra = "ra"\ndec = "dec"\n' + "".join(
    f'[bands.{b}]\nflux = "{b}_flux"\nflux_error = "{b}_fluxSigma"\nunit = "Jy"\n' for b in _BANDS
)


@pytest.fixture(scope="module")
def simulated() -> SourceCatalog:
    """Return the reference catalogue of a simulated frame."""
    scene = Scene(visit=40984, ccd=55, rows=1280)
    return reference_catalog(scene.seed, scene_objects(scene))


@pytest.fixture
def jansky(tmp_path: Path) -> ColumnMap:
    (tmp_path / "jansky.toml").write_text(_JANSKY_MAP)
    return load_map(str(tmp_path / "jansky.toml"))


def _in_degrees(catalog: SourceCatalog) -> SourceCatalog:
    """Return the same objects with columns ra and dec in degrees."""
    fields = [field for field in catalog.schema if "coord" not in field.name]
    table = SourceCatalog(Schema([Field("ra", "D"), Field("dec", "D"), *fields]), len(catalog))
    for field in fields:
        table[field.name] = catalog[field.name]
    table["ra"], table["dec"] = np.degrees(catalog["coord_ra"]), np.degrees(catalog["coord_dec"])
    return table


@pytest.mark.parametrize("form", ["csv", "parquet", "fits"])
def test_truth_of_a_simulated_frame(form: str, simulated: SourceCatalog, jansky: ColumnMap, tmp_path: Path) -> None:
    table, path = _in_degrees(simulated), tmp_path / f"truth.{form}"
    if form == "fits":
        Table({name: table[name] for name in table.schema.names()}).write(path)
    else:
        {"csv": export_csv, "parquet": export_parquet}[form](path, table)
    built, report = build_from_table(path, tmp_path / "ref_cats", "ps1_mine", jansky)
    assert report.rows == report.kept == built.objects == len(simulated)
    assert report.dropped == ()
    assert read_reference_config(built.path).depth == 7
    shards = write_shards(tmp_path, "simulated", simulated)
    assert list(built.shards) == shards
    ra, dec = (float(np.degrees(np.median(simulated[name]))) for name in ("coord_ra", "coord_dec"))
    mine, theirs = (
        load_region(directory_reader(root), 7, ra, dec, 0.05).sorted("id")
        for root in (built.path, tmp_path / "simulated")
    )
    assert len(mine) > 100
    assert mine.schema.names() == theirs.schema.names()
    for name in theirs.schema.names():
        if name.startswith("coord_") and not name.endswith("err"):
            # Degrees and back: the last bit.
            np.testing.assert_allclose(mine[name], theirs[name], rtol=4e-16)
        else:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


def test_magnitudes_of_ps1(tmp_path: Path) -> None:
    table = Table({"objID": [123456789012345678, 2, 3], "RAMean": [10.0, 10.1, -0.5], "decmean": [1.0, 1.1, 1.2]})
    for band in _BANDS:
        table[f"{band}MeanPSFMag"] = [20.0, -999.0, 18.5]
        table[f"{band}MeanPSFMagErr"] = [0.01, -999.0, -999.0]
    table["raMeanErr"], table["decMeanErr"], table["epochMean"] = 0.02, 0.03, 56000.5
    table.write(tmp_path / "ps1.csv", format="ascii.csv")
    built, report = build_from_table(tmp_path / "ps1.csv", tmp_path, "ps1", load_map("ps1"))
    assert report.lines() == ["3 rows, 3 kept", *(f"1 kept without flux in {band}" for band in _BANDS)]
    shards = [directory_reader(built.path)(number) for number in built.shards]
    rows = {int(row["id"]): row for shard in shards if shard is not None for row in shard}
    assert sorted(rows) == [2, 3, 123456789012345678]
    star = rows[123456789012345678]
    assert star["r_flux"] == pytest.approx(3631.0 * 10**-8, rel=1e-14)
    assert star["r_fluxSigma"] == pytest.approx(3.631e-5 * 0.01 * np.log(10) / 2.5, rel=1e-12)
    assert star["coord_ra_err"] == pytest.approx(np.radians(0.02 / 3600), rel=1e-6)
    assert star["epoch"] == round((56000.5 - 40587) * 86400)
    assert np.isnan(rows[2]["g_flux"]) and np.isnan(rows[2]["g_fluxSigma"])
    assert rows[3]["g_flux"] > 0 and np.isnan(rows[3]["g_fluxSigma"])
    assert np.degrees(float(rows[3]["coord_ra"])) == pytest.approx(359.5)


def test_gaia(gaia_table: Table, gaia: ColumnMap, tmp_path: Path) -> None:
    gaia_table.write(tmp_path / "gaia.fits")
    built, report = build_from_table(tmp_path / "gaia.fits", tmp_path, "gaia", gaia, depth=5)
    assert report.kept == len(gaia_table)
    assert read_reference_config(built.path).depth == 5
    parts = [directory_reader(built.path)(number) for number in built.shards]
    ids = np.concatenate([part["id"] for part in parts if part is not None])
    order = np.argsort(ids)

    def column(name: str) -> np.ndarray:
        return np.concatenate([part[name] for part in parts if part is not None])[order]

    wanted = gaia_table[np.argsort(gaia_table["source_id"])]
    np.testing.assert_array_equal(ids[order], wanted["source_id"])
    magnitude = 25.8010 - 2.5 * np.log10(wanted["phot_g_mean_flux"])
    np.testing.assert_allclose(-2.5 * np.log10(column("phot_g_mean_flux") / 3631.0), magnitude, rtol=1e-13)
    np.testing.assert_allclose(column("pm_ra"), np.radians(wanted["pmra"] / 3.6e6), rtol=1e-6)
    np.testing.assert_array_equal(column("variable"), wanted["phot_variable_flag"] == "VARIABLE")
    # J2016.0 is noon of the first of January.
    assert set(column("epoch").tolist()) == {1451649600}


_HEAD = "id,ra,dec," + ",".join(f"{b}_flux,{b}_fluxSigma" for b in _BANDS)
_FLUX = ",1e-5,1e-7" * 5


def test_bad_rows_are_counted(jansky: ColumnMap, tmp_path: Path) -> None:
    rows = [
        f"1,10,1{_FLUX}",
        f"2,nan,1{_FLUX}",
        f"3,10,{_FLUX}",
        f"4,400,1{_FLUX}",
        f"5,-181,1{_FLUX}",
        f"6,10,90.001{_FLUX}",
        "7,10,1,1e-5,-1e-7" + ",1e-5,1e-7" * 4,
        f"1,11,1{_FLUX}",
        f",10,1{_FLUX}",
        f"10,360,-90{_FLUX}",
        f"11,-0.25,inf{_FLUX}",
    ]
    (tmp_path / "bad.csv").write_text("\n".join([_HEAD, *rows]) + "\n")
    built, report = build_from_table(tmp_path / "bad.csv", tmp_path, "bad", jansky)
    assert built.objects == report.kept == 2
    counts = {item.reason: item.count for item in report.dropped}
    assert counts == {
        "no valid id": 1,
        "no position": 3,
        "right ascension outside of -180 to 360": 2,
        "declination beyond 90": 1,
        "negative error": 1,
        "id seen before": 1,
    }
    assert sum(counts.values()) + report.kept == report.rows == 11
    assert "3 left out: no position (id 2, 3, 11)" in report.lines()


def test_nothing_valid(jansky: ColumnMap, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text(f"{_HEAD}\n1,nan,nan{_FLUX}\n")
    with pytest.raises(DamagedInputError, match="no valid row: 1 left out: no position"):
        build_from_table(tmp_path / "none.csv", tmp_path, "none", jansky)
    (tmp_path / "empty.csv").write_text(f"{_HEAD}\n")
    with pytest.raises(DamagedInputError, match="no valid row: it is empty"):
        build_from_table(tmp_path / "empty.csv", tmp_path, "none", jansky)
    assert not (tmp_path / "none").exists()


def test_ids_that_a_float_cannot_hold(jansky: ColumnMap, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(f"{_HEAD}\n1e17,10,1{_FLUX}\n2.5,10,1{_FLUX}\n3.0,10,1{_FLUX}\n")
    _, report = build_from_table(tmp_path / "ids.csv", tmp_path, "ids", jansky)
    assert (report.kept, report.dropped[0].count, report.dropped[0].reason) == (1, 2, "no valid id")


def test_parquet_with_gaps_keeps_large_ids(jansky: ColumnMap, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    columns: dict[str, list[float | int | None]] = {
        "id": [2**62 + 1, None, 2**62 + 3],
        "ra": [1, 2, 3],
        "dec": [1, 2, None],
    }
    columns |= {f"{band}_{kind}": [1e-5, 1e-5, None] for band in _BANDS for kind in ("flux", "fluxSigma")}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "gaps.parquet")
    built, report = build_from_table(tmp_path / "gaps.parquet", tmp_path, "gaps", jansky)
    shard = directory_reader(built.path)(built.shards[0])
    assert shard is not None
    assert shard["id"].tolist() == [2**62 + 1]
    assert [item.reason for item in report.dropped] == ["no valid id", "no position"]


def test_tables_that_cannot_be_read(
    jansky: ColumnMap, gaia: ColumnMap, simulated: SourceCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = _in_degrees(simulated)
    export_csv(tmp_path / "t.csv", table)
    with pytest.raises(MissingInputError, match=r"lacks source_id, phot_g_mean_flux.*it has ra, dec, id.*--map"):
        build_from_table(tmp_path / "t.csv", tmp_path, "x", gaia)
    with pytest.raises(UsageError, match=r"Unknown ending.*\.csv.*\.parquet"):
        build_from_table(tmp_path / "t.xlsx", tmp_path, "x", jansky)
    with pytest.raises(MissingInputError, match="There is no table"):
        build_from_table(tmp_path / "absent.fits", tmp_path, "x", jansky)
    Table({name: table[name] for name in table.schema.names()}).write(tmp_path / "whole.fits")
    data = (tmp_path / "whole.fits").read_bytes()
    export_parquet(tmp_path / "whole.parquet", table)
    for name, content in (
        ("cut.fits", data[: len(data) // 2]),
        ("cut.parquet", (tmp_path / "whole.parquet").read_bytes()[:-100]),
        ("text.csv", bytes(range(256)) * 4),
        ("words.csv", f"{_HEAD}\n1,ten,1{_FLUX}\n".encode()),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((DamagedInputError, MissingInputError)):
            build_from_table(tmp_path / name, tmp_path, "x", jansky)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'hscbox\[parquet\]'"):
        build_from_table(tmp_path / "whole.parquet", tmp_path, "x", jansky)
    assert not (tmp_path / "x").exists()


def test_oddities_of_sound_fits_tables_do_no_harm(tmp_path: Path) -> None:
    odd = fits.BinTableHDU.from_columns([fits.Column("a", "D", unit="Angstroms", array=[1.0, 2.0])])
    odd.header["TNULL1"] = -999
    other = fits.BinTableHDU.from_columns([fits.Column("b", "D", array=[3.0])])
    path = tmp_path / "odd.fits"
    fits.HDUList([fits.PrimaryHDU(), odd, other]).writeto(path, output_verify="ignore")
    assert read_columns(path, ("a",))["a"].tolist() == [1.0, 2.0]
    with pytest.raises(MissingInputError, match="lacks b; it has a"):
        read_columns(path, ("b",))
    # Whole rows, but not the whole file.
    whole = tmp_path / "whole.fits"
    fits.HDUList([fits.PrimaryHDU(), odd]).writeto(whole, output_verify="ignore")
    whole.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(DamagedInputError, match="truncated"):
        read_columns(whole, ("a",))


def test_what_exists_is_kept(jansky: ColumnMap, simulated: SourceCatalog, tmp_path: Path) -> None:
    export_csv(tmp_path / "t.csv", _in_degrees(simulated))
    built, _ = build_from_table(tmp_path / "t.csv", tmp_path / "r", "mine", jansky)
    before = {path.name: path.read_bytes() for path in built.path.iterdir()}
    with pytest.raises(OutputError, match="never overwritten"):
        build_from_table(tmp_path / "t.csv", tmp_path / "r", "mine", jansky)
    assert {path.name: path.read_bytes() for path in built.path.iterdir()} == before
    # Again elsewhere: the same bytes.
    again, _ = build_from_table(tmp_path / "t.csv", tmp_path / "s", "mine", jansky)
    assert {path.name: path.read_bytes() for path in again.path.iterdir()} == before
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["mine"]
    with pytest.raises(UsageError, match="Depth 13"):
        build_from_table(tmp_path / "t.csv", tmp_path, "deep", jansky, 13)


def test_what_was_written_is_read_back(
    simulated: SourceCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hscbox.refcat import build as module

    def forgetful(directory: Path, name: str, catalog: SourceCatalog, depth: int) -> list[int]:
        catalog = catalog.subset(np.arange(len(catalog)))
        catalog["r_flux"][0] *= 1.0000001
        return write_shards(directory, name, catalog, depth)

    monkeypatch.setattr(module, "write_shards", forgetful)
    with pytest.raises(DamagedInputError, match="values of r_flux differ"):
        build(tmp_path, "mine", simulated)
    monkeypatch.setattr(module, "write_shards", lambda d, n, c, depth: write_shards(d, n, c[:-1], depth))
    with pytest.raises(DamagedInputError, match="shards hold"):
        build(tmp_path, "mine", simulated)
    assert list(tmp_path.iterdir()) == []


def test_covered_trixels_have_files(simulated: SourceCatalog, tmp_path: Path) -> None:
    own = np.unique(trixel_of(np.degrees(simulated["coord_ra"]), np.degrees(simulated["coord_dec"]), 7)).tolist()
    built = build(tmp_path, "mine", simulated, covered=[*own, 131072])
    assert built.empty == (131072,)
    shard = directory_reader(built.path)(131072)
    assert shard is not None
    assert len(shard) == 0


def test_what_a_killed_build_left_is_not_taken_over(
    simulated: SourceCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hscbox.refcat import build as module

    # In a container the process id is the same again.
    left = tmp_path / f".mine.building-{os.getpid()}" / "mine"
    left.mkdir(parents=True)
    (left / "131072.fits").write_bytes(b"of another table")
    built = build(tmp_path, "mine", simulated)
    assert sorted(built.path.glob("*.fits")) == sorted(
        built.path / name for name in ("master_schema.fits", *(f"{number}.fits" for number in built.shards))
    )
    (tmp_path / "as-granted").mkdir()
    assert built.path.stat().st_mode == (tmp_path / "as-granted").stat().st_mode

    def generous(directory: Path, name: str, catalog: SourceCatalog, depth: int) -> list[int]:
        shards = write_shards(directory, name, catalog, depth)
        (directory / name / "131072.fits").touch()
        return shards

    monkeypatch.setattr(module, "write_shards", generous)
    with pytest.raises(DamagedInputError, match=r"unexpected or missing files: 131072\.fits"):
        build(tmp_path, "other", simulated)
