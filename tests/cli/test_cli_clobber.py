"""`--clobber-output` deletes an output and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hscbox.butler.repository import chain, open_repository
from hscbox.errors import OutputError, UsageError
from hscbox.runs.run import _clobber


def output(path: Path, parent: str) -> None:
    path.mkdir()
    (path / "repositoryCfg.yaml").write_text(
        "!RepositoryCfg_v1\n_mapper: &id001 !!python/name:lsst.obs.hsc.hscMapper.HscMapper ''\n_mapperArgs: {}\n"
        f"_parents: [../{parent}]\n_policy: null\n_root: null\ndirty: true\n"
    )


def clobber(place: Path, source: Path) -> None:
    _clobber(place, chain([open_repository(source)]))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "input").mkdir()
    (tmp_path / "input/_mapper").write_text("lsst.obs.hsc.HscMapper\n")
    output(tmp_path / "output", "input")
    return tmp_path / "input"


def test_an_output_is_deleted_and_one_that_is_not_there_is_fine(source: Path, tmp_path: Path) -> None:
    clobber(tmp_path / "output", source)
    assert not (tmp_path / "output").exists()
    clobber(tmp_path / "output", source)


def test_a_link_is_refused(source: Path, tmp_path: Path) -> None:
    for target in ("output", "nothing"):
        link = tmp_path / f"link to {target}"
        link.symlink_to(tmp_path / target)
        with pytest.raises(UsageError, match="is a symbolic link"):
            clobber(link, source)
    assert (tmp_path / "output/repositoryCfg.yaml").exists()


def test_the_input_and_its_parents_are_kept(source: Path, tmp_path: Path) -> None:
    output(tmp_path / "second", "output")
    for used in (tmp_path / "second", tmp_path / "output", source, tmp_path):
        with pytest.raises(UsageError, match="would delete the input"):
            clobber(used, tmp_path / "second")
    assert (tmp_path / "output/repositoryCfg.yaml").exists()


def test_what_cannot_be_deleted_is_no_traceback(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(OutputError, match=r"Cannot write .*output: Permission denied"):
        clobber(tmp_path / "output", source)
