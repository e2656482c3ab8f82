"""A golden check passes as things are, and fails for each thing that can go wrong."""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from astropy.io import fits
from pytest_regressions.data_regression import DataRegressionFixture

from hscbox.errors import GoldenMismatchError, OutputError
from hscbox.goldens.accept import accept_scene
from hscbox.goldens.check import Work, check_scene, produce
from hscbox.goldens.golden import Golden, golden_text, read_golden
from hscbox.goldens.places import golden_path
from hscbox.goldens.scenes import Expected, SceneDefinition
from hscbox.machine.dispatch import dispatch_state
from hscbox.products.boost import read_boost

from .conftest import SCENE, check_again

CORR = "01378/HSC-R/corr/CORR-0040986-055.fits"
SRC = "01378/HSC-R/output/SRC-0040986-055.fits"
PROBLEM = "numpy does not use AVX2"


def with_problems(directory: Path, *problems: str) -> None:
    """Let the kept run look as one of a process with these problems, whatever this machine is."""
    path = directory / SCENE / "run.json"
    record = json.loads(path.read_text())
    record["dispatch"]["problems"] = list(problems)
    path.write_text(json.dumps(record))


def _machine_is_bitwise() -> bool:
    """Ask a process of its own: in this one, other tests may have loaded libraries before the pins."""
    command = (
        "import numpy, scipy.linalg; from hscbox.machine.dispatch import dispatch_state; "
        "print(dispatch_state().bitwise)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", f"import hscbox; {command}"], capture_output=True, text=True, check=True
    ).stdout
    return printed.strip() == "True"


def test_the_scene_passes_at_the_level_of_the_machine(scene: SceneDefinition, golden: Golden, kept: Path) -> None:
    result = check_again(scene, golden, kept)
    assert result.passed, result.mismatches
    same_packages = result.run.versions["numpy"] == golden.versions["numpy"]
    assert result.level == ("bitwise" if _machine_is_bitwise() and same_packages else "tolerance")
    assert {len(result.of(group)) > 0 for group in ("outcome", "files", "inputs", "products", "numbers")} == {True}


def test_the_lists_hold_through_pytest_regressions(
    scene: SceneDefinition, golden: Golden, kept: Path, data_regression: DataRegressionFixture, tmp_path: Path
) -> None:
    """The golden itself is the expectation; a number within its tolerance counts as the golden's."""

    def lists(side: Golden) -> dict[str, Any]:
        numbers = {name: repr(number.value) for name, number in side.numbers.items()}
        for name, number in golden.numbers.items():
            if name in side.numbers and number.holds(side.numbers[name].value):
                numbers[name] = repr(number.value)
        return {"files": side.files, "outcome": asdict(side.outcome), "numbers": numbers}

    expected = tmp_path / "golden.yml"
    expected.write_text(yaml.dump(lists(golden)))
    data_regression.check(lists(produce(scene, Work(kept, again=True)).golden), fullpath=expected)


def test_a_changed_calibration_frame_is_noticed(
    scene: SceneDefinition, golden: Golden, kept: Path, tmp_path: Path
) -> None:
    shutil.copytree(kept / SCENE / "sim", tmp_path / SCENE / "sim")
    flat = next((tmp_path / SCENE / "sim" / "CALIB" / "FLAT").rglob("*.fits"))
    with fits.open(flat, memmap=False) as hdus:
        for hdu in hdus:
            if hdu.data is not None:
                hdu.data = (hdu.data * np.float32(1.01)).astype(hdu.data.dtype)
        hdus.writeto(flat, overwrite=True, checksum=True)
    result = check_scene(scene, golden, Work(tmp_path))
    wrong = {(item.group, item.name) for item in result.mismatches}
    assert result.level == "none"
    assert ("numbers", "header.skylevel") in wrong
    assert ("numbers", "zero_point.magnitude") in wrong
    if _machine_is_bitwise():
        assert ("inputs", f"CALIB/{flat.relative_to(tmp_path / SCENE / 'sim' / 'CALIB')}") in wrong
        assert ("products", CORR) in wrong
        assert result.diff.startswith("FITS diff of 01378/HSC-R/corr/BKGD-0040986-055.fits, a: golden, b: this run")


