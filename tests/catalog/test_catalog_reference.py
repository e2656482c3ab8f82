from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.catalogs import directory_reader
from lsst import sphgeom

from hscbox.catalog.htm import separation, trixel_of, trixels_in_circle
from hscbox.catalog.reference import add_filter_aliases, flux_field, load_region, to_2017_form
from hscbox.catalog.reference_config import ReferenceConfig, format_reference_config, parse_reference_config
from hscbox.catalog.schema import Field, Schema
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.errors import DamagedInputError, MissingInputError, UnsafeInputError
from hscbox.products.catalog import read_catalog, write_catalog
from hscbox.products.reference_shards import (
    make_reference_catalog,
    read_reference_config,
    write_shards,
)

_NAME = "ps1_pv3_3pi_20170110"


@pytest.fixture
def reference(rng: np.random.Generator) -> SourceCatalog:
    """Return 400 objects around RA 0 so that the circle crosses the meridian."""
    ra, dec = rng.uniform(-1.2, 1.2, 400) % 360.0, rng.uniform(-1.2, 1.2, 400)
    flux = {band: 10.0 ** rng.uniform(-7, -3, 400) for band in "gr"}
    errors = {band: values / 100 for band, values in flux.items()}
    return make_reference_catalog(rng.permutation(400) + 1, ra, dec, flux, errors)


def test_trixels_of_the_octants() -> None:
    # Depth 0 is the octahedron: S0..S3 have ids 8..11 and N0..N3 12..15 (Kunszt et al. 2001, figure 2).
    assert trixel_of(np.array([45.0]), np.array([-30.0]), 0).tolist() == [8]
    assert set(trixel_of(np.arange(45.0, 360.0, 90.0), np.full(4, 30.0), 0).tolist()) == {12, 13, 14, 15}
    ids = trixel_of(np.linspace(0.0, 359.0, 50), np.linspace(-89.0, 89.0, 50), 7)
    assert ids.min() >= 131072
    assert ids.max() <= 262143
    # A trixel's first two bits fewer name its parent.
    parents = trixel_of(np.linspace(0.0, 359.0, 50), np.linspace(-89.0, 89.0, 50), 6)
    assert (ids // 4).tolist() == parents.tolist()


def test_circle_against_sphgeom_and_against_points() -> None:
    ids = trixels_in_circle(150.1, 2.2, 0.9, 7)
    region = sphgeom.Circle(
        sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(150.1, 2.2)), sphgeom.Angle.fromDegrees(0.9)
    )
    pixelization = sphgeom.HtmPixelization(7)
    wanted = [i for i in range(131072, 262144) if not (pixelization.triangle(i).relate(region) & sphgeom.DISJOINT)]
    assert set(wanted) <= set(ids)
    assert set(ids) == {i for begin, end in pixelization.envelope(region) for i in range(begin, end)}
    angle = np.linspace(0.0, 2 * np.pi, 100)
    inside = trixel_of(150.1 + 0.89 * np.cos(angle), 2.2 + 0.89 * np.sin(angle), 7)
    assert set(inside.tolist()) <= set(ids)


def test_separation() -> None:
    assert separation(np.array([0.0]), np.array([0.0]), 359.0, 0.0)[0] == pytest.approx(1.0, abs=1e-12)
    assert separation(np.array([10.0]), np.array([60.0]), 190.0, 60.0)[0] == pytest.approx(60.0, abs=1e-12)
    tiny = separation(np.array([150.0]), np.array([2.0 + 1e-9]), 150.0, 2.0)[0]
    assert tiny == pytest.approx(1e-9, rel=1e-5)


def test_depth_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="depth 21"):
        trixels_in_circle(0.0, 0.0, 1.0, 21)


def test_written_shards_load_as_the_objects_within_the_circle(reference: SourceCatalog, tmp_path: Path) -> None:
    shards = write_shards(tmp_path, _NAME, reference)
    root = tmp_path / _NAME
    assert {path.name for path in root.iterdir()} == {
        "config.py",
        "master_schema.fits",
        *(f"{number}.fits" for number in shards),
    }
    assert read_reference_config(root) == ReferenceConfig(_NAME, 7)
    region = load_region(directory_reader(root), 7, 359.95, 0.1, 0.8)
    ra, dec = (np.degrees(reference[name]) for name in ("coord_ra", "coord_dec"))
    # Independent: angle between unit vectors.
    vectors = np.stack([np.cos(np.radians(ra)) * np.cos(np.radians(dec))], axis=-1)
    lon, lat = np.radians(359.95), np.radians(0.1)
    vectors = np.column_stack([vectors, np.sin(np.radians(ra)) * np.cos(np.radians(dec)), np.sin(np.radians(dec))])
    cosine = vectors @ [np.cos(lon) * np.cos(lat), np.sin(lon) * np.cos(lat), np.sin(lat)]
    wanted = reference.subset(cosine >= np.cos(np.radians(0.8))).sorted("id")
    loaded = region.sorted("id")
    for name in reference.schema.names():
        np.testing.assert_array_equal(loaded[name], wanted[name])
    assert loaded.schema.names()[-3:] == ["centroid_x", "centroid_y", "hasCentroid"]
    assert not loaded["hasCentroid"].any()


