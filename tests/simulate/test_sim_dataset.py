from __future__ import annotations

import pickle
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fixtures.catalogs import directory_reader
from fixtures.strict_fits import open_checked
from typer.testing import CliRunner

from hscbox.camera.translate import translate_header
from hscbox.camera.translate_calib import translate_calib_header
from hscbox.catalog.reference import load_region
from hscbox.cli.simulate import simulate
from hscbox.errors import MissingInputError, UsageError
from hscbox.fits.header_reader import read_primary_header
from hscbox.products.masked_image import read_image
from hscbox.products.reference_shards import read_reference_config
from hscbox.simulate.dataset import raw_path, write_dataset
from hscbox.simulate.effects import Effects
from hscbox.simulate.illumination import sky_image
from hscbox.simulate.scene import Scene
from hscbox.simulate.truth import truth_directory
from hscbox.truth.true_frame import read_truth

SCENE = Scene(rows=128, faint_limit=24.2, star_density=8.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated")
    write_dataset(root, [SCENE])
    return root


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_same_scene_gives_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, [SCENE])
    first, second = content(dataset), content(tmp_path)
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_layout(dataset: Path) -> None:
    names = set(content(dataset))
    assert {
        "raw/HSCA04098410.fits",
        "CALIB/BIAS/2015-10-10/NONE/BIAS-2015-10-10-055.fits",
        "CALIB/DARK/2015-10-10/NONE/DARK-2015-10-10-055.fits",
        "CALIB/FLAT/2015-10-10/HSC-R/FLAT-2015-10-10-HSC-R-055.fits",
        "CALIB/BFKERNEL/brighter_fatter_kernel.pkl",
        "CALIB/calibRegistry.sqlite3",
        "ref_cats/ps1_pv3_3pi_20170110/config.py",
        "ref_cats/ps1_pv3_3pi_20170110/master_schema.fits",
        "truth/0040984-055/scene.json",
    } <= names
    assert not any("FRINGE" in name for name in names)


def test_raw_file(dataset: Path) -> None:
    path = raw_path(dataset, SCENE)
    header = read_primary_header(path)
    assert translate_header(header, path).frameId == "HSCA04098410"
    assert (header["NAXIS1"], header["NAXIS2"], header["BZERO"], header["BLANK"]) == (2144, 193, 32768, -32768)
    with open_checked(path) as hdus:
        assert len(hdus) == 1
        assert hdus[0].data.dtype == np.uint16
        assert hdus[0].data.min() > 800


def test_masters(dataset: Path) -> None:
    for kind, filter_name in (("BIAS", "NONE"), ("DARK", "NONE"), ("FLAT", "HSC-R")):
        (path,) = (dataset / "CALIB" / kind).rglob("*.fits")
        record = translate_calib_header(read_primary_header(path), path)
        assert (record.calibType, record.filter, record.ccd) == (kind.lower(), filter_name, 55)
        image, mask, variance, _ = read_image(path)
        assert image.shape == (128, 2048) and image.dtype == np.float32
        if kind == "FLAT":
            assert mask is not None and not mask.any() and variance is not None
    kernel = pickle.loads((dataset / "CALIB/BFKERNEL/brighter_fatter_kernel.pkl").read_bytes())
    assert kernel.shape == (17, 17) and kernel.sum() == pytest.approx(-4.6062465566733174e-06)


def test_calib_registry(dataset: Path) -> None:
    with sqlite3.connect(dataset / "CALIB/calibRegistry.sqlite3") as connection:
        tables = {
            row[0]: row[1] for row in connection.execute("SELECT name, sql FROM sqlite_master WHERE type='table'")
        }
        rows = list(connection.execute("SELECT * FROM flat"))
        assert list(connection.execute("SELECT filter, ccd FROM bias")) == [("NONE", 55)]
    assert rows == [(1, "HSC-R", 55, "2015-10-10", "2015-04-13", "2016-04-07")]
    assert tables["dark"] == (
        "CREATE TABLE dark (id integer primary key autoincrement, filter text,ccd int,calibDate text,"
        "validStart text,validEnd text, unique(filter,ccd,calibDate))"
    )
    kinds = ("bias", "dark", "flat", "fringe")
    assert {*kinds, *(f"{kind}_visit" for kind in kinds)} <= set(tables)


