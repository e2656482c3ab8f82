"""The script for the host, run by the shell with an engine that only tells its arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hscbox.site.profile import Bind, Container, SiteProfile
from hscbox.site.sources import load_profile
from hscbox.site.wrapper import wrapper_script

SHELL = shutil.which("dash") or "/bin/sh"
ENGINE = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done
env | grep -E '^(APPTAINERENV|SINGULARITYENV|TMPDIR)' | sort | sed 's/^/env:/'
"""


class Host:
    """A host with some engines in its PATH, and the script."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root, self.work = root, work
        self.bin = root / "bin"
        self.bin.mkdir()
        # Only what the script may use; engines that this machine really has must not be found.
        for tool in ("awk", "env", "find", "grep", "head", "id", "readlink", "sed", "sh", "sort"):
            (self.bin / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
        self.environment = {"PATH": str(self.bin), "HOME": str(root / "nobody"), "LC_ALL": "C.UTF-8"}
        self.image("hscbox.sif")
        self.engine("apptainer")
        self.profile(SiteProfile(name="test"))

    def engine(self, name: str) -> None:
        (self.bin / name).write_text(ENGINE)
        (self.bin / name).chmod(0o755)

    def image(self, name: str) -> None:
        (self.root / name).touch()
        self.environment["HSCBOX_IMAGE"] = str(self.root / name)

    def profile(self, profile: SiteProfile) -> None:
        (self.root / "run-hscbox").write_text(wrapper_script(profile))

    def run(self, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SHELL, str(self.root / "run-hscbox"), *map(str, words)],
            cwd=self.work,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def words(self, *words: object, **variables: str) -> list[str]:
        done = self.run(*words, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def binds(self, *words: object, flag: str = "--bind", **variables: str) -> dict[str, str]:
        """Return the mode of each bound path."""
        said = self.words(*words, **variables)
        specifications = [said[n + 1] for n, word in enumerate(said[:-1]) if word == flag]
        found = {}
        for specification in specifications:
            source, target, mode = specification.rsplit(":", 2)
            assert source == target
            found[source] = mode
        assert len(found) == len(specifications)
        return found


@pytest.fixture
def host(place, tmp_path) -> Host:
    return Host(tmp_path, place.work)


PROCESS = ("process-ccd", "input", "--output", "output", "--id", "visit=40984", "ccd=55")


def test_links_of_the_repository_are_bound_read_only(host, place):
    assert host.binds(*PROCESS) == {
        str(place.work): "rw",
        str(place.input): "ro",
        str(place.disk / "CALIB"): "ro",
        str(place.disk / "ref_cats"): "ro",
        str(place.disk / "raw dir"): "ro",
    }


def test_parents_come_before_children_and_the_words_are_passed_on(host, place):
    words = host.words(*PROCESS, "-c", "a=b c", "--id", "visit=*")
    assert words[0] == "run"
    image = words.index(str(host.root / "hscbox.sif"))
    assert words[image + 1 :][:10] == [*PROCESS, "-c", "a=b c", "--id"]
    assert "visit=*" in words[image:]
    order = [words[n + 1].rsplit(":", 2)[0] for n, word in enumerate(words) if word == "--bind"]
    assert order.index(str(place.work)) < order.index(str(place.input))
    assert words[words.index("--pwd") + 1] == str(place.work)


def test_every_link_on_the_way_is_bound(host, place, tmp_path):
    """CALIB -> a/CALIB with a -> disk; the raw's target is a link itself."""
    (tmp_path / "a").symlink_to(place.disk)
    (place.input / "CALIB").unlink()
    (place.input / "CALIB").symlink_to(tmp_path / "a/CALIB")
    raw = place.disk / "raw dir/HSCA04098410.fits"
    raw.unlink()
    (tmp_path / "tape").mkdir()
    (tmp_path / "tape/real.fits").touch()
    raw.symlink_to("../../tape/real.fits")
    binds = host.binds(*PROCESS)
    for path in (tmp_path / "a/CALIB", place.disk / "CALIB", place.disk / "raw dir", tmp_path / "tape"):
        assert binds[str(path)] == "ro"


def test_links_inside_the_calibrations_are_followed(host, place, tmp_path):
    (tmp_path / "masters").mkdir()
    (tmp_path / "masters/b.fits").touch()
    (place.disk / "CALIB/BIAS/2015-10-10/NONE/BIAS-055.fits").symlink_to(tmp_path / "masters/b.fits")
    (tmp_path / "kernels").mkdir()
    (place.disk / "CALIB/BFKERNEL").symlink_to(tmp_path / "kernels")
    binds = host.binds(*PROCESS)
    assert binds[str(tmp_path / "masters")] == binds[str(tmp_path / "kernels")] == "ro"


