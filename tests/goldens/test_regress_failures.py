"""Scenes that fail for another reason than a difference: what is recorded, and with which status the check ends."""

from __future__ import annotations

import json
import math
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from hscbox.cli.app import app
from hscbox.errors import HscboxError, InputError, MissingInputError, TemporaryError, UsageError
from hscbox.goldens import check, held_to_truth, runs
from hscbox.goldens.compare import Item
from hscbox.goldens.failures import SceneFailure, verdict
from hscbox.goldens.golden import Outcome
from hscbox.goldens.runs import SceneRun, earlier_run, run_scene
from hscbox.goldens.scenes import SceneDefinition
from hscbox.truth import validate
from hscbox.truth.levels import LIMITS
from hscbox.truth.measures import Measured
from hscbox.truth.validate import CcdReport

TINY = SceneDefinition(name="tiny", title="a scene", simulate={"visit": 2, "ccd": 3})


def ends(monkeypatch: pytest.MonkeyPatch, **statuses: int) -> list[list[str]]:
    """Let commands end with these statuses (names with _ for -); return the list that the commands are noted in."""
    called: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(command)
        name = command[command.index("hscbox") + 1]
        return subprocess.CompletedProcess(command, statuses.get(name.replace("-", "_"), 0), "", "the reason")

    monkeypatch.setattr(subprocess, "run", run)
    return called


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("process_ccd", 75, TemporaryError),
        ("process_ccd", 130, KeyboardInterrupt),
        ("simulate", 75, TemporaryError),
        ("simulate", 2, UsageError),
        ("mount", 4, InputError),
        ("ingest_images", 130, KeyboardInterrupt),
        ("simulate", 1, HscboxError),
    ],
)
def test_the_status_of_a_command_is_handed_on(
    name: str, status: int, kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(monkeypatch, **{name: status})
    with pytest.raises(kind) as caught:
        run_scene(TINY, tmp_path / "tiny")
    assert type(caught.value) is kind
    if isinstance(caught.value, HscboxError):
        assert f"ended with {status}: the reason" in str(caught.value)
    assert not (tmp_path / "tiny/run.json").exists()


def test_failing_to_process_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, process_ccd=4)
    assert run_scene(TINY, tmp_path / "tiny").exit == 4


def test_a_kept_run_that_the_machine_stopped_is_no_mismatch(tmp_path: Path) -> None:
    record = {"exit": 75, "code": "unknown", "message": "/tmp has 64 MB of free space", "seconds": {}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(TemporaryError, match="64 MB of free space"):
        earlier_run(tmp_path)


@pytest.mark.parametrize("isolated", [0, 1])
def test_isolation_is_passed_on(isolated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = ends(monkeypatch)
    monkeypatch.setattr(runs, "sys", SimpleNamespace(executable="python", flags=SimpleNamespace(isolated=isolated)))
    run_scene(TINY, tmp_path / "tiny")
    assert len(called) == 4
    assert all(("-I" in command) == bool(isolated) for command in called)


@pytest.mark.parametrize("error", [KeyError("base_PsfFlux_flux"), IndexError("no HDU 4"), ValueError("shape")])
def test_whatever_a_damaged_product_raises_is_a_mismatch(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise error

    processed = SimpleNamespace(datasetExists=lambda *_, **__: True)
    monkeypatch.setattr(validate, "Butler", lambda **_: processed)
    monkeypatch.setattr(validate, "truth_directories", lambda _: [(2, 3, tmp_path)])
    monkeypatch.setattr(validate, "validate_ccd", damaged)
    items, _ = held_to_truth.truth_items(TINY, Outcome(0, "done"), tmp_path)
    said = f"{type(error).__name__}: {error}"
    note = f"The products of visit 2 ccd 3 cannot be measured: {said}"
    assert [(item.status, item.note) for item in items[2:]] == [("mismatch", note)]
    monkeypatch.setattr(check, "scene_numbers", damaged)
    monkeypatch.setattr(check, "run_scene", lambda *_, **__: SceneRun(0, "done", "", {}))
    produced = check.produce(TINY, check.Work(tmp_path))
    assert [item.note for item in produced.unreadable] == [said]


def test_one_broken_scene_leaves_the_report_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "goldens").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"scenes/{name}.toml").write_text("[simulate]\nvisit = 2\nccd = 3\n")
    monkeypatch.setattr("hscbox.goldens.golden.read_golden", lambda path: None)

    def one_of_them(scene: SceneDefinition, *_: object) -> check.SceneCheck:
        if scene.name == "a":
            raise TemporaryError("the disk is full", remedy="Free space")
        return check.SceneCheck("b", "", "bitwise", ["same"], [], SceneRun(0, "done", "", {}))

    monkeypatch.setattr(check, "check_scene", one_of_them)
    reports = ("--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml"))
    result = CliRunner().invoke(app, ["regress", "check", "--testdata", str(tmp_path), *reports])
    assert isinstance(result.exception, TemporaryError)
    assert str(result.exception) == "1 of 2 scenes could not be checked: a: the disk is full. Free space"
    assert "a: NOT CHECKED: the disk is full" in result.output and "b: passed" in result.output
    content = json.loads((tmp_path / "r.json").read_text())
    assert not content["passed"] and [scene["passed"] for scene in content["scenes"]] == [False, True]
    assert content["scenes"][0]["error"] == {
        "code": "temporary", "status": 75, "message": "the disk is full. Free space",
    }  # fmt: skip
    first, second = ET.parse(tmp_path / "r.xml").getroot().findall("testsuite")
    assert (first.attrib["errors"], first.attrib["failures"], second.attrib["errors"]) == ("1", "0", "0")
    error = first.find("testcase/error")
    assert error is not None and error.attrib["type"] == "temporary"


def test_the_worst_decides_about_the_status() -> None:
    def failure(kind: type[HscboxError]) -> SceneFailure:
        return SceneFailure(kind.__name__, "", kind("x"))

    def status(*kinds: type[HscboxError]) -> int:
        found = verdict([failure(kind) for kind in kinds])
        assert found is not None
        return int(found.exit_status)

    assert status(TemporaryError) == 75
    assert status(TemporaryError, MissingInputError) == 4
    assert status(TemporaryError, UsageError, MissingInputError) == 2
    differs = Item("numbers", "n", "mismatch", "1", "2", "")
    differing = check.SceneCheck("b", "", "none", [], [differs], SceneRun(0, "done", "", {}))
    found = verdict([failure(UsageError), differing])
    assert found is not None and found.exit_status == 3
    assert "1 of 2 scenes differ" in str(found) and "could not be checked: UsageError: x" in str(found)
    assert verdict([]) is None


def test_what_could_not_be_measured_is_null_in_json() -> None:
    nothing = Measured(math.nan, math.inf, 0)
    report = CcdReport(2, 3, {limit.name: nothing for limit in LIMITS})
    text = json.dumps(report.as_dict("floor"), allow_nan=False)
    assert {(number["value"], number["error"], number["n"]) for number in json.loads(text)["numbers"].values()} == {
        (None, None, 0)
    }
