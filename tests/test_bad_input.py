"""Bad input: each case ends with one clear line, the right exit status, and nothing lost."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from played import Guide, mount, run

ID = ("--id", "visit=40984", "ccd=55")


def process(repository: Path, output: Path, *options: object, ids=ID):
    return run("hscbox", "process-ccd", repository, "--output", output, *ids, *options, check=False)


def assert_one_line_error(done, status: int, *words: str) -> None:
    assert done.returncode == status, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    everything = done.stderr + done.stdout
    for word in words:
        assert word in everything, everything
    lines = [line for line in done.stderr.splitlines() if line.startswith("hscbox: error") or " FATAL: " in line]
    assert len(lines) == 1, done.stderr


def altered_raw(guide: Guide, path: Path, pixels=None, **cards: object) -> Path:
    """Write a copy of the guide's raw with other header values (None removes a card) or pixels."""
    with fits.open(guide.raw) as hdus:
        header = hdus[0].header.copy()
        data = hdus[0].data if pixels is None else pixels(hdus[0].data)
        for key, value in cards.items():
            name = key.replace("_", "-")
            if value is None:
                del header[name]
            else:
                header[name] = value
        fits.PrimaryHDU(data, header).writeto(path, checksum=True)
    return path


def private_calib(guide: Guide, repository: Path) -> Path:
    """Give the repository a calibration directory of its own and return it."""
    link = repository / "CALIB"
    target = link.resolve()
    link.unlink()
    shutil.copytree(target, link)
    return link


def private_reference(repository: Path) -> Path:
    link = repository / "ref_cats"
    target = link.resolve()
    link.unlink()
    shutil.copytree(target, link)
    return next(link.iterdir())


def ingest(repository: Path, *files: object, **options):
    return run("hscbox", "ingest-images", repository, *files, check=False, **options)


def rows(repository: Path) -> int:
    with sqlite3.connect(repository / "registry.sqlite3") as registry:
        return registry.execute("select count(*) from raw").fetchone()[0]


# ------------------------------------------------------------------------------------------------ ingest


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ({"DET_ID": None}, ("DET-ID",)),
        ({"EXP_ID": "HSC?09840"}, ("EXP-ID",)),
        ({"EXP_ID": "nonsense", "FRAMEID": "nonsense"}, ("FRAMEID",)),
        ({"INSTRUME": "Suprime-Cam"}, ("Suprime-Cam",)),
        ({"FILTER01": "HSC-r/../../x"}, ("FILTER01",)),
    ],
)
def test_raws_with_bad_headers_are_refused_and_leave_nothing(guide, fresh_input, tmp_path, cards, words):
    bad = altered_raw(guide, tmp_path / "HSCA04098699.fits", **cards)
    before = set(fresh_input.rglob("*"))
    done = ingest(fresh_input, bad)
    assert done.returncode == 4
    text = "".join((done.stdout + done.stderr).split())
    assert all(word in text for word in words) and bad.name in text
    assert "Traceback" not in done.stderr
    assert rows(fresh_input) == 1
    assert set(fresh_input.rglob("*")) == before


def test_object_with_dots_and_slashes_stays_inside(guide, fresh_input, tmp_path):
    bad = altered_raw(guide, tmp_path / "x.fits", OBJECT="../../../etc", EXP_ID="HSCA04098600", FRAMEID="HSCA04098610")
    done = ingest(fresh_input, bad)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(fresh_input / "registry.sqlite3") as registry:
        field = registry.execute("select field from raw where visit=40986").fetchone()[0]
    assert field == "_________ETC"
    assert (fresh_input / field).is_dir()


def test_truncated_raw_is_refused_at_ingest(guide, fresh_input, tmp_path):
    short = tmp_path / "HSCA04098410.fits"
    short.write_bytes(guide.raw.read_bytes()[:1_000_000])
    done = ingest(fresh_input, short)
    assert done.returncode == 4 and "HSCA04098410.fits" in "".join(done.stdout.split()) + done.stderr
    assert rows(fresh_input) == 1


def test_raw_truncated_after_ingest(guide, tmp_path):
    own = tmp_path / "HSCA04098410.fits"
    shutil.copyfile(guide.raw, own)
    mount(guide, tmp_path / "input")
    run("hscbox", "ingest-images", tmp_path / "input", own)
    own.write_bytes(guide.raw.read_bytes()[:1_000_000])
    done = process(tmp_path / "input", tmp_path / "output")
    assert_one_line_error(done, 4, "HSC-0040984-055.fits")


