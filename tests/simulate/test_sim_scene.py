from __future__ import annotations

import json

import pytest

from hscbox.camera.translate import translate_header
from hscbox.errors import MissingInputError, UsageError
from hscbox.simulate.effects import Effects
from hscbox.simulate.header import exposure_id, frame_id, raw_header
from hscbox.simulate.scene import Scene, read_scenes


def test_default_scene_is_the_frame_of_the_guide() -> None:
    record = translate_header(raw_header(Scene()), "HSCA04098410.fits")
    row = (
        record.field,
        record.visit,
        record.ccd,
        record.pointing,
        record.filter,
        record.proposal,
        record.dateObs,
        record.taiObs,
        record.expTime,
        record.pa,
        record.autoguider,
        record.ccdTemp,
        record.config,
        record.frameId,
        record.expId,
        record.dataType,
    )
    printed = (
        "SSP_UDEEP_SXDS|40984|55|1378|HSC-R|o15426|2015-10-10|2015-10-10|300.0|0.0|1|-100.65|20140306.cfg|"
        "HSCA04098410|HSCA04098400|OBJECT"
    )
    assert "|".join(str(value) for value in row) == printed


@pytest.mark.parametrize(
    ("visit", "ccd", "expected"),
    [
        (40984, 55, "HSCA04098410"),
        (40900, 37, "HSCA04090107"),
        (904024, 50, "HSCA90402512"),
        (123000, 58, "HSCA12300116"),
        (1000000, 55, "HSCB00000010"),
    ],
)
def test_frame_ids_of_real_frames(visit: int, ccd: int, expected: str) -> None:
    assert frame_id(Scene(visit=visit, ccd=ccd)) == expected


def test_exposure_id_changes_form_in_june_2016() -> None:
    assert exposure_id(Scene(visit=40900)) == "HSCA04090000"
    assert exposure_id(Scene(visit=227770, date="2016-06-14")) == "HSCE00227770"


def test_definition_survives_json_and_has_a_stable_hash() -> None:
    scene = Scene(ccd=9, seed=5, effects=Effects.only("crosstalk"), sky_level=100.0)
    copy = Scene.from_dict(json.loads(json.dumps(scene.to_dict())))
    assert copy == scene
    assert copy.digest == scene.digest != Scene(ccd=9, seed=6).digest


def test_generators_differ_by_purpose_and_visit_unless_fixed() -> None:
    first, second = Scene(visit=100), Scene(visit=102)
    assert first.rng("a").random() != first.rng("b").random()
    assert first.rng("a").random() != second.rng("a").random()
    assert first.rng("a", fixed=True).random() == second.rng("a", fixed=True).random()


@pytest.mark.parametrize(
    "values",
    [
        {"ccd": 112},
        {"visit": 40985},
        {"rows": 63},
        {"exposure_time": 0.0},
        {"date": "2015-13-01"},
        {"seeing": 0.1},
        {"filter": "NB0515"},
        {"sed": 1},
        {"effects": {"darkness": True}},
    ],
)
def test_impossible_scenes_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Scene.from_dict(values)


def test_effects_are_chosen_by_name() -> None:
    assert Effects.only("dark").dark and not Effects.only("dark").flat
    assert not Effects().without("dark").dark and Effects().without("dark").flat
    with pytest.raises(UsageError, match="drak"):
        Effects().without("drak")


def test_scene_files(tmp_path) -> None:
    path = tmp_path / "scenes.json"
    path.write_text('[{"ccd": 3}, {"ccd": 4, "effects": {"flat": false}}]')
    scenes = read_scenes(path)
    assert [scene.ccd for scene in scenes] == [3, 4]
    assert not scenes[1].effects.flat and scenes[1].effects.dark
    path.write_text("[3")
    with pytest.raises(UsageError):
        read_scenes(path)
    with pytest.raises(MissingInputError):
        read_scenes(tmp_path / "none.json")