def test_shard_files_have_the_form_of_2017(reference: SourceCatalog, tmp_path: Path) -> None:
    number = write_shards(tmp_path, _NAME, reference)[0]
    shard = read_catalog(tmp_path / _NAME / f"{number}.fits")
    names = shard.schema.names()
    assert names[:8] == ["id", "coord_ra", "coord_dec", "parent", "g_flux", "r_flux", "g_fluxSigma", "r_fluxSigma"]
    assert "pm_ra" in names
    assert {field.unit for field in shard.schema if "flux" in field.name} == {""}
    assert shard.table_type == "SOURCE"
    assert np.all(np.diff(shard["id"]) > 0)
    assert set(trixel_of(np.degrees(shard["coord_ra"]), np.degrees(shard["coord_dec"]), 7)) == {number}
    assert len(read_catalog(tmp_path / _NAME / "master_schema.fits")) == 0


def test_shards_that_are_not_there_are_passed_over(reference: SourceCatalog, tmp_path: Path) -> None:
    numbers = write_shards(tmp_path, _NAME, reference)
    root = tmp_path / _NAME
    all_there = load_region(directory_reader(root), 7, 0.0, 0.0, 0.5)
    trixels = trixel_of(np.degrees(all_there["coord_ra"]), np.degrees(all_there["coord_dec"]), 7)
    gone = int(trixels[0])
    assert gone in numbers
    (root / f"{gone}.fits").unlink()
    region = load_region(directory_reader(root), 7, 0.0, 0.0, 0.5)
    assert region.sorted("id")["id"].tolist() == sorted(all_there["id"][trixels != gone].tolist())


def test_nothing_loaded(reference: SourceCatalog, tmp_path: Path) -> None:
    write_shards(tmp_path, _NAME, reference)
    with pytest.raises(MissingInputError, match="no file within") as caught:
        load_region(directory_reader(tmp_path / _NAME), 7, 90.0, 45.0, 0.1)
    assert caught.value.numbers["shards"]


def _modern(reference: SourceCatalog) -> SourceCatalog:
    """Return the same objects as a shard of format version 1: nJy, _fluxErr, AFW_TYPE SIMPLE."""
    fields = []
    for field in reference.schema:
        if "_flux" in field.name:
            fields.append(Field(field.name.replace("Sigma", "Err"), "D", "", "nJy"))
        elif field.name != "parent":
            fields.append(field)
    modern = SourceCatalog(Schema(fields), len(reference), table_type="SIMPLE")
    for field in fields:
        scale = 1e9 if field.unit == "nJy" else 1
        modern[field.name] = reference[field.name.replace("Err", "Sigma")] * scale
    modern.metadata["REFCAT_FORMAT_VERSION"] = 1
    return modern


def test_both_unit_forms_give_the_same_flux(reference: SourceCatalog, tmp_path: Path) -> None:
    write_catalog(tmp_path / "modern.fits", _modern(reference))
    modern = to_2017_form(read_catalog(tmp_path / "modern.fits"))
    old = to_2017_form(reference)
    assert modern.schema.names()[:4] == ["id", "coord_ra", "coord_dec", "parent"]
    assert set(modern.schema.names()) == set(old.schema.names())
    for name in old.schema.names():
        np.testing.assert_allclose(modern[name], old[name], rtol=1e-14)
    assert modern.schema.find("r_flux").unit == old.schema.find("r_flux").unit == "Jy"
    assert "REFCAT_FORMAT_VERSION" not in modern.metadata


def test_position_errors_of_later_versions_get_the_names_of_2017() -> None:
    schema = Schema([Field("id", "L"), Field("coord_ra", "Angle"), Field("coord_dec", "Angle")])
    schema.add_field("coord_raErr", "F")
    schema.add_field("coord_decErr", "F", unit="rad")
    shard = SourceCatalog(schema, 2, table_type="SIMPLE")
    shard["coord_raErr"], shard["coord_decErr"] = [1e-8, 2e-8], [3e-8, 4e-8]
    form = to_2017_form(shard)
    assert {"coord_ra_err", "coord_dec_err"} <= set(form.schema.names()) and "coord_raErr" not in form.schema.names()
    np.testing.assert_array_equal(form["coord_dec_err"], np.float32([3e-8, 4e-8]))
    assert {form.schema.find(name).unit for name in ("coord_ra_err", "coord_dec_err")} == {"rad"}


