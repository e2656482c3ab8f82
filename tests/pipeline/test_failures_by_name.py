"""Every class of failure, provoked on one field: its name and numbers, exit status 20, and the products that stay.

The frame is processed from the raw each time; what defeats it is a bound of the configuration that the frame misses, or
a reference catalogue that was tampered with.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fixtures.strict_fits import open_checked
from played import run
from typer.testing import CliRunner

from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.cli.app import app
from hscbox.errors import MissingInputError
from hscbox.image.exposure import Exposure
from hscbox.products.boost import read_boost
from hscbox.products.catalog import read_catalog, write_catalog
from hscbox.products.exposure import read_exposure
from hscbox.runs.arguments import ProcessCcdArguments
from hscbox.runs.run import run_process_ccd
from hscbox.simulate.dataset import write_dataset
from hscbox.simulate.scene import Scene
from hscbox.truth.validate import validate_output

SCENE = Scene(rows=256, star_density=16.0, galaxy_density=0.0, faint_limit=26.0)
# A second round of the PSF is as good as the first one here, and half of the time.
QUICKLY = ("-c", "charImage.psfIterations=1")
CATALOG = "ps1_pv3_3pi_20170110"
PICTURES = {"oss-0040984-055.png", "flattened-0040984-055.png", "0040984-055.boost"}
CHARACTERIZED = {*PICTURES, "ICSRC-0040984-055.fits", "CORR-0040984-055.fits", "BKGD-0040984-055.fits"}
MEASURED = {*CHARACTERIZED, "SRC-0040984-055.fits"}
MATCHED = {*MEASURED, "SRCMATCH-0040984-055.fits", "SRCMATCHFULL-0040984-055.fits"}

SELECTOR, DETERMINER = "charImage.measurePsf.starSelector", "charImage.measurePsf.psfDeterminer"
APCORR, FITTER, MATCHER = "charImage.measureApCorr", "calibrate.astrometry.wcsFitter", "calibrate.astrometry.matcher"
PHOTO = "calibrate.photoCal"


@dataclass(frozen=True)
class Outcome:
    """How a run ended, what it printed, and what it left."""

    status: int
    printed: str
    directory: Path

    @property
    def products(self) -> set[str]:
        return {path.name for path in self.directory.glob("*/*/*/*")}

    def product(self, name: str) -> Path:
        return next(self.directory.glob(f"*/*/*/{name}-0040984-055.fits"))

    @property
    def exposure(self) -> Exposure:
        return read_exposure(self.product("CORR"))

    def catalog(self, name: str) -> SourceCatalog:
        return read_catalog(self.product(name))

    @property
    def record(self) -> dict[str, object]:
        metadata = read_boost(next(self.directory.glob("*/*/processCcd_metadata/*.boost")))
        return json.loads(str(metadata.items["processCcd.provenance"][-1]))


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the input repository of the field."""
    root = tmp_path_factory.mktemp("field")
    write_dataset(root / "sim", [SCENE], truth_images=False)
    run("hscbox", "mount", root / "in", "--calib", root / "sim/CALIB", "--ref-cats", root / "sim/ref_cats")
    run("hscbox", "ingest-images", root / "in", root / "sim/raw")
    return root / "in"


