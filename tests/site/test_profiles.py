"""Profiles: what is shipped, what wins, what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hscbox.errors import ConfigError, UsageError
from hscbox.site.check import check_profile
from hscbox.site.finding import State, exit_status
from hscbox.site.profile import Bind, expanded
from hscbox.site.sources import find_profiles, load_profile, profile_toml


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_ccin2p3_has_the_places_of_the_guide():
    profile = load_profile("ccin2p3")
    assert profile.repository.calib == "/sps/lsst/datasets/hsc/calib/20170105"
    assert profile.repository.ref_cats == "/sps/lsst/data/refcats/htm/htm_baseline"
    assert profile.repository.raw == (
        "/sps/lsst/dev/lsstprod/hsc/ssp_pdr1/repro_1/utils/ingestImages/_parent/rawDownload"
    )
    assert profile.binds == ()
    assert [bind.source for bind in profile.binds_if_present] == ["/sps", "/pbs", "/scratch"]
    assert profile.container.apptainer_options == ("--cleanenv",)
    assert "TMPDIR" in profile.container.environment
    batch = profile.batch
    assert (batch.scheduler, batch.account, batch.licences, batch.partitions) == (
        "slurm",
        "lsst",
        ("sps",),
        ("lsst", "htc"),
    )


def test_user_and_project_files_are_put_on_top_key_by_key(tmp_path):
    write(
        tmp_path / "config/hscbox/sites/ccin2p3.toml",
        '[repository]\ncalib = "/user/CALIB"\n[container]\nimage = "/user/h.sif"\n',
    )
    write(tmp_path / "project/hscbox-sites/ccin2p3.toml", '[repository]\ncalib = "/project/CALIB"\n')
    profile = load_profile("ccin2p3")
    assert profile.repository.calib == "/project/CALIB"
    assert profile.container.image == "/user/h.sif"
    assert profile.repository.ref_cats == "/sps/lsst/data/refcats/htm/htm_baseline"
    assert [origin.partition(":")[0] for origin in profile.origins] == ["shipped", "user", "project"]
    text = profile_toml("ccin2p3")
    assert all(f"#   {origin}" in text for origin in profile.origins)
    assert tomllib.loads(text)["repository"]["calib"] == "/project/CALIB"


def test_shown_profile_can_be_read_back(tmp_path):
    write(tmp_path / "project/hscbox-sites/odd.toml", r"""description = 'with "quotes" and \ and é'""")
    shown = profile_toml("odd")
    write(tmp_path / "project/hscbox-sites/odd.toml", shown)
    assert profile_toml("odd") == shown
    assert load_profile("odd").description == 'with "quotes" and \\ and é'


def test_new_site_of_a_project_is_found(tmp_path):
    write(tmp_path / "project/hscbox-sites/mine.toml", 'binds = ["/data:/sps:ro", "/out"]\n')
    assert list(find_profiles()) == ["ccin2p3", "local", "mine"]
    assert load_profile("mine").binds == (Bind("/data", "/sps", True), Bind("/out", "/out", False))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bind = []", ("'bind'", "did you mean 'binds'?", "binds_if_present", "description")),
        ("[batch]\nacount = 'x'", ("'batch.acount'", "did you mean 'batch.account'?", "licences")),
        ("name = 'x'", ("unknown key 'name'",)),
        ("binds = ['relative/path']", ("'binds.0'", "relative/path", "absolute")),
        ("binds = ['/a:/b:/c:ro']", ("'binds.0'",)),
        ("binds = [7]", ("'binds.0'", "7")),
        ("scratch = 'tmp'", ("'scratch'", "absolute")),
        ("[container]\nenvironment = ['A=B']", ("'container.environment.0'", "A=B")),
        ("[container]\nenvironment = ['Aé']", ("'container.environment.0'", "Aé")),
        ("binds = ['$1x/foo:ro']", ("'binds.0'", "absolute")),
        ("scratch = '$TMPDIRé/x'", ("'scratch'", "absolute")),
        ("scratch = '${TMPDIR/x'", ("'scratch'", "absolute")),
        ("[batch]\nscheduler = 'pbs'", ("'batch.scheduler'", "slurm")),
        ("batch = 'slurm'", ("'batch'", "table")),
        ("[batch]\nlicences = 'sps'", ("'batch.licences'", "list")),
        ("description = 'two\\nlines'\nx", ("not TOML",)),
        ('description = "two\\nlines"', ("'description'", "one line")),
    ],
)
def test_what_is_wrong_names_file_key_and_what_is_allowed(text, words, tmp_path):
    write(tmp_path / "project/hscbox-sites/site.toml", text)
    with pytest.raises(ConfigError) as caught:
        load_profile("site")
    assert all(word in str(caught.value) for word in ("site.toml", *words)), str(caught.value)
    assert caught.value.exit_status == 2


def test_each_fault_has_a_line_of_its_own(tmp_path):
    file = write(
        tmp_path / "project/hscbox-sites/site.toml", "scratch = 'tmp'\ndescription = 1\n[batch]\nlicences = ['a', 2]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_profile("site")
    assert str(caught.value).splitlines() == [
        f"{file}: 'description' is 1, it must be a text",
        f"{file}: 'scratch' is 'tmp', it must be an absolute path, or begin with ~ or $NAME",
        f"{file}: 'batch.licences.1' is 2, it must be a text",
    ]


def test_unknown_site_names_those_that_are_known():
    with pytest.raises(UsageError, match=r"Unknown site 'ccin2p'; known are ccin2p3, local\. Did you mean ccin2p3"):
        load_profile("ccin2p")


def test_an_oddly_named_file_harms_no_other_site(tmp_path):
    for name in (".#mine", "my site"):
        write(tmp_path / f"project/hscbox-sites/{name}.toml", "not TOML")
    assert list(find_profiles()) == ["ccin2p3", "local"]
    assert load_profile("local").name == "local"
    with pytest.raises(UsageError, match="'my site' cannot be the name of a site; allowed are letters"):
        load_profile("my site")


def test_leading_variables_are_replaced():
    assert expanded("$TMPDIR/x", {"TMPDIR": "/scratch/job 1"}) == Path("/scratch/job 1/x")
    assert expanded("${TMPDIR}", {"TMPDIR": "/t"}) == Path("/t")
    assert expanded("~/x", {"HOME": "/home/me"}) == Path("/home/me/x")
    assert expanded("$TMPDIR/x", {}) is None
    assert expanded("${TMPDIR/x", {"TMPDIR": "/t"}) == Path("${TMPDIR/x")


def test_check_of_a_site(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "CALIB").mkdir()
    write(
        tmp_path / "project/hscbox-sites/mine.toml",
        f'binds_if_present = ["{tmp_path}/gone:ro"]\nscratch = "$TMPDIR"\n[repository]\ncalib = "{tmp_path}/CALIB"\n',
    )
    findings = list(check_profile(load_profile("mine")))
    assert [finding.state for finding in findings] == [State.OK] * 3
    assert exit_status(findings) == 0
    write(tmp_path / "project/hscbox-sites/mine.toml", f'binds = ["{tmp_path}/gone:ro"]\n')
    assert exit_status(check_profile(load_profile("mine"))) == 2
    write(tmp_path / "project/hscbox-sites/mine.toml", f'scratch = "{tmp_path}/gone"\n')
    assert exit_status(check_profile(load_profile("mine"))) == 75
