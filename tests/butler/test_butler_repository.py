from __future__ import annotations

from pathlib import Path

import pytest

from hscbox.butler.butler import Butler
from hscbox.butler.mount import mount
from hscbox.butler.paths import rerun_paths, with_prefix
from hscbox.butler.repository import chain, open_repository, spelled
from hscbox.butler.repository_cfg import RepositoryCfg, read_cfg, write_cfg
from hscbox.errors import DamagedInputError, MissingInputError, OutputError, UnsafeInputError, UsageError

MAPPER = "!!python/name:lsst.obs.hsc.hscMapper.HscMapper ''"
GUIDE_CFG = f"""!RepositoryCfg_v1
_mapper: &id001 {MAPPER}
_mapperArgs: {{}}
_parents:
- !RepositoryCfg_v1
  _mapper: *id001
  _mapperArgs: {{}}
  _parents: []
  _policy: null
  _root: ROOT
  dirty: true
_policy: null
_root: null
dirty: true
"""


def test_output_of_the_guide_has_the_layout_of_2017_with_a_relative_parent(repository: Path, tmp_path: Path):
    butler = Butler.for_run(repository, tmp_path / "output")
    assert not (tmp_path / "output").exists()
    butler.put("config.x=1\n", "processCcd_config")
    assert (tmp_path / "output" / "repositoryCfg.yaml").read_text() == GUIDE_CFG.replace("ROOT", "../input")
    assert butler.get("processCcd_config") == "config.x=1\n"


@pytest.mark.parametrize("root", ["../input", "ABSOLUTE"])
def test_files_of_2017_and_ours_are_both_read(repository: Path, tmp_path: Path, root: str):
    output = tmp_path / "output"
    output.mkdir()
    text = GUIDE_CFG.replace("ROOT", str(repository) if root == "ABSOLUTE" else root)
    (output / "repositoryCfg.yaml").write_text(text)
    assert [r.root for r in chain([open_repository(output)])] == [output, repository]


def test_input_and_output_can_be_moved_together(repository: Path, tmp_path: Path):
    Butler.for_run(repository, tmp_path / "output").put("x", "processCcd_config")
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "output").rename(moved / "output")
    repository.rename(moved / "input")
    assert [r.root for r in chain([open_repository(moved / "output")])] == [moved / "output", moved / "input"]


def test_other_layouts_of_parents(tmp_path: Path, repository: Path):
    write_cfg(tmp_path / "cfg", RepositoryCfg(parents=("../a",), calib_root="/c"))
    assert (tmp_path / "cfg").read_text() == (
        f"!RepositoryCfg_v1\n_mapper: {MAPPER}\n_mapperArgs: {{calibRoot: /c}}\n_parents: [../a]\n"
        "_policy: null\n_root: null\ndirty: true\n"
    )
    cfg = RepositoryCfg(parents=("../a", RepositoryCfg(root="../..")))
    write_cfg(tmp_path / "cfg", cfg)
    assert read_cfg(tmp_path / "cfg") == cfg
    assert "_parents:\n- ../a\n- !RepositoryCfg_v1\n" in (tmp_path / "cfg").read_text()