def test_one_number_outside_of_its_tolerance_is_noticed(scene: SceneDefinition, golden: Golden, spoilt: Path) -> None:
    with_problems(spoilt, PROBLEM)
    name = "zero_point.magnitude"
    number = golden.numbers[name]
    nearly = replace(golden, numbers={**golden.numbers, name: replace(number, value=number.value + 4e-4)})
    assert check_again(scene, nearly, spoilt).passed
    beyond = replace(golden, numbers={**golden.numbers, name: replace(number, value=number.value + 6e-4)})
    result = check_again(scene, beyond, spoilt)
    assert [item.name for item in result.mismatches] == [name]
    assert result.mismatches[0].note == "+- 0.0005 (zero point)"
    assert result.level == "none"


def test_one_byte_of_a_product_is_noticed_and_shown(
    scene: SceneDefinition, golden: Golden, spoilt: Path, output: Path, kept: Path
) -> None:
    path = output / SRC
    with fits.open(path, memmap=False) as hdus:
        row = 17
        value = float(hdus[1].data["base_PsfFlux_flux"][row])
        hdus[1].data["base_PsfFlux_flux"][row] = np.nextafter(value, np.inf)
        hdus.writeto(path, overwrite=True, checksum=True)
    result = check_again(scene, golden, spoilt, reference=kept)
    if _machine_is_bitwise():
        assert [(item.group, item.name) for item in result.mismatches] == [("products", SRC)]
        assert result.level == "tolerance"
    assert "Column base_PsfFlux_flux data differs in row 17" in result.diff
    described = check_again(scene, golden, spoilt).diff
    assert "columns base_PsfFlux_flux differ" in described
    assert "Column base_PsfFlux_flux data differs in row 0" in described


