from __future__ import annotations

import math

import lsst.pex.config as pex_config
import pytest

from hscbox.errors import ConfigError, MissingInputError
from hscbox.pipeline.config_store import config_digest, config_lines, config_text, differences
from hscbox.pipeline.overrides import apply_assignment, apply_file, apply_text


class Selector(pex_config.Config):
    name = pex_config.Field("name of the alternative", str, default="objectSize")
    fluxMin = pex_config.Field("faint limit", float, default=4000.0)
    badFlags = pex_config.ListField("flags", str, default=["a"])
    radii = pex_config.ListField("radii", float, default=[3.0])


class Top(pex_config.Config):
    doBias = pex_config.Field("subtract bias?", bool, default=True)
    number = pex_config.RangeField("a number", int, default=3, min=1, max=9)
    note = pex_config.Field("a note", str, optional=True)
    selector = pex_config.ConfigField("selector", Selector)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("doBias=False", "doBias", False),
        ("number=7", "number", 7),
        ("selector.fluxMin=12", "selector.fluxMin", 12.0),
        ("selector.fluxMin=nan", "selector.fluxMin", math.nan),
        ("selector['objectSize'].fluxMin=1e3", "selector.fluxMin", 1000.0),
        ("selector.active.fluxMin=5", "selector.fluxMin", 5.0),
        ("selector.badFlags=ab,cd", "selector.badFlags", ["ab", "cd"]),
        ("selector.badFlags=['ab','cd']", "selector.badFlags", ["ab", "cd"]),
        ("selector.radii=2,4,-87", "selector.radii", [2.0, 4.0, -87.0]),
        ("note=some words", "note", "some words"),
        ("note=None", "note", None),
    ],
)
def test_command_line_values(text, path, expected):
    config = Top()
    apply_assignment(config, text)
    value = config
    for step in path.split("."):
        value = getattr(value, step)
    value = list(value) if isinstance(expected, list) else value
    assert value == expected or (expected != expected and math.isnan(value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("doBias=1", "doBias"),
        ("doBias=yes", "yes"),
        ("number=10", "number"),
        ("number=2.5", "number"),
        ("nothing=1", "no config field 'nothing'"),
        ("selector.nothing=1", "no config field 'nothing'"),
        ("selector['other'].fluxMin=1", "objectSize"),
        ("doBias", "name=value"),
        ("a b=1", "not a field name"),
    ],
)
def test_bad_command_line_values(text, words):
    with pytest.raises(ConfigError, match=words):
        apply_assignment(Top(), text)


def test_file_of_the_stack_is_understood(tmp_path):
    path = tmp_path / "c.py"
    path.write_text(
        "import lsst.pipe.tasks.processCcd\n"
        "assert type(config)==int, 'wrong'\n"
        "# a comment\n"
        "config.doBias=False\n"
        "config.selector['objectSize'].fluxMin=float('nan')\n"
        "root.selector.badFlags |= ['a', 'b']\n"
    )
    config = Top()
    apply_file(config, path)
    assert config.doBias is False
    assert math.isnan(config.selector.fluxMin)
    assert list(config.selector.badFlags) == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').system('touch {marker}')",
        "config.note = open('{marker}', 'w').name",
        "config.note = __import__('os').popen('touch {marker}').read()",
        "for i in range(3): open('{marker}', 'w')",
        "config.selector.retarget(target=int)",
        "config.load('{marker}')",
        "x = 1",
        "config.__class__ = int",
        "def f(): pass",
    ],
)
def test_files_are_never_executed(tmp_path, line):
    marker = tmp_path / "marker"
    path = tmp_path / "evil.py"
    path.write_text("config.number = 4\n" + line.format(marker=marker) + "\n")
    with pytest.raises(ConfigError, match=r"evil\.py:2"):
        apply_file(Top(), path)
    assert not marker.exists()


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(MissingInputError, match="nowhere"):
        apply_file(Top(), tmp_path / "nowhere.py")
    with pytest.raises(ConfigError, match="broken:1"):
        apply_text(Top(), "config.x = (", "broken")


def test_text_form_reads_back_and_has_a_digest():
    config = Top()
    apply_assignment(config, "selector.fluxMin=0.1")
    again = Top()
    apply_text(again, config_text(config), "text")
    assert differences(config, again) == []
    assert config_digest(config) == config_digest(again) != config_digest(Top())
    assert differences(Top(), config) == ["-config.selector.fluxMin=4000.0", "+config.selector.fluxMin=0.1"]
    assert config_lines(config, "*FLUXMIN") == ["config.selector.fluxMin=0.1"]
    assert config_lines(config, "*FLUXMIN:NOIGNORECASE") == []