def test_corrupted_registry(fresh_input, tmp_path):
    registry = fresh_input / "registry.sqlite3"
    content = registry.read_bytes()
    registry.write_bytes(b"this is no database" * 100)
    done = process(fresh_input, tmp_path / "output")
    assert_one_line_error(done, 4, str(registry))
    assert not (tmp_path / "output").exists()
    registry.write_bytes(content)


# ------------------------------------------------------------------------------------------------ calibrations


def test_missing_calib_file(guide, fresh_input, tmp_path):
    calib = private_calib(guide, fresh_input)
    next(calib.glob("FLAT/*/*/*.fits")).unlink()
    assert_one_line_error(process(fresh_input, tmp_path / "output"), 4, "FLAT-")


def test_calib_out_of_validity_names_the_nearest(guide, fresh_input, tmp_path):
    calib = private_calib(guide, fresh_input)
    with sqlite3.connect(calib / "calibRegistry.sqlite3") as registry:
        registry.execute("update bias set validStart='2001-01-01', validEnd='2001-02-01'")
    assert_one_line_error(process(fresh_input, tmp_path / "output"), 4, "bias", "2015-10-10", "2001-02-01")


def test_kernel_pickle_that_executes_is_refused(guide, fresh_input, tmp_path):
    marker = tmp_path / "marker"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (marker,))

    calib = private_calib(guide, fresh_input)
    (calib / "BFKERNEL/brighter_fatter_kernel.pkl").write_bytes(pickle.dumps(Evil()))
    assert_one_line_error(process(fresh_input, tmp_path / "output"), 4, "brighter_fatter_kernel.pkl")
    assert not marker.exists()


# ------------------------------------------------------------------------------------------------ references


def test_missing_reference_shard(fresh_input, tmp_path):
    catalog = private_reference(fresh_input)
    gone = list(catalog.glob("[0-9]*.fits"))
    for path in gone:
        path.unlink()
    done = process(fresh_input, tmp_path / "output")
    assert_one_line_error(done, 4, "ps1_pv3_3pi_20170110", ".fits")
    products = {path.name for path in (tmp_path / "output").rglob("*") if path.is_file()}
    assert "ICSRC-0040984-055.fits" in products and "0040984-055.boost" in products


def test_too_few_matches(fresh_input, tmp_path):
    from hscbox.products.catalog import read_catalog, write_catalog

    for path in private_reference(fresh_input).glob("[0-9]*.fits"):
        shard = read_catalog(path)
        write_catalog(path, shard.subset(np.arange(len(shard)) % 400 == 0))
    done = process(fresh_input, tmp_path / "output")
    assert_one_line_error(done, 20, "match")
    # What is valid is kept, and the placeholder of the WCS is gone.
    with fits.open(next((tmp_path / "output").glob("*/*/corr/CORR-*.fits"))) as hdus:
        assert "CRVAL1" not in hdus[1].header and "FLUXMAG0" not in hdus[0].header
        assert "PSF_ID" in hdus[0].header
    assert len(fits.getdata(next((tmp_path / "output").glob("*/*/output/SRC-*.fits")))) > 500
    assert not list((tmp_path / "output").glob("*/*/output/SRCMATCH*"))


# ------------------------------------------------------------------------------------------------ pixels


def _dataset(scene_changes: dict[str, object], guide: Guide, tmp_path: Path) -> Path:
    """Simulate a changed scene with the guide's masters and return an input repository."""
    from hscbox.simulate.dataset import write_raw
    from hscbox.simulate.frame import simulate_frame
    from hscbox.simulate.scene import Scene

    raw = tmp_path / "HSCA04098410.fits"
    write_raw(raw, simulate_frame(Scene(rows=1280, **scene_changes)))
    repository = tmp_path / "input"
    mount(guide, repository)
    run("hscbox", "ingest-images", repository, raw)
    return repository


def test_no_stars(guide, tmp_path):
    repository = _dataset({"star_density": 0.0, "galaxy_density": 0.0}, guide, tmp_path)
    done = process(repository, tmp_path / "output")
    assert done.returncode == 20, done.stderr
    assert_one_line_error(done, 20, "star")


def test_all_saturated(guide, tmp_path):
    raw = altered_raw(guide, tmp_path / "HSCA04098410.fits", pixels=lambda data: np.full_like(data, 65535))
    mount(guide, tmp_path / "input")
    run("hscbox", "ingest-images", tmp_path / "input", raw)
    assert_one_line_error(process(tmp_path / "input", tmp_path / "output"), 20, "saturated")