def test_what_others_wrote_into_the_file_is_kept_when_a_parent_is_added(repository: Path, tmp_path: Path):
    output = tmp_path / "output"
    output.mkdir()
    # The nested entry differs from the outer one; names of classes stay names, and nothing of it is executed.
    before = f"""!RepositoryCfg_v1
_mapper: &id001 {MAPPER}
_mapperArgs:
  calibRoot: /calib
  outputRoot: null
  policyClass: !!python/name:os.system ''
  root: /somewhere
  tags: [first, 2]
_parents:
- !RepositoryCfg_v1
  _mapper: *id001
  _mapperArgs: {{provided: true}}
  _parents: []
  _policy: {{levels: visit}}
  _root: ../older
  dirty: true
_policy:
  exposures: {{template: '%(visit)07d'}}
_root: null
dirty: true
"""
    mount(tmp_path / "older")
    (output / "repositoryCfg.yaml").write_text(before)
    Butler.for_run(repository, output).put("x", "processCcd_config")
    added = """- !RepositoryCfg_v1
  _mapper: *id001
  _mapperArgs: {calibRoot: /calib}
  _parents: []
  _policy: null
  _root: ../input
  dirty: true
"""
    assert (output / "repositoryCfg.yaml").read_text() == before.replace("_policy:\n  exp", f"{added}_policy:\n  exp")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch HACKED']",
        "!RepositoryCfg_v1\n_mapper: !!python/object/new:os.system ['touch HACKED']\n",
        "!!python/object/apply:subprocess.check_output [[touch, HACKED]]",
        "!Other {}",
    ],
)
def test_yaml_is_never_executed(text: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "repositoryCfg.yaml").write_text(text)
    with pytest.raises(UnsafeInputError, match=r"repositoryCfg\.yaml"):
        open_repository(tmp_path)
    assert not (tmp_path / "HACKED").exists()


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "!RepositoryCfg_v1 {_parents: 3}", "&a [*a]", "\x00"])
def test_damaged_yaml(text: str, tmp_path: Path):
    (tmp_path / "repositoryCfg.yaml").write_text(text)
    with pytest.raises(DamagedInputError):
        open_repository(tmp_path)


def test_parents_that_multiply_by_aliases_are_refused(tmp_path: Path):
    lines = ["x0: &x0 !RepositoryCfg_v1 {_root: a, _parents: []}"]
    for n in range(1, 40):
        lines.append(f"x{n}: &x{n} !RepositoryCfg_v1 {{_root: a, _parents: [*x{n - 1}, *x{n - 1}]}}")
    (tmp_path / "repositoryCfg.yaml").write_text("\n".join([*lines, "_parents: [*x39]"]))
    with pytest.raises(DamagedInputError, match="more than 100 parents"):
        open_repository(tmp_path)
    (tmp_path / "repositoryCfg.yaml").write_text("a: &a {b: 1}\n<<: [*a, *a]\n")
    with pytest.raises(DamagedInputError, match="merged"):
        open_repository(tmp_path)


def test_parent_link_counts_from_its_own_directory(repository: Path, tmp_path: Path, monkeypatch):
    child = tmp_path / "deep" / "child"
    child.mkdir(parents=True)
    (child / "_parent").symlink_to("../../input")
    monkeypatch.chdir("/")
    assert [r.root for r in chain([open_repository(child)])] == [child, repository]


def test_circles_are_found(tmp_path: Path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).mkdir()
        write_cfg(tmp_path / one / "repositoryCfg.yaml", RepositoryCfg(parents=(f"../{other}",)))
    with pytest.raises(DamagedInputError, match="circle"):
        open_repository(tmp_path / "a")


def test_other_cameras_and_plain_directories(tmp_path: Path):
    with pytest.raises(MissingInputError, match="neither"):
        open_repository(tmp_path)
    (tmp_path / "_mapper").write_text("lsst.obs.sdss.SdssMapper\n")
    with pytest.raises(UsageError, match="SdssMapper"):
        open_repository(tmp_path)


def test_the_first_repository_that_has_a_file_wins_and_compressed_spellings_count(repository: Path, tmp_path: Path):
    for root, text in ((repository, "old"), (tmp_path / "output", "new")):
        (root / "config").mkdir(parents=True)
        (root / "config" / "processCcd.py").write_text(text)
    butler = Butler.for_run(repository, tmp_path / "output")
    assert butler.get("processCcd_config") == "new"
    (tmp_path / "output" / "config" / "processCcd.py").unlink()
    assert butler.get("processCcd_config") == "old"
    (tmp_path / "x.fits.fz").touch()
    assert spelled(tmp_path / "x.fits") == tmp_path / "x.fits.fz"
    (tmp_path / "x.fits.gz").touch()
    assert spelled(tmp_path / "x.fits[1]") == tmp_path / "x.fits.gz"
    (tmp_path / "y.fits").symlink_to("/nowhere")
    with pytest.raises(MissingInputError, match="/nowhere"):
        spelled(tmp_path / "y.fits")


