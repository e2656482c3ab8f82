"""Two CCDs of one visit, in this process and by two workers: the same products, one record each, one set-up."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from played import run
from typer.testing import CliRunner

from hscbox.butler import repository as repository_module
from hscbox.butler.butler import Butler
from hscbox.butler.output import OutputRepository
from hscbox.cli.app import app
from hscbox.pipeline.record import CcdRecord, RunRecord, from_text, read_record
from hscbox.products.boost import read_boost
from hscbox.runs.arguments import ProcessCcdArguments
from hscbox.runs.run import run_process_ccd
from hscbox.runs.store import records_root
from hscbox.simulate.dataset import write_dataset
from hscbox.simulate.scene import Scene
from hscbox.site.doctor.quick import preflight

CCDS = (55, 56)
QUICKLY = ("-c", "charImage.psfIterations=1")
RECORDS = (".boost", ".pickle", ".yaml")


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the input repository of two cut-outs."""
    root = tmp_path_factory.mktemp("field")
    scenes = [Scene(ccd=ccd, rows=256, star_density=16.0, galaxy_density=0.0, faint_limit=26.0) for ccd in CCDS]
    write_dataset(root / "sim", scenes, truth_images=False)
    run("hscbox", "mount", root / "in", "--calib", root / "sim/CALIB", "--ref-cats", root / "sim/ref_cats")
    run("hscbox", "ingest-images", root / "in", root / "sim/raw")
    return root / "in"


class Counts:
    """What was made, opened and read while a command ran in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.shards: Counter[str] = Counter()
        for kind in (Butler, OutputRepository):
            self._count(monkeypatch, kind)
        build, get = repository_module._build, Butler.get

        def built(directory: Path, *rest: Any) -> Any:
            self.opened[os.path.realpath(directory)] += 1
            return build(directory, *rest)

        def got(butler: Butler, dataset: str, *rest: Any, **keys: Any) -> Any:
            if dataset == "ref_cat":
                self.shards[rest[0]["pixel_id"]] += 1
            return get(butler, dataset, *rest, **keys)

        monkeypatch.setattr(repository_module, "_build", built)
        monkeypatch.setattr(Butler, "get", got)

    def _count(self, monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
        original = kind.__init__

        def made(this: Any, *words: Any, **keys: Any) -> None:
            self.made[kind.__name__] += 1
            original(this, *words, **keys)

        monkeypatch.setattr(kind, "__init__", made)


def process(field: Path, output: Path, processes: int, *, only_begin: bool = False) -> None:
    ids = [] if only_begin else [["visit=40984", f"ccd={CCDS[0]}..{CCDS[-1]}"]]
    arguments = ProcessCcdArguments(str(field), str(output), ids=ids, overrides=[QUICKLY], processes=processes)
    assert run_process_ccd(arguments, preflight(arguments)) == 0


def products(output: Path) -> dict[str, str]:
    paths = (path for path in output.rglob("*") if path.is_file() and path.suffix not in RECORDS)
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_two_workers_give_the_same_bytes_as_one_process(field, tmp_path, monkeypatch, capfd):
    counts = Counts(monkeypatch)
    process(field, tmp_path / "one", 1, only_begin=True)
    assert counts.made == {"Butler": 1, "OutputRepository": 1}
    assert counts.opened == {str(field): 1}
    assert not records_root(tmp_path / "one").exists()

    # The output exists now, and the input is its parent too.
    counts.made.clear(), counts.opened.clear()
    process(field, tmp_path / "one", 1)
    assert counts.made == {"Butler": 1, "OutputRepository": 1}
    assert counts.opened == {str(field): 1, str(tmp_path / "one"): 1}
    # The second CCD finds the shards of the first in memory.
    assert counts.shards and set(counts.shards.values()) == {1}

    monkeypatch.undo()
    process(field, tmp_path / "two", 2)
    assert products(tmp_path / "one") == products(tmp_path / "two")
    assert sum(name.endswith(".fits") for name in products(tmp_path / "two")) == 2 + 2 * 6
    assert "Traceback" not in capfd.readouterr().err

    for output, processes in (("one", 1), ("two", 2)):
        the_records_are_whole(tmp_path / output, processes)
    provenance_prints_them(tmp_path / "two")


def the_records_are_whole(output: Path, processes: int) -> None:
    """Assert a record for the run, and one for each CCD that is the copy in its metadata file."""
    place = sorted(records_root(output).iterdir())[-1]
    assert place.parent == output.parent / f"{output.name}.runs"
    assert sorted(path.name for path in place.iterdir()) == ["0040984-055.json", "0040984-056.json", "run.json"]
    of_run = read_record(RunRecord, place / "run.json")
    assert (of_run.run, of_run.status, of_run.ccds, of_run.processes) == (place.name, 0, 2, processes)
    assert of_run.started < of_run.ended and of_run.output == str(output)
    for ccd in CCDS:
        record = read_record(CcdRecord, place / f"0040984-{ccd:03d}.json")
        copy = read_boost(next(output.glob(f"*/*/processCcd_metadata/0040984-{ccd:03d}.boost")))
        assert from_text(CcdRecord, str(copy.items["processCcd.provenance"][0]), "") == record
        assert (record.code, record.status, record.error, record.run, record.tries) == ("done", 0, None, place.name, 1)
        assert record.data_id["ccd"] == ccd and record.numbers is not None and record.numbers.psf_stars > 3
        assert 0.1 < record.cpu_seconds < 100 and 100 < record.peak_memory_mib < 2000
        assert of_run.started < record.started < record.ended < of_run.ended
        raw = Path(record.inputs["raw"]["path"])
        assert record.inputs["raw"]["sha256"] == hashlib.sha256(raw.read_bytes()).hexdigest()
        workers = {record.machine["pid"]} - {of_run.machine["pid"]}
        assert bool(workers) == (processes > 1)


def provenance_prints_them(output: Path) -> None:
    """Assert that the command prints the same with the records beside the output as from the copies in it."""
    words = ["provenance", str(output), "visit=40984"]
    printed = json.loads(CliRunner().invoke(app, words).stdout)
    assert [record["dataId"]["ccd"] for record in printed] == list(CCDS)
    assert all(record["schema"] == 1 and record["status"] == "done" for record in printed)
    one = json.loads(CliRunner().invoke(app, [*words, "ccd=56", "filter=HSC-R"]).stdout)
    assert one == printed[1:]
    assert CliRunner().invoke(app, [*words, "filter=HSC-I"]).exit_code != 0
    records_root(output).rename(output.parent / "elsewhere")
    assert json.loads(CliRunner().invoke(app, words).stdout) == printed