def test_focus_ccd_is_refused_by_name(guide, tmp_path):
    raw = altered_raw(guide, tmp_path / "f.fits", DET_ID=104, T_SDOID=48, T_BEEID=1, FRAMEID="HSCA04098548")
    mount(guide, tmp_path / "input")
    run("hscbox", "ingest-images", tmp_path / "input", raw)
    done = process(tmp_path / "input", tmp_path / "output", ids=("--id", "ccd=104"))
    assert_one_line_error(done, 20, "104", "focus")


# ------------------------------------------------------------------------------------------------ command line


def test_output_that_cannot_be_written(guide, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    assert_one_line_error(process(guide.input, blocker / "output"), 2, "file")
    assert blocker.read_text() == "in the way"


def test_unknown_id_key(guide, tmp_path):
    done = process(guide.input, tmp_path / "output", ids=("--id", "vist=40984"))
    assert_one_line_error(done, 2, "vist", "visit")
    assert not (tmp_path / "output").exists()


def test_id_not_in_the_registry(guide, tmp_path):
    done = process(guide.input, tmp_path / "output", ids=("--id", "visit=1", "ccd=55"))
    assert_one_line_error(done, 4, "visit=1 ccd=55")
    assert not (tmp_path / "output").exists()


def test_config_file_that_executes(guide, tmp_path):
    marker = tmp_path / "marker"
    evil = tmp_path / "evil.py"
    evil.write_text(f"import os\nos.system('touch {marker}')\n")
    done = process(guide.input, tmp_path / "output", "-C", evil)
    assert_one_line_error(done, 2, "evil.py:2")
    assert not marker.exists()


def test_recorded_config_that_executes(guide, tmp_path):
    marker = tmp_path / "marker"
    output = tmp_path / "output"
    process(guide.input, output, ids=())
    with (output / "config/processCcd.py").open("a") as stream:
        stream.write(f"open('{marker}', 'w')\n")
    done = process(guide.input, output)
    assert done.returncode == 2 and "processCcd.py" in done.stderr
    assert not marker.exists()


def test_another_config_is_refused_with_a_diff(guide, tmp_path):
    output = tmp_path / "output"
    assert process(guide.input, output, ids=()).returncode == 0
    before = (output / "config/processCcd.py").read_bytes()
    done = process(guide.input, output, "-c", "isr.doDark=False")
    assert done.returncode == 2
    assert "-config.isr.doDark=True" in done.stderr and "+config.isr.doDark=False" in done.stderr
    assert "--clobber-config" in done.stderr
    assert (output / "config/processCcd.py").read_bytes() == before


def test_show_has_no_side_effects(guide, tmp_path):
    done = process(guide.input, tmp_path / "output", "--show", "config=*doDark", "data")
    assert done.returncode == 0
    assert "config.isr.doDark=True" in done.stdout
    assert "id dataRef.dataId = {'visit': 40984, 'ccd': 55" in done.stdout
    assert not (tmp_path / "output").exists()


def test_unknown_config_field_and_value(guide, tmp_path):
    assert_one_line_error(process(guide.input, tmp_path / "o", "-c", "isr.doDrak=False"), 2, "doDrak")
    assert_one_line_error(process(guide.input, tmp_path / "o", "-c", "isr.doDark=maybe"), 2, "maybe")


@pytest.mark.parametrize(
    "override",
    [
        "calibrate.photoCal.fluxField=slot_NoFlux_flux",
        "calibrate.photoCal.badFlags=no_such_flag",
        "calibrate.photoCal.photoCatName=no_such_catalogue",
        "calibrate.astrometry.matcher.sourceFluxType=Nope",
        "charImage.measurePsf.starSelector.badFlags=no_such_flag",
        "charImage.measureApCorr.starFlag=no_such_flag",
        "charImage.installSimplePsf.width=12",
    ],
)
def test_configured_names_are_checked_before_the_run(guide, tmp_path, override):
    done = process(guide.input, tmp_path / "o", "-c", override)
    assert_one_line_error(done, 2, override.partition("=")[0].rpartition(".")[2])
    assert not (tmp_path / "o" / "01378").exists()


def test_mixed_run_reports_all_and_exits_with_the_gravest(guide, tmp_path):
    done = process(guide.input, tmp_path / "output", ids=("--id", "visit=40984^40986", "ccd=55^56"))
    assert done.returncode == 4
    assert "1 of 4 CCDs done" in done.stdout and "visit=40986" in done.stderr
    # Each id that stands for nothing counts, in words that --id takes.
    table = done.stdout.partition("Failures")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in table if line.startswith("│")]
    assert [row[0] for row in rows if row[1]] == ["3"]
    assert [row[-1] for row in rows] == ["visit=40984 ccd=56", "visit=40986 ccd=55..56"]
