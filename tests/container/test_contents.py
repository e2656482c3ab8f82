"""What the images are made of and what they say about themselves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import hscbox
from container.engines import Apptainer, Call, Podman, run

SHARE = "/opt/hscbox/share/hscbox"
SHELL = Call(entry="sh", cwd="/")


def _read(engine: Podman | Apptainer, name: str) -> str:
    return run(engine, "-c", f"cat {SHARE}/{name}", call=SHELL).stdout


def test_identity(engine: Podman | Apptainer) -> None:
    identity = json.loads(_read(engine, "image.json"))
    assert set(identity) == {"name", "version", "revision", "base", "baseDigest", "created"}
    assert identity["version"] == hscbox.__version__
    assert identity["base"].startswith("debian:")
    said = run(engine, "--version", call=Call(entry="/opt/hscbox/bin/hscbox", cwd="/")).stdout
    assert f"revision {identity['revision'][:7]}" in said


def test_bill_of_materials_names_what_is_installed(engine: Podman | Apptainer) -> None:
    bill = json.loads(_read(engine, "sbom.cdx.json"))
    assert bill["bomFormat"] == "CycloneDX"
    # Nothing that differs from build to build of one commit.
    assert "serialNumber" not in bill
    listed = {component["name"].lower(): component.get("version") for component in bill["components"]}
    code = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name.lower(), d.version)"
    python = Call(entry="/opt/hscbox/bin/python", cwd="/")
    installed = dict(line.split() for line in run(engine, "-c", code, call=python).stdout.splitlines())
    assert {"hscbox", "numpy", "parsl", "pyarrow"} <= set(installed)
    assert not {"pytest", "mypy", "ruff", "pip"} & set(installed)
    assert {name: listed.get(name) for name in installed} == installed


def test_debian_packages_are_listed(engine: Podman | Apptainer) -> None:
    lines = run(engine, "-c", "dpkg-query --show", call=SHELL).stdout.splitlines()
    assert _read(engine, "debian-packages.txt").splitlines() == lines
    assert any(line.startswith("python3.13\t") for line in lines)


def test_the_lock_inside_is_the_one_of_the_checkout(engine: Podman | Apptainer) -> None:
    lock = Path(__file__).parents[2] / ".container/requirements.lock"
    assert _read(engine, "requirements.lock") == lock.read_text()


def test_no_tools_or_caches_are_left(engine: Podman | Apptainer) -> None:
    found = run(engine, "-c", "for name in gcc cc ld pip pip3 uv; do command -v $name; done; true", call=SHELL)
    assert found.stdout == ""
    left = "ls -A /var/lib/apt/lists /var/cache/apt /var/cache/ldconfig /src /opt/tools /opt/install.sh 2>/dev/null"
    names = [line for line in run(engine, "-c", f"{left}; true", call=SHELL).stdout.splitlines() if line]
    assert [name for name in names if not name.endswith(":")] == []


def test_oci_configuration(podman: Podman) -> None:
    command = [podman.engine, "image", "inspect", podman.image]
    config = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]["Config"]
    assert config["User"] == "1000:1000"
    assert config["Entrypoint"] == ["hscbox"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert {"title", "description", "licenses", "version", "revision", "created"} <= set(labels)
    assert labels["base.name"].startswith("debian:")
    assert labels["base.digest"].startswith("sha256:")


def test_sif_is_small_and_explains_itself(apptainer: Apptainer) -> None:
    assert Path(apptainer.image).stat().st_size <= 300e6

    def ask(*words: str) -> str:
        command = [*apptainer.as_user, "apptainer", *words, apptainer.image]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout

    assert "apptainer run hscbox.sif process-ccd" in " ".join(ask("run-help").split())
    labels = ask("inspect")
    for name in ("org.opencontainers.image.title", "hscbox.version", "hscbox.revision", "hscbox.baseDigest"):
        assert name in labels
    assert 'exec hscbox "$@"' in ask("inspect", "--runscript")


@pytest.mark.parametrize("options", [(), ("--containall", "--cleanenv", "--workdir")])
def test_sif_tests_itself(apptainer: Apptainer, out: Path, options: tuple[str, ...]) -> None:
    # With --containall alone /tmp is held in memory and has 64 MB, too few for a frame: --workdir gives it room.
    place = [str(out)] if options else []
    command = [*apptainer.as_user, "apptainer", "test", *options, *place, "--net", "--network", "none", apptainer.image]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS at the bitwise level" in done.stdout