def test_another_calib_choice_is_refused_and_the_recorded_one_is_kept(repository: Path, tmp_path: Path):
    calib = tmp_path / "mine"
    calib.mkdir()
    output = tmp_path / "output"
    Butler.for_run(repository, output, calib_root=calib).put("x", "processCcd_config")
    assert read_cfg(output / "repositoryCfg.yaml").calib_root == str(calib)
    assert all(r.calib_root == calib for r in Butler.for_run(repository, output).repositories)
    with pytest.raises(UsageError, match="another choice"):
        Butler.for_run(repository, output, calib_root=tmp_path / "other")


def test_new_parents_are_appended_and_known_ones_are_not(repository: Path, tmp_path: Path):
    second = tmp_path / "second"
    mount(second)
    output = tmp_path / "output"
    for root in (repository, repository, second, repository):
        Butler.for_run(root, output).put("x", "processCcd_config")
    assert [p.root for p in read_cfg(output / "repositoryCfg.yaml").parents] == ["../input", "../second"]
    third = tmp_path / "third"
    Butler.for_run(output, third).put("x", "processCcd_config")
    assert read_cfg(third / "repositoryCfg.yaml").parents == ("../output",)
    assert [r.root for r in chain([open_repository(third)])] == [third, output, repository, second]


def test_reruns(repository: Path):
    assert rerun_paths(repository, "b") == (repository, repository / "rerun" / "b")
    assert rerun_paths(repository, "a:b") == (repository / "rerun" / "a", repository / "rerun" / "b")
    for bad in ("a:b:c", "", ":b"):
        with pytest.raises(UsageError):
            rerun_paths(repository, bad)


def test_prefix_variables_apply_to_relative_paths_only(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PIPE_INPUT_ROOT", str(tmp_path))
    assert with_prefix("a/../b", "PIPE_INPUT_ROOT") == tmp_path / "b"
    assert with_prefix("/abs", "PIPE_INPUT_ROOT") == Path("/abs")
    monkeypatch.delenv("PIPE_INPUT_ROOT")
    monkeypatch.chdir(tmp_path)
    assert with_prefix("x", "PIPE_INPUT_ROOT") == tmp_path / "x"


def test_mount_makes_what_the_guide_makes_by_hand(tmp_path: Path):
    (tmp_path / "calibs").mkdir()
    report = mount(tmp_path / "input", tmp_path / "calibs", tmp_path / "absent")
    root = tmp_path / "input"
    assert (root / "_mapper").read_bytes() == b"lsst.obs.hsc.HscMapper\n"
    assert (root / "CALIB").readlink() == tmp_path / "calibs"
    assert (root / "ref_cats").readlink() == tmp_path / "absent"
    assert set(report.entries.values()) == {"made"} and "absent" in report.warnings[0]
    again = mount(root, tmp_path / "calibs", tmp_path / "absent")
    assert set(again.entries.values()) == {"unchanged"}


def test_mount_never_overwrites(tmp_path: Path):
    root = tmp_path / "input"
    mount(root, tmp_path / "a")
    with pytest.raises(OutputError, match="not a link to"):
        mount(root, tmp_path / "b")
    (root / "ref_cats").mkdir()
    with pytest.raises(OutputError, match="not a link,"):
        mount(root, None, tmp_path / "b")
    (root / "_mapper").write_text("other.Mapper\n")
    with pytest.raises(OutputError, match=r"other\.Mapper"):
        mount(root)
    assert (root / "CALIB").readlink() == tmp_path / "a"
