from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hscbox.cli.app import app
from hscbox.machine.revision import revision

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "file").write_text("a\n")
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "First"]):
        _git(root, *words)
    return root


def _git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", root, *who, *words], capture_output=True, text=True, check=True).stdout.strip()


def test_a_checkout_is_asked_and_changes_are_told(checkout: Path, tmp_path: Path, monkeypatch) -> None:
    # As in a hook of another repository, which must not answer.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    revision.cache_clear()
    record = tmp_path / "revision.txt"
    record.write_text("0123\n")
    with monkeypatch.context() as clean:
        clean.delenv("GIT_DIR")
        clean.delenv("GIT_INDEX_FILE")
        head = _git(checkout, "rev-parse", "HEAD")
    assert revision(checkout, record) == head
    (checkout / "file").write_text("b\n")
    assert revision(checkout, record) == head, "it is asked once"
    revision.cache_clear()
    assert revision(checkout, record) == f"{head}-dirty"


def test_an_installation_reads_its_record_and_nothing_ever_fails(tmp_path: Path, monkeypatch) -> None:
    record = tmp_path / "revision.txt"
    assert revision(tmp_path, record) == "unknown"
    revision.cache_clear()
    record.write_bytes(b"\xff")
    assert revision(tmp_path, record) == "unknown"
    revision.cache_clear()
    record.write_text("0123abc\n")
    assert revision(tmp_path, record) == "0123abc"
    # What looks like a checkout but is none, and a machine without git.
    (tmp_path / ".git").touch()
    revision.cache_clear()
    assert revision(tmp_path, record) == "0123abc"
    monkeypatch.setenv("PATH", "")
    revision.cache_clear()
    assert revision(tmp_path, record) == "0123abc"


@pytest.mark.parametrize("given", ["", "0123abc"])
def test_a_build_keeps_the_revision_in_what_is_installed(checkout: Path, tmp_path: Path, given: str) -> None:
    """A revision that is given, as to the build of an image, comes first; the checkout stays as it is."""
    package = ("hscbox/__init__.py", "hscbox/machine/build.py", "hscbox/machine/revision.py")
    for name in ("pyproject.toml", "README.md", "LICENSE", *package):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    _git(checkout, "add", ".")
    _git(checkout, "commit", "-qm", "Second")
    command = [
        sys.executable,
        "-c",
        "import setuptools; setuptools.setup()",
        "-q",
        "egg_info",
        "-e",
        tmp_path,
        "build_py",
        "-d",
        tmp_path / "lib",
    ]
    environment = {**os.environ, "REVISION": given, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, cwd=checkout, env=environment, capture_output=True, check=True)
    kept = (tmp_path / "lib/hscbox/machine/revision.txt").read_text().strip()
    assert kept == (given or _git(checkout, "rev-parse", "HEAD"))
    assert _git(checkout, "status", "--porcelain") == ""


def test_version_names_the_revision() -> None:
    printed = CliRunner().invoke(app, ["--version"]).output
    assert re.fullmatch(r"hscbox \S+ \(revision (unknown|[0-9a-f]{7}(-dirty)?)\)\n", printed)