@pytest.mark.parametrize("how", ["option", "environment", "record"])
def test_links_inside_other_calibrations_are_followed(host, place, tmp_path, how):
    calib = tmp_path / "calib 2"
    (calib / "BIAS/2015-10-10/NONE").mkdir(parents=True)
    (calib / "calibRegistry.sqlite3").touch()
    (tmp_path / "masters").mkdir()
    (tmp_path / "masters/b.fits").touch()
    (calib / "BIAS/2015-10-10/NONE/BIAS-055.fits").symlink_to(tmp_path / "masters/b.fits")
    if how == "option":
        binds = host.binds(*PROCESS, "--calib", calib)
    elif how == "environment":
        binds = host.binds(*PROCESS, PIPE_CALIB_ROOT=str(calib))
    else:
        (place.input / "repositoryCfg.yaml").write_text(f"_mapperArgs: {{calibRoot: {calib}}}\n")
        binds = host.binds(*PROCESS)
    assert binds[str(calib)] == binds[str(tmp_path / "masters")] == "ro"


def test_options_name_further_places(host, place, tmp_path):
    for name in ("calib 2", "configs", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs/my.py").touch()
    binds = host.binds(
        *("process-ccd", "input", f"--output={tmp_path}/elsewhere/new/out", "--calib", tmp_path / "calib 2"),
        *("-C", tmp_path / "configs/my.py"),
    )
    assert binds[str(tmp_path / "elsewhere")] == "rw"
    assert binds[str(tmp_path / "calib 2")] == binds[str(tmp_path / "configs")] == "ro"


def test_records_of_runs_beside_the_output_are_bound_with_it(host, place, tmp_path):
    output = tmp_path / "elsewhere/out"
    output.mkdir(parents=True)
    (output / "repositoryCfg.yaml").touch()
    words = ("process-ccd", "input", "--output", output, "--id", "visit=40984")
    # To make the directory of the records, what holds it must be writable.
    assert host.binds(*words)[str(output.parent)] == "rw"
    assert str(output.parent) not in host.binds("provenance", output)
    (output.parent / "out.runs").mkdir()
    (tmp_path / "link").symlink_to(output)
    for name in (output, tmp_path / "link", f"{output}/"):
        binds = host.binds("process-ccd", "input", "--output", name)
        assert binds[str(output)] == binds[f"{output}.runs"] == "rw" and str(output.parent) not in binds
        assert host.binds("provenance", name)[f"{output}.runs"] == "ro"


def test_rerun_and_ingest_write_into_the_repository(host, place):
    assert str(place.input) not in host.binds("process-ccd", "input", "--rerun", "x")  # part of the work directory
    raw = place.disk / "raw dir/HSCA04098410.fits"
    assert host.binds("ingest-images", "input", raw)[str(place.disk / "raw dir")] == "ro"
    assert host.binds("ingest-images", "input", raw, "--mode", "move")[str(place.disk / "raw dir")] == "rw"
    assert str(place.input) not in host.binds("ingest-images", "input", raw)
    assert host.binds("ingest-calibs", "input", "x.fits", "--validity", "9")[str(place.disk / "CALIB")] == "rw"


def test_values_of_options_are_not_taken_for_the_repository(host, place, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "_mapper").touch()
    for words in (("--validity", "9"), ("-c", "clobber=True"), ("--calib-type", "bias", "--dry-run")):
        assert host.binds("ingest-calibs", *words, other, "x.fits")[str(other)] == "rw"
    assert host.binds("ingest-images", "-c", "clobber=True", "--bad-id", "visit=2", other, "x")[str(other)] == "rw"
    assert host.binds("process-ccd", other, "-L", "debug", "--rerun", "my")[str(other)] == "rw"


def test_commands_that_only_read_cannot_write(host, place, tmp_path):
    for name in ("out", "truth", "maps", "refs", "tables"):
        (tmp_path / name).mkdir()
    (tmp_path / "out/_mapper").touch()
    for path in ("out/src.fits", "maps/my.toml", "tables/t.csv"):
        (tmp_path / path).touch()
    out, truth = tmp_path / "out", tmp_path / "truth"
    assert host.binds("show", out, "--id", "visit=2", "--output", f"{tmp_path}/refs/x.png") == {
        **dict.fromkeys([str(place.work), str(tmp_path / "refs")], "rw"),
        str(out): "ro",
    }
    assert host.binds("validate", out, "--truth", truth) == {str(place.work): "rw", str(out): "ro", str(truth): "ro"}
    exported = host.binds("export", out / "src.fits", tmp_path / "refs/x.csv")
    assert exported[str(out)] == "ro" and exported[str(tmp_path / "refs")] == "rw"
    built = host.binds(
        *("refcat", "build", tmp_path / "tables/t.csv", "--name", "a", "--output", tmp_path / "refs"),
        *("--map", tmp_path / "maps/my.toml"),
    )
    assert built[str(tmp_path / "refs")] == "rw"
    assert built[str(tmp_path / "maps")] == built[str(tmp_path / "tables")] == "ro"


def test_output_repository_leads_to_its_parents(host, place, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "repositoryCfg.yaml").write_text(
        "!RepositoryCfg_v1\n_mapperArgs: {calibRoot: /}\n_parents: [../my work/input]\n"
    )
    binds = host.binds("provenance", output, "visit=40984")
    assert binds[str(output)] == binds[str(place.disk / "CALIB")] == "ro"


def test_lists_of_files_are_read_for_their_directories(host, place, tmp_path):
    for name in ("night 1", "night2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.fits").touch()
    lines = [f"{tmp_path}/night 1/a.fits", f'"{tmp_path}/night2/a.fits"', *[f"{tmp_path}/night2/{n}" for n in range(9)]]
    (place.work / "raws.list").write_text("# raws\n" + "\n".join(lines) + "\n")
    binds = host.binds("ingest-images", "input", "@raws.list")
    assert binds[str(tmp_path / "night 1")] == binds[str(tmp_path / "night2")] == "ro"


def test_input_root_of_the_environment(host, place, tmp_path):
    words = host.words("process-ccd", "input", "--output", "o", PIPE_INPUT_ROOT=str(place.work))
    assert f"{place.disk}/CALIB:{place.disk}/CALIB:ro" in words
    assert f"env:APPTAINERENV_PIPE_INPUT_ROOT={place.work}" in words


def test_of_many_links_few_are_read(host, place, tmp_path):
    target = str(place.disk / "raw dir/HSCA04098410.fits")
    for pointing in range(3):
        directory = place.input / f"F/2015-10-10/{pointing:05d}/HSC-G"
        directory.mkdir(parents=True)
        for number in range(300):
            (directory / f"HSC-{number:07d}-000.fits").symlink_to(target)
    readlink = host.bin / "readlink"
    real = readlink.readlink()
    readlink.unlink()
    readlink.write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path}/read"\nexec {real} "$@"\n')
    readlink.chmod(0o755)
    assert host.binds(*PROCESS)[str(place.disk / "raw dir")] == "ro"
    raws = [line for line in (tmp_path / "read").read_text().splitlines() if "HSC-" in line]
    assert len(raws) == 3 * 3 + 1


