"""Five CCDs of the survey in r, and products that depend neither on -j nor on the order of the CCDs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from played import run
from survey import ALL_BANDS_OF, Row, survey_frame
from survey_page import page

from hscbox.simulate.dataset import write_dataset
from hscbox.simulate.scene import Scene


@pytest.mark.slow
@pytest.mark.parametrize("ccd", ALL_BANDS_OF)
def test_survey_agrees_with_the_truth(ccd):
    row = survey_frame(ccd, "r")
    assert row.status == "done", row.message
    assert not row.faults and not row.unexplained, row.numbers
    assert row.numbers["sky"] == pytest.approx(1871.1, rel=0.005)
    assert row.numbers["seeing"] == pytest.approx(0.516, rel=0.03)
    # 27.1295 mag for 1 ADU/s in 300 s.
    assert row.numbers["zero_point"] == pytest.approx(33.3223, abs=0.02)
    assert row.numbers["psf_stars"] > 20


def test_failures_are_explained_by_the_scene_alone():
    done = Row(1, "r", 1.0)
    lost = Row(2, "r", 1.0, status="astrometry", message="No match", exit=20)
    dark = Row(3, "r", 0.0, status="no-psf-stars", message="No stars", exit=20, cause="only 0% of the pixels are lit")
    wrong = Row(4, "r", 1.0, faults=["zero point"])
    assert [row.unexplained for row in (done, lost, dark, wrong)] == [False, True, False, True]
    rows = [{**vars(row), "unexplained": row.unexplained} for row in (done, lost, dark, wrong)]
    explained, unexplained = page("abc-dirty", rows).split("## Explained failures")[1].split("## Unexplained")
    assert "CCD 3 r" in explained and "CCD 2" not in explained
    assert "CCD 2 r: astrometry; No match" in unexplained and "CCD 4 r: done; zero point" in unexplained


def products(output: Path) -> dict[str, str]:
    """Return the SHA-256 of every product; the run's own record has times and is left out."""
    found = [path for path in output.glob("[0-9]*/**/*") if path.is_file() and path.suffix != ".boost"]
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)}


@pytest.mark.slow
@pytest.mark.parametrize("rows", [512, 4176])
def test_products_depend_neither_on_j_nor_on_order(tmp_path, rows):
    one, other = 55, 95
    scenes = [
        Scene(ccd=ccd, rows=rows, star_density=12.8, galaxy_density=0.0, faint_limit=26.0) for ccd in (one, other)
    ]
    write_dataset(tmp_path / "sim", scenes, truth_images=False)
    run("hscbox", "mount", tmp_path / "in", "--calib", tmp_path / "sim/CALIB", "--ref-cats", tmp_path / "sim/ref_cats")
    run("hscbox", "ingest-images", tmp_path / "in", tmp_path / "sim/raw")

    def process(name: str, *words: str) -> dict[str, str]:
        run("hscbox", "process-ccd", tmp_path / "in", "--output", tmp_path / name, "--id", "visit=40984", *words)
        return products(tmp_path / name)

    forwards = process("forwards", f"ccd={one}^{other}", "-j", "1")
    backwards = process("backwards", f"ccd={other}^{one}", "-j", "2")
    alone = process("first", f"ccd={one}") | process("second", f"ccd={other}")
    assert len(forwards) >= 16
    assert forwards == backwards == alone