def test_reference_catalogue_matches_the_truth(dataset: Path) -> None:
    directory = dataset / "ref_cats/ps1_pv3_3pi_20170110"
    assert read_reference_config(directory).depth == 7
    region = load_region(directory_reader(directory), 7, 35.045, -4.759, 0.126)
    sources = fits.getdata(truth_directory(dataset, SCENE) / "sources.fits")
    rows = {int(number): row for row, number in enumerate(region["id"])}
    bright = sources[sources["magnitude"] < 20.5]
    bright = bright[np.isin(bright["id"], region["id"])]
    assert len(bright) > 20
    index = [rows[int(number)] for number in bright["id"]]
    difference = np.degrees(region["coord_dec"][index]) - bright["dec"]
    assert 0.0 < difference.std() * 3.6e6 < 20.0
    r, i = (8.9 - 2.5 * np.log10(region[f"{band}_flux"][index]) for band in "ri")
    predicted = r + 0.00279757 + 0.02093734 * (r - i) - 0.01877566 * (r - i) ** 2
    assert np.median(predicted - bright["magnitude"]) == pytest.approx(0.0, abs=0.01)


def test_truth_comes_back(dataset: Path) -> None:
    truth = read_truth(truth_directory(dataset, SCENE))
    assert truth.zero_point == pytest.approx(33.3223, abs=1e-4)
    assert truth.objects.shape == truth.sky.shape == truth.cosmic_rays.shape == (128, 2048)
    np.testing.assert_allclose(truth.sky, sky_image(SCENE), rtol=1e-12)
    assert truth.psf_stamps.shape == (len(truth.psf_xy), 41, 41) and len(truth.psf_xy) > 5
    assert np.allclose(truth.psf_stamps.sum(axis=(1, 2)), 1.0)
    assert (truth.cosmic_rays > 0).sum() > 30
    with pytest.raises(MissingInputError):
        read_truth(dataset / "truth/none")


def test_a_frame_that_is_there_is_not_made_again_and_more_can_be_added(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, [SCENE])
    before = raw_path(tmp_path, SCENE).stat().st_mtime_ns
    later = replace(SCENE, visit=41000, date="2016-03-01", filter="HSC-Y")
    assert write_dataset(tmp_path, [SCENE, later]) == [raw_path(tmp_path, SCENE), raw_path(tmp_path, later)]
    assert raw_path(tmp_path, SCENE).stat().st_mtime_ns == before
    assert (tmp_path / "CALIB/FRINGE/2015-10-10/HSC-Y/FRINGE-2015-10-10-HSC-Y-055.fits").exists()
    with sqlite3.connect(tmp_path / "CALIB/calibRegistry.sqlite3") as connection:
        assert list(connection.execute("SELECT ccd, validEnd FROM bias")) == [(55, "2016-08-28")]
        assert [row[0] for row in connection.execute("SELECT filter FROM flat ORDER BY id")] == ["HSC-R", "HSC-Y"]


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"rows": 64}, {"effects": Effects().without("flat")}, {"star_density": 1.0}]
)
def test_scenes_that_cannot_share_a_directory(dataset: Path, change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        write_dataset(dataset, [replace(SCENE, visit=41000, **change)])
    assert not raw_path(dataset, replace(SCENE, visit=41000)).exists()


def test_command(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(simulate)
    scene = tmp_path / "scene.json"
    scene.write_text('{"rows": 64, "star_density": 0.0, "galaxy_density": 0.0, "faint_limit": 20.0}')
    result = CliRunner().invoke(app, [str(tmp_path / "a"), "--scene", str(scene)])
    assert result.exit_code == 0, result.output
    assert result.stdout.replace("\n", "").endswith("HSCA04098410.fits")
    assert isinstance(CliRunner().invoke(app, [str(tmp_path), "--without", "nothing"]).exception, UsageError)
