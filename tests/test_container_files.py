"""The definitions of the two images agree with the program and with each other; needs no engine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from hscbox.machine.environment import PINNED

ROOT = Path(__file__).parents[1]


def _containerfile() -> dict[str, str]:
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    words = [word for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def _definition() -> dict[str, str]:
    section = re.split(r"^%(\w+)", (ROOT / "apptainer.def").read_text(), flags=re.MULTILINE)
    text = section[section.index("environment") + 1]
    lines = re.findall(r"^\s*export (.*)$", text, re.MULTILINE)
    return dict(word.split("=", 1) for line in lines for word in shlex.split(line))


def _requirements(path: Path) -> dict[str, set[str]]:
    """Return the hashes of each pinned requirement of a lock."""
    blocks = re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)[1:]
    return {block.split()[0]: set(re.findall(r"sha256:\w+", block)) for block in blocks}


def test_both_images_set_the_same_variables_and_pin_what_the_program_pins() -> None:
    assert _containerfile() == _definition()
    assert {**_containerfile(), **PINNED} == _containerfile()
    assert _containerfile()["PYTHONNOUSERSITE"] == "1"


def test_the_images_lock_is_a_part_of_the_lock() -> None:
    whole, part = (_requirements(ROOT / name) for name in ("requirements.lock", ".container/requirements.lock"))
    assert {name: whole.get(name) for name in part} == part
    names = {name.split("==")[0] for name in part}
    assert {"numpy", "numba", "parsl", "pyarrow"} <= names
    assert not {"pytest", "mypy", "ruff"} & names
    assert all(part.values())


def test_no_file_of_the_images_names_a_host() -> None:
    for name in ("Containerfile", "apptainer.def", "Makefile", ".container/install.sh"):
        assert not re.search(r"https?://|--index-url|trusted-host", (ROOT / name).read_text()), name


def test_revision_reaches_the_program_and_the_labels() -> None:
    assert re.search(r"^ARG REVISION\n(.*\n)*?RUN .* program$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert re.search(r"export .*\bREVISION\b", (ROOT / "apptainer.def").read_text())
    makefile = (ROOT / "Makefile").read_text()
    assert "--label org.opencontainers.image.revision=$(REVISION)" in makefile
    assert "--build-arg REVISION=$(REVISION)" in makefile and "APPTAINERENV_REVISION=$(REVISION)" in makefile
