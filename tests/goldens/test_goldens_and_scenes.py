"""Scene definitions, golden files, comparison and diff on tiny fabricated outputs."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from hscbox.cli.app import app
from hscbox.errors import ConfigError, DamagedInputError, GoldenMismatchError, MissingInputError, UsageError
from hscbox.goldens import places
from hscbox.goldens.compare import compare, message_numbers, version_differences
from hscbox.goldens.fits_diff import diff_descriptions
from hscbox.goldens.golden import Golden, Outcome, golden_text, keep_texts, read_golden, write_golden
from hscbox.goldens.numbers import REASONS, Number
from hscbox.goldens.places import golden_path
from hscbox.goldens.products import describe_fits
from hscbox.goldens.scenes import SceneDefinition, read_scene, read_scenes

GOLDEN = Golden(
    scene="tiny",
    definition="d" * 64,
    outcome=Outcome(0, "done"),
    files=["a.fits", "b.png"],
    products={"a.fits": "1" * 64, "b.png": "2" * 64},
    inputs={"raw/r.fits": "3" * 64},
    numbers={"sky": Number(100.0, 0.5, "header"), "none": Number(math.nan, 0.0, "truth")},
    versions={"hscbox": "0.1.0", "numpy": "2.4.6", "python": "3.11.7"},
)


def wrong(produced: Golden, *, bitwise: bool = True) -> list[tuple[str, str]]:
    return [(i.group, i.name) for i in compare(GOLDEN, produced, bitwise=bitwise) if i.status == "mismatch"]


def test_equal_lists_have_no_mismatch() -> None:
    assert wrong(GOLDEN) == []
    assert {item.status for item in compare(GOLDEN, GOLDEN, bitwise=True)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"definition": "e" * 64}, [("outcome", "definition")]),
        ({"outcome": Outcome(20, "psf-fit")}, [("outcome", "exit"), ("outcome", "code")]),
        ({"files": ["a.fits"]}, [("files", "b.png")]),
        ({"files": ["a.fits", "b.png", "c"]}, [("files", "c")]),
        ({"products": {"a.fits": "1" * 64, "b.png": "0" * 64}}, [("products", "b.png")]),
        ({"inputs": {}}, [("inputs", "raw/r.fits")]),
        ({"numbers": {**GOLDEN.numbers, "sky": Number(100.6, 0.5, "header")}}, [("numbers", "sky")]),
        ({"numbers": {**GOLDEN.numbers, "none": Number(1.0, 0.0, "truth")}}, [("numbers", "none")]),
        ({"numbers": {**GOLDEN.numbers, "new": Number(1.0, 0.0, "exact")}}, [("numbers", "new")]),
        ({"numbers": {"sky": GOLDEN.numbers["sky"]}}, [("numbers", "none")]),
    ],
)
def test_each_difference_is_one_mismatch(change: dict[str, object], expected: list[tuple[str, str]]) -> None:
    assert wrong(replace(GOLDEN, **change)) == expected  # type: ignore[arg-type]


def test_bytes_do_not_count_below_the_bitwise_level_but_files_and_numbers_do() -> None:
    other = replace(GOLDEN, products={"a.fits": "9" * 64, "b.png": "2" * 64}, inputs={"raw/r.fits": "8" * 64})
    assert wrong(other, bitwise=False) == []
    statuses = {i.name: i.status for i in compare(GOLDEN, other, bitwise=False) if i.group in {"products", "inputs"}}
    assert statuses == {"a.fits": "not compared", "b.png": "ok", "raw/r.fits": "not compared"}
    assert wrong(replace(other, files=["a.fits"]), bitwise=False) == [("files", "b.png")]


def test_the_version_of_python_is_no_obstacle_that_of_numpy_is() -> None:
    assert version_differences(GOLDEN, {"hscbox": "0.2.0", "numpy": "2.4.6", "python": "3.13.0"}) == []
    assert version_differences(GOLDEN, {"numpy": "2.5.0"}) == ["numpy 2.5.0 instead of 2.4.6"]
    assert version_differences(GOLDEN, {}) == ["numpy missing instead of 2.4.6"]


def test_numbers_of_a_message_have_tolerances_and_names_keep_their_digits() -> None:
    template, numbers = message_numbers("Fit of order 3 has 100 matches, rms 0.25 mas on CCD1 at 1e-3")
    assert template == "Fit of order {} has {} matches, rms {} mas on CCD1 at {}"
    assert [number.value for number in numbers.values()] == [3, 100, 0.25, 1e-3]
    assert numbers["message.1"].holds(125) and not numbers["message.1"].holds(126)


def test_a_golden_survives_the_file_and_has_one_item_a_line(tmp_path: Path) -> None:
    golden = replace(GOLDEN, units={"a.fits": [{"cards": {"K": 1}, "header": "x"}]}, history=[{"reason": "é"}])
    path = tmp_path / "deep" / "tiny.json"
    write_golden(path, golden)
    assert golden_text(read_golden(path)) == golden_text(golden) == path.read_text(encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert '  "sky": {"reason": "header", "tolerance": 0.5, "value": 100.0}' in [line.rstrip(",") for line in lines]
    assert json.loads(path.read_text())["reasons"] == {key: REASONS[key] for key in ("header", "truth")}
    keys = list(json.loads(path.read_text()))
    assert keys == sorted(keys)


def test_a_golden_of_one_number_moved_shows_one_line() -> None:
    """Of the 600 numbers of a shipped golden all move by a twentieth of their tolerance, and one by a half."""
    old = read_golden(golden_path(places.testdata_directory(), "guide"))
    moved = {name: replace(item, value=item.value + item.tolerance / 20) for name, item in old.numbers.items()}
    background = old.numbers["header.bgmean"]
    moved["header.bgmean"] = replace(background, value=background.value + background.tolerance / 2)
    new = replace(old, numbers=keep_texts(old.numbers, moved))
    lines = difflib.unified_diff(golden_text(old).splitlines(), golden_text(new).splitlines(), n=0, lineterm="")
    changed = [line for line in lines if line[:3] not in {"---", "+++", "@@ "}]
    assert len(old.numbers) > 600
    assert [line.split(":")[0] for line in changed] == ['-  "header.bgmean"', '+  "header.bgmean"']


def test_kept_texts_do_not_add_up_and_new_rules_are_taken() -> None:
    old = {"sky": Number(100.0, 0.5, "header"), "none": Number(math.nan, 0.0, "truth"), "gone": Number(1, 2, "count")}
    assert keep_texts(old, {"sky": Number(100.04, 0.52, "header")}) == {"sky": old["sky"]}
    beyond = Number(100.06, 0.5, "header")
    assert keep_texts(old, {"sky": beyond}) == {"sky": beyond}
    stricter, other = Number(100.0, 0.4, "header"), Number(100.0, 0.5, "pixels")
    assert keep_texts(old, {"sky": stricter}) == {"sky": stricter}
    assert keep_texts(old, {"sky": other, "new": other}) == {"sky": other, "new": other}
    assert keep_texts(old, {"none": Number(math.nan, 0.0, "truth")})["none"] is old["none"]
    assert keep_texts(old, {"none": Number(1.0, 0.0, "truth")})["none"].value == 1.0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reasons": {}, "numbers": {}}', '{"reasons": {}, "numbers": []}'])
def test_what_is_no_golden_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(DamagedInputError, match=r"bad\.json is no golden"):
        read_golden(tmp_path / "bad.json")
    with pytest.raises(MissingInputError, match="regress accept"):
        read_golden(tmp_path / "absent.json")


def test_the_shipped_goldens_belong_to_the_shipped_scenes() -> None:
    place = places.testdata_directory()
    scenes = read_scenes(place)
    assert {"guide", "crowded", "fringes", "lost"} <= {scene.name for scene in scenes}
    assert [scene.name for scene in scenes if scene.selftest] == ["crowded"]
    for scene in scenes:
        path = golden_path(place, scene.name)
        golden = read_golden(path)
        assert golden.definition == scene.digest
        assert (golden.outcome.exit, golden.outcome.code) == (scene.outcome.exit, scene.outcome.code)
        assert {number.reason for number in golden.numbers.values()} <= set(REASONS)
        assert golden.history[0]["reason"]
        assert path.stat().st_size < 150_000
    assert any("SRCMATCH" in name for name in read_golden(golden_path(place, "guide")).files)
    lost = read_golden(golden_path(place, "lost"))
    assert any("/CORR-" in name for name in lost.files) and not any("SRCMATCH" in name for name in lost.files)
    assert "fringe.scale" in read_golden(golden_path(place, "fringes")).numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "is not TOML"),
        ("colour = 1", "unknown key 'colour'; allowed are title, simulate, overrides"),
        ("[simulate]\nvisit = 2", "'simulate': it must say visit and ccd"),
        ("[simulate]\nvisit = 2\nccd = 3\n[truth]\nlevels = 1", "'truth.levels'; did you mean 'truth.level'"),
        ("[simulate]\nvisit = 2\nccd = 3\n[truth]\nlevel = 'high'", "'high', it must be 'floor' or 'target'"),
        ("[simulate]\nvisit = 2\nccd = 3\n[truth]\nstandard_errors = 2", "without a 'reason'"),
        ("selftest = 'yes'", "'selftest' is 'yes', it must be a valid boolean"),
    ],
)
def test_faults_of_a_definition_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_scene(tmp_path / "bad.toml")


def test_the_digest_of_a_scene_is_that_of_what_decides_about_products() -> None:
    scene = SceneDefinition(name="a", title="b", simulate={"visit": 2, "ccd": 3})
    assert scene.model_copy(update={"name": "c", "title": "d", "selftest": True}).digest == scene.digest
    assert scene.model_copy(update={"overrides": ("isr.doBias=False",)}).digest != scene.digest
    assert scene.model_copy(update={"simulate": {"visit": 4, "ccd": 3}}).digest != scene.digest


def test_a_place_without_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="Give --testdata DIR"):
        places.testdata_directory(tmp_path)


def tiny_fits(path: Path, *, sky: float = 1.5, pixel: float = 7.0, value: float = 2.0, extra: bool = False) -> Path:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    image[1, 2] = pixel
    columns = [fits.Column("flux", "D", array=np.array([1.0, value])), fits.Column("n", "J", array=np.array([1, 2]))]
    columns += [fits.Column("new", "E", array=np.zeros(2))] if extra else []
    primary = fits.PrimaryHDU(image)
    primary.header["SKYLEVEL"] = sky
    primary.header["HIERARCH A_LONG_NAME"] = "text"
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return path


def test_the_diff_of_descriptions_names_card_pixels_and_column(tmp_path: Path) -> None:
    golden = json.loads(json.dumps(describe_fits(tiny_fits(tmp_path / "a.fits")), sort_keys=True))
    assert "No differences found" in diff_descriptions(golden, tiny_fits(tmp_path / "same.fits"))
    card = diff_descriptions(golden, tiny_fits(tmp_path / "card.fits", sky=1.6))
    assert "Keyword SKYLEVEL has different values" in card and "a> 1.5" in card and "b> 1.6" in card
    pixel = diff_descriptions(golden, tiny_fits(tmp_path / "pixel.fits", pixel=20.0))
    assert "HDU 0 (3, 4) -> (3, 4): data differ" in pixel and "Column max" in pixel
    column = diff_descriptions(golden, tiny_fits(tmp_path / "column.fits", value=3.0))
    assert "columns flux differ" in column and "median 2.0" in column
    more = diff_descriptions(golden, tiny_fits(tmp_path / "more.fits", extra=True))
    assert "columns new differ" in more and "Extra column new" in more
    (tmp_path / "cut.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:1000])
    assert "cut.fits" in diff_descriptions(golden, tmp_path / "cut.fits")


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    def run(*words: str) -> object:
        result = CliRunner().invoke(app, ["regress", *words])
        return result.exception if result.exit_code == 1 else result.exit_code

    (tmp_path / "file").touch()
    assert run("accept", "crowded") == 2  # no --reason
    assert isinstance(run("accept", "crowded", "--reason", " "), UsageError)
    assert isinstance(run("check", "nothing"), UsageError)
    assert isinstance(run("check", "--keep", str(tmp_path)), UsageError)
    assert isinstance(run("check", "--keep", "x", "--again", "y"), UsageError)
    assert isinstance(run("check", "crowded", "--again", str(tmp_path / "none")), MissingInputError)
    assert isinstance(run("check", "--testdata", str(tmp_path)), MissingInputError)
    assert not issubclass(GoldenMismatchError, UsageError)
