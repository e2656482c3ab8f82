from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hscbox.butler.butler import Butler
from hscbox.butler.delivery import Mode
from hscbox.butler.derived import read_part
from hscbox.butler.ingest import ingest_images
from hscbox.butler.ingest_calibs import ingest_calibs
from hscbox.butler.ingest_engine import IngestOptions
from hscbox.butler.templates import DATASETS
from hscbox.errors import (
    CalibNotFoundError,
    DamagedInputError,
    MissingInputError,
    OutputError,
    UnknownDataIdError,
    UsageError,
)

ID = {"visit": 40984, "ccd": 55}
STEM = "0040984-055"


@pytest.fixture
def butler(repository: Path, make_raw, make_calib, tmp_path: Path) -> Butler:
    raws = [make_raw(f"raw/{ccd}.fits", DET_ID=ccd) for ccd in (55, 56)]
    ingest_images(repository, [str(path) for path in raws])
    calibs = [make_calib("bias", 55, "2015-10-01"), make_calib("flat", 55, "2015-09-01", "HSC-R")]
    ingest_calibs(repository, map(str, calibs), validity=180, options=IngestOptions(mode=Mode.COPY))
    return Butler.for_run(repository, tmp_path / "output")


def test_paths_of_the_fourteen_products(butler: Butler, tmp_path: Path):
    names = [
        "processCcd_config",
        "packages",
        "icSrc_schema",
        "src_schema",
        "calexp",
        "calexpBackground",
        "icSrc",
        "src",
        "srcMatch",
        "srcMatchFull",
        "processCcd_metadata",
        "ossThumb",
        "flattenedThumb",
    ]
    paths = {str(butler.write_path(name, ID).relative_to(tmp_path / "output")) for name in names}
    assert paths == {
        "config/processCcd.py",
        "config/packages.pickle",
        "schema/icSrc.fits",
        "schema/src.fits",
        f"01378/HSC-R/corr/CORR-{STEM}.fits",
        f"01378/HSC-R/corr/BKGD-{STEM}.fits",
        f"01378/HSC-R/output/ICSRC-{STEM}.fits",
        f"01378/HSC-R/output/SRC-{STEM}.fits",
        f"01378/HSC-R/output/SRCMATCH-{STEM}.fits",
        f"01378/HSC-R/output/SRCMATCHFULL-{STEM}.fits",
        f"01378/HSC-R/processCcd_metadata/{STEM}.boost",
        f"01378/HSC-R/thumbs/oss-{STEM}.png",
        f"01378/HSC-R/thumbs/flattened-{STEM}.png",
    }


def test_computed_datasets(butler: Butler):
    assert butler.get("ccdExposureId", ID) == 8196855
    assert butler.get("ccdExposureId_bits", ID) == 32
    info = butler.get("expIdInfo", visit=40984, ccd=55)
    assert (info.exp_id, info.exp_bits, info.max_bits) == (8196855, 32, 64)
    # The first source id that the guide's notebook shows.
    assert info.exp_id * 2**info.unused_bits + 1 == 35205224155054081
    assert len(butler.get("camera")) == 112
    assert butler.get("raw_detector", ID).id == 55


def test_where_files_are(butler: Butler, repository: Path):
    destination = repository / f"SSP_UDEEP_SXDS/2015-10-10/01378/HSC-R/HSC-{STEM}.fits"
    assert butler.path("raw", ID) == destination
    assert butler.get("raw_filename", ID) == [str(destination)]
    assert butler.path("bias", ID).name == "BIAS-2015-10-01-055.fits"
    assert butler.path("flat", ID).name == "FLAT-2015-09-01-HSC-R-055.fits"
    assert butler.get("raw_md", ID)["EXP-ID"] == "HSCA04098400"
    assert tuple(butler.get("raw_bbox", ID)) == (0, 0, 2144, 70)