@pytest.fixture
def process(field: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Return a function that processes the field with overrides; every product that is left must be whole."""

    def call(*overrides: str, again: bool = False) -> Outcome:
        capfd.readouterr()
        words = [QUICKLY, *(("-c", override) for override in overrides)]
        ids = [[f"visit={SCENE.visit}", f"ccd={SCENE.ccd}"]]
        arguments = ProcessCcdArguments(
            str(field), str(tmp_path / "out"), ids=ids, overrides=words, clobber_config=again
        )
        status = run_process_ccd(arguments)
        printed = capfd.readouterr()
        assert "Traceback" not in printed.out + printed.err
        for path in (tmp_path / "out").rglob("*.fits"):
            with open_checked(path) as hdus:
                assert len(hdus) > 1
        return Outcome(status, printed.out, tmp_path / "out")

    return call


def catalogue(field: Path, name: str, change: Callable[[SourceCatalog], SourceCatalog]) -> str:
    """Add a changed copy of the reference catalogue beside it and return its name, which the colour terms know."""
    name = f"ps1_{name}"
    place = (field / "ref_cats").resolve()
    if not (place / name).exists():
        shutil.copytree(place / CATALOG, place / name)
        for path in (place / name).glob("[0-9]*.fits"):
            write_catalog(path, change(read_catalog(path)))
    return name


def failed(outcome: Outcome, code: str, products: set[str], *words: str) -> dict[str, float]:
    """Assert name, status, words of the message and products, and return the numbers of the error."""
    assert outcome.status == 20, outcome.printed
    assert f"visit 40984 ccd 55: {code}: " in outcome.printed
    assert outcome.products == products
    record = outcome.record
    assert record["status"] == code
    assert all(word in record["error"]["message"] for word in words), record["error"]
    return record["error"]["numbers"]


@pytest.fixture(scope="module")
def pairs(field: Path) -> tuple[np.ndarray, SourceCatalog]:
    """Return the ids of the references that match, and their sources, of the field where nothing fails."""
    output = field.parent / "out"
    ids = [[f"visit={SCENE.visit}", f"ccd={SCENE.ccd}"]]
    assert run_process_ccd(ProcessCcdArguments(str(field), str(output), ids=ids, overrides=[QUICKLY])) == 0
    good = Outcome(0, "", output)
    assert good.products == MATCHED and "error" not in good.record
    sources, matches = good.catalog("SRC"), good.catalog("SRCMATCH")
    rows = np.searchsorted(sources["id"], matches["second"])
    return matches["first"], sources.subset(rows)


def holds_the_psf(exposure: Exposure) -> None:
    """Assert what a characterized exposure without calibration has, and has not."""
    assert exposure.psf is not None and exposure.psf.determinant_radius() == pytest.approx(1.31, rel=0.05)
    assert exposure.wcs is None and exposure.photo_calib is None
    assert abs(float(np.median(exposure.image))) < 5.0


def test_no_psf_stars(process):
    outcome = process(f"{SELECTOR}.fluxMin=1e12")
    numbers = failed(outcome, "no-psf-stars", PICTURES, "1e+12")
    assert numbers["bright"] == 0 and numbers["sources"] > 10


def test_too_few_psf_candidates(process):
    numbers = failed(process(f"{DETERMINER}.minGoodStars=1000"), "too-few-psf-candidates", PICTURES, "1000 are")
    assert 3 < numbers["usable"] <= numbers["candidates"] < 1000


def test_psf_outside_of_its_bounds(process):
    numbers = failed(process(f"{DETERMINER}.maxSigma=1.0"), "psf-fit", PICTURES, "allowed are 0.5 to 1 px")
    assert numbers["sigma"] == pytest.approx(1.31, rel=0.1)


@pytest.mark.parametrize(
    ("override", "word", "number"),
    [
        (f"{APCORR}.starFlag=base_PixelFlags_flag_offimage", "only 0 sources", "sources"),
        (f"{APCORR}.maxScatter=1e-9", "allowed is 1e-09", "rms"),
    ],
)
def test_aperture_correction(process, override, word, number):
    outcome = process(override)
    numbers = failed(outcome, "aperture-correction", CHARACTERIZED, "required algorithm 'base_GaussianFlux'", word)
    assert numbers["flux"] == "base_GaussianFlux" and 0 <= numbers[number] < 0.1
    holds_the_psf(outcome.exposure)
    assert not outcome.exposure.ap_corr
    bright = outcome.catalog("ICSRC")
    assert bright["calib_psfUsed"].sum() > 3 and bright["base_PsfFlux_flag_apCorr"].all()


def test_unable_to_match(process, field):
    def shift(catalog):
        catalog["coord_dec"] += np.deg2rad(100 / 3600)
        return catalog

    name = catalogue(field, "shifted", shift)
    outcome = process(f"calibrate.astromRefObjLoader.ref_dataset_name={name}")
    numbers = failed(outcome, "unable-to-match", MEASURED, "within 400 pixels")
    assert numbers["usable"] > 20 and numbers["references"] > 20 and numbers["pairs"] < 12
    holds_the_psf(outcome.exposure)
    assert outcome.exposure.ap_corr
    sources = outcome.catalog("SRC")
    assert len(sources) > 50 and not sources["calib_astrometryUsed"].any()
    # Not those of the starting WCS, which is arcseconds off.
    assert np.isnan(sources["coord_ra"]).all() and np.isnan(sources["coord_dec"]).all()


def test_unable_to_match_where_the_catalogue_lists_nothing(process, field):
    name = catalogue(field, "empty", lambda catalog: catalog.subset(np.zeros(len(catalog), dtype=bool)))
    outcome = process(f"calibrate.astromRefObjLoader.ref_dataset_name={name}")
    numbers = failed(outcome, "unable-to-match", MEASURED, "lists no object within", "covers the field")
    assert numbers["references"] == 0


def test_products_of_an_earlier_run_do_not_stay_beside_those_of_a_failed_one(process):
    failed(process(f"{PHOTO}.magLimit=10"), "empty-after-magnitude-cut", MATCHED)
    failed(process(f"{FITTER}.rejSigma=0", again=True), "matches-rejected", MEASURED)
    failed(process(f"{APCORR}.maxScatter=1e-9", again=True), "aperture-correction", CHARACTERIZED)
    # Nothing was made in place of these.
    failed(process(f"{SELECTOR}.fluxMin=1e12", again=True), "no-psf-stars", CHARACTERIZED)


def test_all_matches_rejected(process):
    outcome = process(f"{FITTER}.rejSigma=0")
    numbers = failed(outcome, "matches-rejected", MEASURED, "0 matches after 1 rounds")
    assert numbers["matches"] == 0 and numbers["given"] > 20
    holds_the_psf(outcome.exposure)


def test_too_few_degrees_of_freedom(process, field, pairs):
    kept = pairs[0][np.argsort(-pairs[1]["slot_PsfFlux_flux"])][3:12]
    name = catalogue(field, "few", lambda catalog: catalog.subset(np.isin(catalog["id"], kept)))
    outcome = process(f"calibrate.astromRefObjLoader.ref_dataset_name={name}")
    numbers = failed(outcome, "matches-rejected", MEASURED, "after 0 rounds", "at least 10 are needed")
    assert numbers["matches"] == 9
    holds_the_psf(outcome.exposure)


def test_wcs_scatters_too_little(process):
    """A fit that reproduces the references better than their errors allow is no measurement."""
    numbers = failed(process(f"{FITTER}.minScatterArcsec=0.5"), "wcs-gate", MEASURED, "allowed is 0.5 to 1")
    assert 0.01 < numbers["scatter"] < 0.1


def test_wcs_scatters_too_much(process):
    outcome = process(f"{FITTER}.maxScatterArcsec=0.001")
    numbers = failed(outcome, "wcs-gate", MEASURED, "allowed is 0.0001 to 0.001")
    # Reference positions have errors of 20 mas per axis and more.
    assert 0.01 < numbers["scatter"] < 0.1
    holds_the_psf(outcome.exposure)


def matched(outcome: Outcome) -> None:
    """Assert that the astrometry is there, and nothing in place of the zero point."""
    exposure = outcome.exposure
    assert exposure.wcs is not None and exposure.wcs.sip_order >= 3 and exposure.photo_calib is None
    sources = outcome.catalog("SRC")
    assert np.isfinite(sources["coord_ra"][~sources["slot_Centroid_flag"]]).all()
    pairs = outcome.catalog("SRCMATCH")
    assert len(pairs) > 20 and np.isin(pairs["second"], sources["id"]).all()
    with open_checked(outcome.product("CORR")) as hdus:
        assert "FLUXMAG0" not in hdus[0].header and "MAGZERO_RMS" not in hdus[0].header


def test_no_input_matches(process):
    outcome = process(f"{PHOTO}.badFlags=calib_photometryCandidate")
    numbers = failed(outcome, "no-input-matches", MATCHED, "No input matches")
    assert numbers["matches"] > 20
    matched(outcome)


def test_match_list_is_empty_after_the_magnitude_cut(process, field, tmp_path):
    outcome = process(f"{PHOTO}.magLimit=10")
    numbers = failed(outcome, "empty-after-magnitude-cut", MATCHED, "brighter than 10")
    assert numbers["stars"] > 10
    matched(outcome)
    # What needs a zero point says that there is none.
    with pytest.raises(MissingInputError, match=r"visit 40984 ccd 55 has no zero point \(FLUXMAG0\)"):
        validate_output(outcome.directory, field.parent / "sim/truth")
    words = ["export", outcome.product("SRC"), tmp_path / "src.csv", "--exposure", outcome.product("CORR")]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(result.exception, MissingInputError) and "no zero point" in str(result.exception)
    assert not (tmp_path / "src.csv").exists()


def test_too_few_stars_for_the_zero_point(process):
    outcome = process(f"{PHOTO}.minStars=1000")
    numbers = failed(outcome, "photometry", MATCHED, "at least 1000 are needed")
    assert 10 < numbers["stars"] < 1000
    matched(outcome)


def test_zero_point_scatters_too_much(process):
    outcome = process(f"{PHOTO}.maxScatter=0.001")
    numbers = failed(outcome, "zero-point-gate", MATCHED, "at most 0.001")
    assert 0.001 < numbers["scatter"] < 0.1
    matched(outcome)


def test_zero_point_outside_of_its_range(process, field):
    def brighten(catalog):
        for name in catalog.schema.names():
            if name.endswith(("_flux", "_fluxSigma")):
                catalog[name] *= 100
        return catalog

    outcome = process(f"calibrate.photoRefObjLoader.ref_dataset_name={catalogue(field, 'bright', brighten)}")
    numbers = failed(outcome, "zero-point-gate", MATCHED, "allowed is")
    assert numbers["zero_point"] == pytest.approx(SCENE.true_zero_point - 5, abs=0.05)
    matched(outcome)