def test_a_flipped_byte_without_new_checksums_is_damage(
    scene: SceneDefinition, golden: Golden, spoilt: Path, output: Path
) -> None:
    data = bytearray((output / CORR).read_bytes())
    data[len(data) // 2] ^= 1
    (output / CORR).write_bytes(data)
    result = check_again(scene, golden, spoilt)
    assert not result.passed
    assert any(item.group == "truth" and "CORR" in item.note for item in result.mismatches)


def test_a_dropped_output_is_noticed(scene: SceneDefinition, golden: Golden, spoilt: Path, output: Path) -> None:
    with_problems(spoilt, PROBLEM)
    (output / "01378/HSC-R/thumbs/oss-0040986-055.png").unlink()
    result = check_again(scene, golden, spoilt)
    assert [(item.group, item.found) for item in result.mismatches] == [("files", "missing")]


def test_a_file_too_many_is_noticed(scene: SceneDefinition, golden: Golden, spoilt: Path, output: Path) -> None:
    (output / "01378/HSC-R/corr/more.txt").write_text("?")
    result = check_again(scene, golden, spoilt)
    assert ("files", "01378/HSC-R/corr/more.txt") in {(item.group, item.name) for item in result.mismatches}


def test_other_code_paths_or_packages_never_claim_the_bitwise_level(
    scene: SceneDefinition, golden: Golden, spoilt: Path
) -> None:
    other = check_again(scene, replace(golden, versions={**golden.versions, "numpy": "1.0"}), spoilt)
    assert other.passed and other.level == "tolerance"
    assert "numpy" in other.why[0] and "instead of 1.0" in other.why[0]
    with_problems(spoilt, PROBLEM)
    result = check_again(scene, golden, spoilt)
    assert result.passed and result.level == "tolerance"
    assert result.why[0] == PROBLEM


def test_an_accepted_golden_cannot_miss_the_truth(scene: SceneDefinition, spoilt: Path, output: Path) -> None:
    path = output / CORR
    with fits.open(path, memmap=False) as hdus:
        hdus[0].header["FLUXMAG0"] *= 1.05
        hdus.writeto(path, overwrite=True, checksum=True)
    with pytest.raises(GoldenMismatchError, match=r"misses the truth: zero point error.*<= 10"):
        accept_scene(scene, spoilt, Work(spoilt, again=True), "should not work")
    assert not golden_path(spoilt, SCENE).exists()


def test_an_accepted_golden_cannot_end_otherwise_than_its_scene_says(scene: SceneDefinition, kept: Path) -> None:
    fails = scene.model_copy(update={"outcome": Expected(exit=20, code="astrometry")})
    with pytest.raises(GoldenMismatchError, match="exit status: 0, must be 20"):
        accept_scene(fails, kept / "elsewhere", Work(kept, again=True), "should not work")


def test_goldens_are_accepted_at_the_bitwise_level_only(scene: SceneDefinition, spoilt: Path) -> None:
    with_problems(spoilt, PROBLEM)
    with pytest.raises(GoldenMismatchError, match="does not reach the bitwise level: numpy does not use AVX2"):
        accept_scene(scene, spoilt, Work(spoilt, again=True), "should not work")


def test_accepting_keeps_the_reasons_and_touches_nothing_that_is_the_same(
    scene: SceneDefinition, spoilt: Path, tmp_path: Path
) -> None:
    with_problems(spoilt)
    work = Work(spoilt, again=True)
    first = accept_scene(scene, tmp_path, work, "made")
    assert first.first and first.path == golden_path(tmp_path, SCENE)
    text = first.path.read_text()
    assert accept_scene(scene, tmp_path, work, "again").items == []
    assert first.path.read_text() == text
    old = read_golden(first.path)
    # All others were a little different, too: a twentieth of their tolerances.
    numbers = {name: replace(item, value=item.value + item.tolerance / 20) for name, item in old.numbers.items()}
    numbers["zero_point.magnitude"] = replace(old.numbers["zero_point.magnitude"], value=30.0)
    before = golden_text(replace(old, numbers=numbers))
    first.path.write_text(before)
    change = accept_scene(scene, tmp_path, work, "mended")
    lines = difflib.ndiff(before.splitlines(), first.path.read_text().splitlines())
    changed = [line for line in lines if line[0] in "+-"]
    # The rest is the entry of the history, with the comma before it.
    assert [line[:13] for line in changed[3:]] == ['-   "zero_poi', '+   "zero_poi']
    assert all("made" in line or "mended" in line for line in changed[:3])
    assert [(item.name, item.expected) for item in change.items] == [("zero_point.magnitude", "30")]
    history = read_golden(first.path).history
    assert [entry["reason"] for entry in history] == ["made", "mended"]
    assert set(history[0]) == {"date", "hscbox", "reason"}


def test_an_unwritable_place_is_refused_before_anything_runs(tmp_path: Path) -> None:
    from hscbox.cli.regress_output import check_writable

    (tmp_path / "goldens").write_text("a file where a directory should be")
    with pytest.raises(OutputError, match="--testdata DIR"):
        check_writable(tmp_path)


def test_reports_for_programs(scene: SceneDefinition, golden: Golden, spoilt: Path, output: Path) -> None:
    from hscbox.goldens.report import write_json, write_junit

    (output / SRC).unlink()
    result = check_again(scene, golden, spoilt)
    write_json(spoilt / "report.json", [result])
    write_junit(spoilt / "report.xml", [result])
    content = json.loads((spoilt / "report.json").read_text())
    assert content["passed"] is False
    assert content["scenes"][0]["level"] == "none"
    assert content["scenes"][0]["dispatch"]["cpu_level"] == result.run.dispatch["cpu_level"]
    root = ET.parse(spoilt / "report.xml").getroot()
    suite = root.find("testsuite")
    assert root.tag == "testsuites" and suite is not None
    assert suite.attrib["name"] == SCENE
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases) == 6
    failures = suite.findall("testcase/failure")
    assert int(suite.attrib["failures"]) == len(failures) >= 2
    assert any(SRC in (failure.text or "") for failure in failures)


def test_the_provenance_says_which_code_paths_were_taken(kept: Path) -> None:
    path = next((kept / SCENE / "output").glob("*/*/processCcd_metadata/*.boost"))
    record = json.loads(str(read_boost(path).items["processCcd.provenance"][0]))
    assert record["dispatch"]["blas"] == list(dispatch_state().blas)
