"""The user guide as an acceptance test: its commands, listings and rows."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from played import Guide, run

from hscbox.truth.levels import LIMITS
from hscbox.truth.measures import Measured

PRODUCTS = {
    "01378/HSC-R/corr/BKGD-0040984-055.fits",
    "01378/HSC-R/corr/CORR-0040984-055.fits",
    "01378/HSC-R/output/ICSRC-0040984-055.fits",
    "01378/HSC-R/output/SRC-0040984-055.fits",
    "01378/HSC-R/output/SRCMATCH-0040984-055.fits",
    "01378/HSC-R/output/SRCMATCHFULL-0040984-055.fits",
    "01378/HSC-R/processCcd_metadata/0040984-055.boost",
    "01378/HSC-R/thumbs/flattened-0040984-055.png",
    "01378/HSC-R/thumbs/oss-0040984-055.png",
    "config/packages.pickle",
    "config/processCcd.py",
    "repositoryCfg.yaml",
    "schema/icSrc.fits",
    "schema/src.fits",
}
RAW_ROW = (
    "1|SSP_UDEEP_SXDS|40984|55|1378|HSC-R|o15426|2015-10-10|2015-10-10|300.0|0.0|1|-100.65|20140306.cfg|"
    "HSCA04098410|HSCA04098400|OBJECT"
)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink()}


def digests(root: Path) -> dict[str, str]:
    names = (name for name in files(root) if not name.endswith((".boost", ".yaml", ".pickle")))
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}


def test_input_tree(guide: Guide) -> None:
    assert sorted(p.name for p in guide.input.iterdir()) == [
        "CALIB",
        "SSP_UDEEP_SXDS",
        "_mapper",
        "ref_cats",
        "registry.sqlite3",
    ]
    link = guide.input / "SSP_UDEEP_SXDS/2015-10-10/01378/HSC-R/HSC-0040984-055.fits"
    assert link.readlink() == guide.raw
    assert (guide.input / "_mapper").read_text() == "lsst.obs.hsc.HscMapper\n"


def test_registry_rows_character_for_character(guide: Guide) -> None:
    with sqlite3.connect(guide.input / "registry.sqlite3") as registry:
        tables = [row[0] for row in registry.execute("select name from sqlite_master where type='table' order by name")]
        raw = ["|".join(map(str, row)) for row in registry.execute("select * from raw")]
        visit = ["|".join(map(str, row)) for row in registry.execute("select * from raw_visit")]
    assert [table for table in tables if not table.startswith("sqlite_")] == ["raw", "raw_visit"]
    assert raw == [RAW_ROW]
    assert visit == ["40984|SSP_UDEEP_SXDS|HSC-R|2015-10-10|2015-10-10"]


def test_ingest_log_line(guide: Guide) -> None:
    destination = guide.input / "SSP_UDEEP_SXDS/2015-10-10/01378/HSC-R/HSC-0040984-055.fits"
    assert f"ingest INFO: {guide.raw} --<link>--> {destination}" in guide.ingest_log.splitlines()


def test_output_tree_has_14_files_in_8_directories(guide: Guide) -> None:
    assert files(guide.output) == PRODUCTS
    assert sum(path.is_dir() for path in guide.output.rglob("*")) == 8


def test_log_lines_have_the_original_shape(guide: Guide) -> None:
    """Every kind of line of the published log that concerns us occurs, with numbers in the same places."""
    log = guide.process.stderr
    for pattern in (
        r"CameraMapper INFO: Loading exposure registry from .*/input/registry\.sqlite3",
        r"CameraMapper INFO: Loading calib registry from .*/input/CALIB/calibRegistry\.sqlite3",
        r"CameraMapper INFO: Loading Posix calib registry from .*/output",
        r"root INFO: Running: \S*processCcd\.py input --output output --id visit=40984 ccd=55",
        r"processCcd INFO: Processing \{'visit': 40984, 'ccd': 55, 'field': 'SSP_UDEEP_SXDS', 'dateObs': '2015-10-10', "
        r"'pointing': 1378, 'filter': 'HSC-R', 'taiObs': '2015-10-10', 'expTime': 300\.0\}",
        r"processCcd\.isr INFO: Performing ISR on sensor \{'visit': 40984, .*\}",
        r"processCcd\.isr\.crosstalk INFO: Applying crosstalk correction",
        r"processCcd\.isr INFO: Applying brighter fatter correction",
        r"processCcd\.isr INFO: Finished brighter fatter in \d+ iterations",
        r"processCcd\.isr INFO: Set \d+ BAD pixels to \d+\.\d+",
        r"processCcd\.isr INFO: Flattened sky level: \d+\.\d+ \+/- \d+\.\d+",
        r"processCcd\.isr INFO: Measuring sky levels in 8x\d+ grids: \d+\.\d+",
        r"processCcd\.isr INFO: Sky flatness in 8x\d+ grids - pp: \d+\.\d+ rms: \d+\.\d+",
        r"processCcd\.isr INFO: Setting rough magnitude zero point: 35\.192803",
        r"processCcd\.charImage\.repair INFO: Identified \d+ cosmic rays\.",
        r"processCcd\.charImage\.detection INFO: Detected \d+ positive sources to 50 sigma\.",
        r"processCcd\.charImage\.detection INFO: Resubtracting the background after object detection",
        r"processCcd\.charImage\.measurement INFO: Measuring \d+ sources \(\d+ parents, 0 children\) ?",
        r"processCcd\.charImage\.measurePsf INFO: PSF star selector found \d+ candidates",
        r"processCcd\.charImage\.measurePsf INFO: Reserved \d+ candidates from the fitting",
        r"processCcd\.charImage\.measurePsf INFO: PSF determination using \d+/\d+ stars\.",
        r"processCcd\.charImage INFO: iter 2; PSF sigma=\d\.\d\d, dimensions=\(41, 41\); median background=\d+\.\d\d",
        r"processCcd\.charImage\.measureApCorr INFO: Aperture correction for base_PsfFlux: RMS \d\.\d+ from \d+",
        r"processCcd\.calibrate\.detection INFO: Detected \d+ positive sources to 5 sigma\.",
        r"processCcd\.calibrate\.deblend INFO: Deblended: of \d+ sources, \d+ were deblended, creating \d+ children, "
        r"total \d+ sources",
        r"processCcd\.calibrate\.measurement INFO: Measuring \d+ sources \(\d+ parents, \d+ children\) ?",
        r"processCcd\.calibrate INFO: Copying flags from icSourceCat to sourceCat for \d+ sources",
        r"processCcd\.calibrate\.astrometry INFO: Matched and fit WCS in \d iterations; found \d+ matches with "
        r"scatter = \d\.\d+ \+- \d\.\d+ arcsec",
        r"processCcd\.calibrate\.photoCal INFO: Magnitude zero point: 33\.\d+ \+/- 0\.\d+ from \d+ stars",
        r"processCcd\.calibrate INFO: Photometric zero-point: 33\.\d+",
    ):
        assert re.search(f"^{pattern}$", log, re.MULTILINE), pattern
    assert "Traceback" not in log and "RuntimeWarning" not in log


def test_a_healthy_run_warns_of_nothing(guide: Guide) -> None:
    """A warning is something that a person should act on."""
    assert not re.findall(r"^\S+ WARN.*$", guide.process.stderr + guide.ingest_log, re.MULTILINE)


def test_summary_names_the_key_numbers(guide: Guide) -> None:
    for word in ("sky level", "seeing", "PSF stars", "sources", "matches", "scatter", "zero point", "time", "memory"):
        assert word in guide.process.stdout
    assert "1 of 1 CCDs done" in guide.process.stdout


def test_corr_has_three_planes_and_puts_true_sources_where_they_are(guide: Guide) -> None:
    with fits.open(guide.output / "01378/HSC-R/corr/CORR-0040984-055.fits", checksum=True) as hdus:
        kinds = [hdus[k].header["EXTTYPE"] for k in (1, 2, 3)]
        shapes = {hdus[k].data.shape for k in (1, 2, 3)}
        wcs = WCS(hdus[1].header)
        assert hdus[0].header["FLUXMAG0"] > 0
        # Those of r and PS1 in the list of 2017.
        colour_term = [hdus[0].header[f"COLORTERM{number}"] for number in (1, 2, 3)]
        assert colour_term == [0.00279757, 0.02093734, -0.01877566]
    assert kinds == ["IMAGE", "MASK", "VARIANCE"]
    assert shapes == {(1280, 2048)}
    truth = fits.getdata(next((guide.root / "sim/truth").iterdir()) / "sources.fits")
    inside = (truth["x"] > 0) & (truth["x"] < 2047) & (truth["y"] > 0) & (truth["y"] < 1279)
    ra, dec = wcs.all_pix2world(truth["x"][inside], truth["y"][inside], 0)
    d_ra = (ra - truth["ra"][inside]) * np.cos(np.deg2rad(dec)) * 3600
    d_dec = (dec - truth["dec"][inside]) * 3600
    assert np.hypot(d_ra, d_dec).max() < 0.05


def test_source_ids_and_parents(guide: Guide) -> None:
    src = fits.getdata(guide.output / "01378/HSC-R/output/SRC-0040984-055.fits", 1)
    assert src["id"][0] == 35205224155054081
    assert np.all(np.diff(src["id"]) == 1)
    assert set(src["parent"]) - {0} <= set(src["id"])


def test_match_lists_join_back_by_id(guide: Guide) -> None:
    output = guide.output / "01378/HSC-R/output"
    names = ("SRCMATCH", "SRCMATCHFULL", "SRC")
    matches, full, src = (fits.getdata(output / f"{name}-0040984-055.fits", 1) for name in names)
    shards = [fits.getdata(path, 1) for path in (guide.input / "ref_cats").glob("*/[0-9]*.fits")]
    references = {int(row["id"]): row for shard in shards for row in shard}
    sources = {int(row["id"]): row for row in src}
    assert len(matches) > 20 and len(set(matches["second"])) == len(matches)
    for first, second, distance in matches:
        reference, source = references[first], sources[second]
        d_dec = source["coord_dec"] - reference["coord_dec"]
        d_ra = (source["coord_ra"] - reference["coord_ra"]) * np.cos(reference["coord_dec"])
        assert abs(np.hypot(d_ra, d_dec) - distance) < 1e-3 / 206265
    assert np.array_equal(full["ref_id"], matches["first"]) and np.array_equal(full["src_id"], matches["second"])
    assert np.array_equal(full["distance"], matches["distance"])


def test_schema_files_are_those_of_the_catalogues(guide: Guide) -> None:
    for schema, catalogue in (("src", "SRC"), ("icSrc", "ICSRC")):
        empty = fits.getheader(guide.output / f"schema/{schema}.fits", 1)
        full = fits.getheader(guide.output / f"01378/HSC-R/output/{catalogue}-0040984-055.fits", 1)
        assert empty["NAXIS2"] == 0 and full["NAXIS2"] > 50
        for cards in ("TTYPE*", "TFORM*", "TUNIT*", "TFLAG*", "TDOC*", "TFDOC*", "ALIAS*"):
            assert list(empty[cards].items()) == list(full[cards].items())


def test_a_second_run_gives_the_same_bytes(guide: Guide, tmp_path: Path) -> None:
    run(
        "hscbox", "process-ccd", guide.input, "--output", tmp_path / "again", "--id", "visit=40984", "ccd=55", "-j", "2"
    )
    assert digests(tmp_path / "again") == digests(guide.output)


def test_numbers_hold_on_the_cut_out(guide: Guide, tmp_path: Path) -> None:
    """The floor of quality holds on a third of a CCD as well, within the errors of its fewer stars and sources."""
    report = tmp_path / "numbers.json"
    run("hscbox", "validate", guide.output, "--truth", guide.root / "sim/truth", "--json", report, check=False)
    numbers = json.loads(report.read_text())[0]["numbers"]
    for limit in LIMITS:
        found = numbers[limit.name]
        if limit.floor is not None:
            measured = Measured(found["value"], found["error"], found["n"])
            assert limit.distance(measured, "floor") > -2 * found["error"], (limit.name, found)
    assert numbers["completeness_sn20"]["n"] > 50 and numbers["psf_scatter"]["n"] >= 3


def test_provenance_names_inputs_and_versions(guide: Guide) -> None:
    record = json.loads(run("hscbox", "provenance", guide.output).stdout)[0]
    assert record["inputs"]["raw"]["sha256"] == hashlib.sha256(guide.raw.read_bytes()).hexdigest()
    assert {"raw", "bias", "dark", "flat", "bfKernel"} <= set(record["inputs"])
    assert record["status"] == "done" and record["versions"]["numpy"]