def test_missing_calibrations(butler: Butler):
    with pytest.raises(CalibNotFoundError, match="it has ccd 55"):
        butler.get("bias", visit=40984, ccd=56)
    with pytest.raises(CalibNotFoundError, match="'dark' is empty"):
        butler.get("dark", ID)


def test_missing_products_list_the_paths_tried(butler: Butler, repository: Path, tmp_path: Path):
    with pytest.raises(MissingInputError) as failure:
        butler.get("calexp", ID)
    for root in (tmp_path / "output", repository):
        assert f"{root}/01378/HSC-R/corr/CORR-{STEM}.fits" in str(failure.value)
    assert not butler.datasetExists("calexp", ID)


def test_kernel_and_versions_through_pickles(butler: Butler, repository: Path):
    kernel = np.arange(289.0).reshape(17, 17)
    (repository / "CALIB" / "BFKERNEL").mkdir()
    (repository / "CALIB" / "BFKERNEL" / "brighter_fatter_kernel.pkl").write_bytes(pickle.dumps(kernel, protocol=2))
    np.testing.assert_array_equal(butler.get("bfKernel", ID), kernel)
    butler.put({"numpy": "2.0"}, "packages")
    assert butler.get("packages") == {"numpy": "2.0"}


def test_unknown_names_and_keys_name_the_choices(butler: Butler):
    for call, message in [
        (lambda: butler.get("calexb", ID), "Did you mean 'calexp'"),
        (lambda: butler.get("calexp_wsc", ID), "calexp_wcs"),
        (lambda: butler.get("calexp", ID, immedate=True), "immedate"),
        (lambda: butler.get("calexp", visit="abc", ccd=1), "'visit'"),
        (lambda: butler.get("@mine", ID), "@mine"),
        (lambda: butler.getKeys("raw", level="night"), "allowed are skyTile, visit, sensor"),
        (lambda: butler.datasetExists("nothing", ID), "Unknown dataset"),
    ]:
        with pytest.raises(UsageError, match=message):
            call()


def test_ids_that_lead_nowhere_say_what_is_near(butler: Butler):
    for data_id, message in [
        ({"visit": 40984}, "'ccd' may be 55, 56"),
        ({"visit": 40984, "ccd": 7}, "visit 40984 has ccd 55, 56"),
        ({"visit": 40986, "ccd": 55}, "the nearest visits are 40984"),
        ({"visit": 40984, "ccd": 55, "filter": "HSC-I"}, "filter=HSC-R"),
    ]:
        with pytest.raises(UnknownDataIdError, match=message):
            butler.path("raw", data_id)


def test_hostile_values_do_not_leave_the_repository(butler: Butler):
    for value in ("../../etc", "/etc", "..", "a\x00b", ""):
        with pytest.raises(Exception, match="cannot be part of a path"):
            butler.write_path("calexp", {"visit": 1, "ccd": 2, "pointing": 3, "filter": value})


def test_keys_subset_and_references(butler: Butler):
    keys = ["field", "dateObs", "pointing", "filter", "visit", "ccd", "taiObs", "expTime"]
    assert list(butler.getKeys("raw")) == keys
    assert butler.getKeys("raw")["visit"] is int and butler.getKeys("raw")["expTime"] is float
    assert "ccd" not in butler.getKeys("calexp", level="visit")
    subset = butler.subset("raw", visit=40984)
    assert [ref.dataId["ccd"] for ref in subset] == [55, 56]
    visits = butler.subset("raw", level="visit")
    assert len(visits) == 1 and len(visits[0].subItems()) == 2
    reference = butler.dataRef("raw", dataId=ID)
    assert list(reference.dataId) == ["visit", "ccd", "field", "dateObs", "pointing", "filter", "taiObs", "expTime"]
    assert reference.get("ccdExposureId") == 8196855 and reference.datasetExists()
    with pytest.raises(UsageError, match="2 exposures"):
        butler.dataRef("raw", visit=40984)