def test_dangling_links_are_told(host, place):
    (place.input / "CALIB").unlink()
    (place.input / "CALIB").symlink_to("/spsX/calib")
    done = host.run(*PROCESS)
    assert done.returncode == 0
    assert f"warning: {place.input}/CALIB leads to /spsX/calib, which is not there on this machine" in done.stderr


@pytest.mark.parametrize("system", ["/usr", "/usr/lib", "/usr/bin", "/etc/ssl", "/lib"])
def test_system_directories_are_never_bound(host, place, system):
    (place.input / "CALIB").unlink()
    (place.input / "CALIB").symlink_to(system)
    bound = host.binds(*PROCESS)
    assert "/usr" not in bound
    assert not [path for path in bound if path.startswith(("/usr/lib", "/usr/bin", "/etc", "/bin", "/lib"))]


def test_circle_of_links_ends(host, place):
    (place.input / "CALIB").unlink()
    (place.input / "CALIB").symlink_to("CALIB")
    assert "circle" in host.run(*PROCESS).stderr


# ------------------------------------------------------------------------------------------------ site


def test_site_settings_reach_the_engine(host, place, tmp_path):
    (tmp_path / "sps").mkdir()
    optional = (Bind(str(tmp_path / "sps"), str(tmp_path / "sps"), True), Bind("/spsX", "/spsX", True))
    scratch = tmp_path / "scratch $HOME"
    scratch.mkdir()
    host.profile(
        SiteProfile(
            name="s",
            binds=(Bind(str(tmp_path / "sps"), "/data:x", True),),
            binds_if_present=optional,
            scratch="$SCRATCH_X",
            container=Container(apptainer_options=("--cleanenv", "--no-home"), environment=("LANG",)),
        )
    )
    words = host.words(*PROCESS, SCRATCH_X=str(scratch), LANG="C, with comma")
    assert words[1:3] == ["--cleanenv", "--no-home"]
    assert f"{tmp_path}/sps:{tmp_path}/sps:ro" in words and not any("spsX" in word for word in words)
    # A colon in a path needs the long form.
    assert f"type=bind,source={tmp_path}/sps,destination=/data:x,ro" in words
    assert f"{scratch}:{scratch}:rw" in words
    assert f"env:APPTAINERENV_TMPDIR={scratch}" in words and "env:SINGULARITYENV_LANG=C, with comma" in words