@pytest.mark.parametrize(
    ("unit", "version", "scale"), [("", 0, 1.0), ("", 1, 1e-9), ("nJy", 0, 1e-9), ("Jy", 1, 1.0), ("nJy", 2, 1e-9)]
)
def test_unit_is_that_of_the_file_then_that_of_the_version(unit: str, version: int, scale: float) -> None:
    schema = Schema([Field("id", "L"), Field("coord_ra", "Angle"), Field("coord_dec", "Angle")])
    schema.add_field("r_flux", "D", unit=unit)
    shard = SourceCatalog(schema, 1, table_type="SIMPLE")
    shard["r_flux"] = 7.0
    shard.metadata["REFCAT_FORMAT_VERSION"] = version
    assert to_2017_form(shard)["r_flux"][0] == pytest.approx(7.0 * scale, rel=1e-15)


def test_unknown_units_and_tables_without_positions_are_refused() -> None:
    schema = Schema([Field("id", "L"), Field("coord_ra", "Angle"), Field("coord_dec", "Angle")])
    schema.add_field("r_flux", "D", unit="maggy")
    with pytest.raises(DamagedInputError, match="maggy"):
        to_2017_form(SourceCatalog(schema, 1))
    with pytest.raises(DamagedInputError, match="no positions"):
        to_2017_form(SourceCatalog(Schema([Field("id", "L")]), 1))


def test_flux_field_follows_the_filter_map(reference: SourceCatalog) -> None:
    add_filter_aliases(reference, {"r2": "r", "N921": "z"})
    assert flux_field(reference, "r2") == "r2_camFlux"
    assert flux_field(reference, "r") == "r_flux"
    assert reference["r2_camFluxSigma"] is reference["r_fluxSigma"]
    with pytest.raises(MissingInputError, match="g_flux, r_flux"):
        flux_field(reference, "N921")


# ---------------------------------------------------------------------------------------------- config.py


def test_config_of_the_standard_catalogue() -> None:
    text = (
        "import lsst.meas.algorithms.ingestIndexReferenceTask\n"
        "assert type(config)==lsst.meas.algorithms.ingestIndexReferenceTask.DatasetConfig, 'x %s' % (1,)\n"
        "# String to pass to the butler\n"
        "config.ref_dataset_name='ps1_pv3_3pi_20170110'\n\n"
        "config.indexer['HTM'].depth=7\n\n"
        "config.indexer.name='HTM'\n"
    )
    assert parse_reference_config(text, "config.py") == ReferenceConfig(_NAME, 7)
    assert parse_reference_config("config.ref_dataset_name='a'", "x").depth == 8
    again = ReferenceConfig("sim", 9)
    assert parse_reference_config(format_reference_config(again), "x") == again


@pytest.mark.parametrize(
    "statement",
    [
        "__import__('pathlib').Path('{trap}').touch()",
        "config.indexer['HTM'].depth = __import__('pathlib').Path('{trap}').touch() or 7",
        "exec(\"open('{trap}', 'w')\")",
        "for x in [1]: open('{trap}', 'w')",
        "depth = 7",
        "config.indexer.retarget(target=open('{trap}', 'w'))",
        "config.load('{trap}')",
    ],
)
def test_hostile_config_is_refused_and_not_executed(tmp_path: Path, statement: str) -> None:
    trap = tmp_path / "trap"
    (tmp_path / "config.py").write_text("\n" + statement.replace("{trap}", str(trap)))
    with pytest.raises(UnsafeInputError, match=r"config\.py:2"):
        read_reference_config(tmp_path)
    assert not trap.exists()


def test_import_and_assertion_are_passed_over_not_executed(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    (tmp_path / "config.py").write_text(f"import antigravity_{tmp_path.name}\nassert open({str(trap)!r}, 'w')\n")
    assert read_reference_config(tmp_path).depth == 8
    assert not trap.exists()


@pytest.mark.parametrize(
    "text",
    ["config.indexer['HTM'].depth=99", "config.indexer['HTM'].depth=True", "config.indexer.name='healpix'", "a b c"],
)
def test_impossible_config_is_refused(text: str) -> None:
    with pytest.raises(DamagedInputError):
        parse_reference_config(text, "config.py")


def test_missing_config(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"config\.py"):
        read_reference_config(tmp_path)