def test_metadata_queries(butler: Butler):
    assert butler.queryMetadata("raw", "visit") == [40984]
    assert butler.queryMetadata("calexp", ("visit", "ccd"), dateObs="2015-10-10") == [(40984, 55), (40984, 56)]
    assert butler.queryMetadata("bias", ("ccd", "calibDate")) == [(55, "2015-10-01")]


def test_aliases(butler: Butler):
    butler.defineAlias("frame", "raw")
    assert butler.get("@frame_filename", ID) == butler.get("raw_filename", ID)
    with pytest.raises(UsageError, match="in use"):
        butler.defineAlias("@frame", "calexp")


def test_expansion_keeps_order_removes_repetition_and_collects_what_is_missing(butler: Butler, repository: Path):
    found = butler.expand([{"visit": 40984, "ccd": 56}, {"visit": 40984}, {"visit": 2}, {"visit": 4}])
    assert [d["ccd"] for d in found.found] == [56, 55]
    assert found.missing_summary() == "No data found for visit=2; visit=4"
    butler.path("raw", ID).unlink()
    after = butler.expand([{}])
    assert [d["ccd"] for d in after.found] == [56] and [d["ccd"] for d in after.missing] == [55]


def test_writing_needs_an_output_and_backups_count_up(butler: Butler, repository: Path, tmp_path: Path):
    with pytest.raises(OutputError, match="no output"):
        Butler(inputs=repository).put("x", "processCcd_config")
    with pytest.raises(UsageError, match="cannot be written"):
        butler.put("x", "raw", ID)
    for text in ("one", "two", "three"):
        butler.put(text, "processCcd_config", doBackup=True)
    config = tmp_path / "output" / "config"
    assert {p.name: p.read_text() for p in config.iterdir()} == {
        "processCcd.py": "three",
        "processCcd.py~1": "two",
        "processCcd.py~2": "one",
    }


def test_constructors(butler: Butler, repository: Path, tmp_path: Path):
    assert Butler(str(repository)).get("ccdExposureId", ID) == 8196855
    with pytest.raises(MissingInputError, match="No such repository"):
        Butler(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    with pytest.raises(UsageError, match="either"):
        Butler(repository, outputs=tmp_path / "o")
    with pytest.raises(UsageError, match="either"):
        Butler()
    written_only = Butler(inputs=[repository], outputs=str(tmp_path / "w"))
    written_only.put("x", "processCcd_config")
    with pytest.raises(MissingInputError):
        written_only.get("processCcd_config")
    butler.put("x", "processCcd_config")
    assert Butler(tmp_path / "output").get("ccdExposureId", ID) == 8196855


def test_log_lines_of_a_run(butler: Butler, repository: Path, tmp_path: Path, caplog):
    caplog.set_level("INFO")
    Butler.for_run(repository, tmp_path / "output")
    assert [f"{r.name} {r.levelname}: {r.getMessage()}" for r in caplog.records] == [
        f"CameraMapper INFO: Loading exposure registry from {repository}/registry.sqlite3",
        f"CameraMapper INFO: Loading calib registry from {repository}/CALIB/calibRegistry.sqlite3",
        f"CameraMapper INFO: Loading Posix calib registry from {tmp_path}/output",
    ]


def test_a_butler_goes_to_other_processes(butler: Butler):
    butler.get("ccdExposureId", ID)
    assert pickle.loads(pickle.dumps(butler)).path("raw", ID) == butler.path("raw", ID)


def test_raw_frames_are_read_even_when_compressed_under_a_plain_name(repository: Path, make_raw, tmp_path: Path):
    import gzip

    plain = make_raw("raw/57.fits", DET_ID=57)
    packed = tmp_path / "raw" / "57.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    ingest_images(repository, [str(packed)])
    header = Butler(repository).get("raw_md", visit=40984, ccd=57)
    assert header["DET-ID"] == 57


def test_parts_of_a_file_without_axes_are_refused(tmp_path: Path):
    path = tmp_path / "bias.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(DamagedInputError, match="NAXIS1 = None"):
        read_part(DATASETS["bias"], "bbox", path, {})