def test_bind_that_must_be_there(host):
    host.profile(SiteProfile(name="s", binds=(Bind("/spsX", "/spsX", True),)))
    done = host.run(*PROCESS)
    assert done.returncode == 2 and "/spsX must be bound" in done.stderr


def test_values_of_a_profile_are_no_shell_code(host, tmp_path):
    evil = f"/x$(touch {tmp_path}/evil)`touch {tmp_path}/evil`'\""
    host.profile(
        SiteProfile(
            name="s",
            binds_if_present=(Bind(f"$HOME{evil}", evil, True),),
            scratch=f"$HOME{evil}}}",
            container=Container(image=evil),
        )
    )
    done = host.run(*PROCESS, HSCBOX_IMAGE="")
    assert done.returncode == 2 and "there is no image" in done.stderr
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("head", ["$HOME}CODE${HOME", "${HOME}CODE", "$HOME-CODE", "${HOME:-CODE}", "$éCODE"])
def test_only_a_whole_variable_is_one(host, tmp_path, head):
    """The file that the code would make is in the working directory: a slash would end the head."""
    image = head.replace("CODE", "$(touch pwned)")
    host.profile(SiteProfile(name="s", container=Container(image=image)))
    done = host.run(*PROCESS, HSCBOX_IMAGE="")
    assert done.returncode == 2 or image in done.stdout
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("name", ["local", "ccin2p3"])
def test_shipped_profiles_make_scripts_that_run(host, name):
    host.profile(load_profile(name))
    words = host.words(*PROCESS)
    assert ("--cleanenv" in words) == (name == "ccin2p3")
    syntax = subprocess.run([SHELL, "-n", str(host.root / "run-hscbox")], capture_output=True, check=False)
    assert syntax.returncode == 0 and not syntax.stderr


# ------------------------------------------------------------------------------------------------ engines


def test_podman_gets_its_own_words(host, place):
    host.engine("podman")
    words = host.words(*PROCESS, HSCBOX_IMAGE="localhost/hscbox:1")
    assert words[:4] == ["run", "--rm", "--interactive", "--read-only"]
    assert words[words.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert f"{place.disk}/raw dir:{place.disk}/raw dir:ro" in words
    assert words[words.index("localhost/hscbox:1") :][1 : 1 + len(PROCESS)] == [*PROCESS]


def test_classic_names_choose_the_program(host):
    words = host.words("processCcd.py", "input", "--output", "output")
    assert words[0] == "exec" and words[words.index("processCcd.py") - 1].endswith("hscbox.sif")
    host.engine("podman")
    words = host.words("processCcd.py", "input", "--output", "output", HSCBOX_IMAGE="hscbox")
    assert words[words.index("--entrypoint") + 1] == "processCcd.py"
    assert words[words.index("hscbox") + 1] == "input"


def test_engine_is_found_or_named(host):
    (host.bin / "apptainer").rename(host.bin / "singularity")
    assert host.words(*PROCESS)[0] == "run"
    assert "there is no nothing here" in host.run(*PROCESS, HSCBOX_ENGINE="nothing").stderr
    done = host.run(*PROCESS, HSCBOX_IMAGE="")
    assert done.returncode == 0  # hscbox.sif beside the script
    (host.root / "hscbox.sif").unlink()
    done = host.run(*PROCESS, HSCBOX_IMAGE="")
    assert done.returncode == 2 and "HSCBOX_IMAGE" in done.stderr


def test_dry_run_prints_the_command(host, place):
    words = host.words(*PROCESS, HSCBOX_DRY_RUN="1")
    assert words[:2] == ["apptainer", "run"] and not any(word.startswith("env:") for word in words)
