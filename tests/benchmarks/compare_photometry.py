"""PSF and aperture magnitudes of hscbox and of Source Extractor with PSFEx (Bertin 2011, ASP Conf. 442, 435).

By hand: `python tests/benchmarks/compare_photometry.py [OUTPUT TRUTH ...]`; needs the programs source-extractor
and psfex.
OUTPUT is an output repository, TRUTH the truth directory of its frames; without them the frames of `--seeds` are made
as by `hscbox simulate`, with five times the stars of the default, and processed. Source Extractor and PSFEx get the
image and the variance of CORR: detection and stamps, a PSF by `PSFEX`, then PSF and aperture fluxes of everything
above 1.5 sigma.

A star counts if it is isolated (other sources within 15 pixels have together less than 1 % of its flux), not on a SAT,
BAD, NO_DATA or EDGE pixel, and both programs have it within 1.5 pixels of its place, unsaturated, with positive
fluxes: the same stars for both. Scatter: sigma from the quartiles of measured minus true magnitude, in mmag, in bins
of the signal to noise that a PSF-matched filter reaches. Errors, also those of the difference, which the common noise
of the pixels leaves, are from 1000 bootstrap samples of the stars. The notes below the table hold core-seconds and
compare both models with the true PSF, away from the stars that hscbox used.
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from hscbox.butler.butler import Butler
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.image.psf import PsfexPsf
from hscbox.numerics.constants import SIGMA_PER_IQR
from hscbox.products.boost import read_boost
from hscbox.truth.measures import match_within
from hscbox.truth.quality_psf import psf_residuals
from hscbox.truth.scores import table_numbers
from hscbox.truth.selection import expected_snr
from hscbox.truth.true_frame import Truth, read_truth, truth_directories

BINS = ((250.0, np.inf), (100.0, 250.0), (50.0, 100.0), (20.0, 50.0))
BOOTSTRAPS = 1000
FEWEST = 10
MATCH, ISOLATION, ISOLATION_RATIO = 1.5, 15.0, 0.01
UNUSABLE = ("SAT", "BAD", "NO_DATA", "EDGE")
SATURATION = 40000.0
STAMP = 41
STAR_DENSITY = 8.0
COLUMNS = (
    "NUMBER X_IMAGE Y_IMAGE XWIN_IMAGE YWIN_IMAGE FLUX_APER(1) FLUXERR_APER(1) FLUX_RADIUS SNR_WIN ELONGATION FLAGS"
)
SETTINGS = (
    "-VERBOSE_TYPE QUIET -DETECT_THRESH 1.5 -ANALYSIS_THRESH 1.5 -DETECT_MINAREA 5 -BACK_TYPE MANUAL -BACK_VALUE 0 "
    f"-WEIGHT_TYPE MAP_VAR -WEIGHT_IMAGE variance.fits -SATUR_LEVEL {SATURATION} -PHOT_APERTURES 24 "
    "-FILTER_NAME filter.conv -PARAMETERS_NAME columns.param"
)
# Its own choice of sampling and of stars, but none below S/N 100: among fainter ones it takes galaxies for stars.
PSFEX = (
    "-VERBOSE_TYPE QUIET -CHECKPLOT_TYPE NONE -CHECKIMAGE_TYPE NONE -WRITE_XML N -NTHREADS 1 -PSF_SIZE 31,31 "
    "-PSFVAR_DEGREES 2 -SAMPLE_MINSN 100 -SAMPLE_VARIABILITY 0.1"
)
FILTER = "CONV NORM\n1 2 1\n2 4 2\n1 2 1\n"


class Frame(NamedTuple):
    """One processed frame and its truth."""

    name: str
    exposure: Exposure
    sources: SourceCatalog
    used_xy: np.ndarray
    truth: Truth
    seconds: float
    """Core-seconds of hscbox from the corrected frame to the calibrated catalogue."""


class Magnitudes(NamedTuple):
    """Magnitudes of the stars, with an arbitrary zero point; nan where the program has none."""

    psf: np.ndarray
    aperture: np.ndarray


def read_frames(output: Path, truth: Path) -> list[Frame]:
    """Return the frames of an output that have a truth."""
    butler = Butler(inputs=output, quiet=True)
    frames = []
    for visit, ccd, directory in truth_directories(truth):
        if not butler.datasetExists("calexp", visit=visit, ccd=ccd):
            continue
        stars = butler.get("icSrc", visit=visit, ccd=ccd)
        used = stars["calib_psfUsed"]
        record = read_boost(next(output.glob(f"*/*/processCcd_metadata/{visit:07d}-{ccd:03d}.boost")))
        frames.append(
            Frame(
                f"{output} visit {visit} ccd {ccd}",
                butler.get("calexp", visit=visit, ccd=ccd),
                butler.get("src", visit=visit, ccd=ccd),
                np.stack([stars["slot_Centroid_x"][used], stars["slot_Centroid_y"][used]], axis=1),
                read_truth(directory),
                sum(record.seconds(f"processCcd.{step}") for step in ("charImage", "calibrate")),
            )
        )
    return frames


def usable_stars(frame: Frame) -> np.ndarray:
    """Return the indices of the true stars that are isolated and on good pixels."""
    truth, exposure = frame.truth, frame.exposure
    x, y = np.round(truth.x).astype(int), np.round(truth.y).astype(int)
    good = (x >= 0) & (y >= 0) & (x < exposure.width) & (y < exposure.height)
    good[good] = exposure.mask[y[good], x[good]] & mask_bits(*UNUSABLE) == 0
    return np.flatnonzero(truth.is_star & good & truth.isolated(ISOLATION, ISOLATION_RATIO))


def magnitudes(flux: np.ndarray) -> np.ndarray:
    """Return -2.5 log10 of the positive fluxes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flux > 0, -2.5 * np.log10(flux), np.nan)


def picked(xy: np.ndarray, good: np.ndarray, psf: np.ndarray, aperture: np.ndarray, stars: np.ndarray) -> Magnitudes:
    """Return the magnitudes of the rows nearest to `stars` (n, 2), of those rows that are `good`."""
    rows = np.flatnonzero(good)
    hit, nearest = match_within(stars, xy[rows], MATCH)
    row = rows[nearest]
    return Magnitudes(*(np.where(hit, magnitudes(flux[row]), np.nan) for flux in (psf, aperture)))


def ours(frame: Frame, stars: np.ndarray) -> Magnitudes:
    """Return what hscbox has for the stars (n, 2)."""
    sources = frame.sources
    xy = np.stack([sources["slot_Centroid_x"], sources["slot_Centroid_y"]], axis=1)
    good = (sources["deblend_nChild"] == 0) & np.isfinite(xy).all(axis=1) & ~sources["slot_PsfFlux_flag"]
    good &= ~sources["base_PixelFlags_flag_saturated"]
    return picked(xy, good, sources["slot_PsfFlux_flux"], sources["slot_CalibFlux_flux"], stars)


def write_inputs(directory: Path, exposure: Exposure) -> float:
    """Write image and sky variance as Source Extractor reads them, bad pixels without weight; return the gain."""
    assert exposure.detector is not None
    gain = float(np.mean([amplifier.gain for amplifier in exposure.detector.amplifiers]))
    # It adds the photon noise of sources itself.
    sky = np.median(exposure.variance[exposure.mask == 0])
    bad = exposure.mask & mask_bits("BAD", "NO_DATA") != 0
    fits.PrimaryHDU(exposure.image).writeto(directory / "image.fits")
    fits.PrimaryHDU(np.where(bad, np.float32(1e30), np.float32(sky))).writeto(directory / "variance.fits")
    (directory / "empty").write_text("")
    (directory / "filter.conv").write_text(FILTER)
    return gain


def command(directory: Path, *words: str) -> float:
    """Run a program and return its core-seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=directory, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def extract(directory: Path, columns: str, *options: str) -> float:
    """Run Source Extractor."""
    (directory / "columns.param").write_text("\n".join(columns.split()) + "\n")
    return command(directory, "source-extractor", "image.fits", "-c", "empty", *SETTINGS.split(), *options)


def theirs(frame: Frame, stars: np.ndarray, directory: Path) -> tuple[Magnitudes, PsfexPsf, tuple[float, ...]]:
    """Return what Source Extractor has for the stars, the model of PSFEx, and the core-seconds of the three runs."""
    gain = str(write_inputs(directory, frame.exposure))
    stamps = ("-CATALOG_TYPE", "FITS_LDAC", "-CATALOG_NAME", "stamps.cat", "-GAIN", gain)
    fluxes = ("-CATALOG_TYPE", "FITS_1.0", "-CATALOG_NAME", "fluxes.cat", "-GAIN", gain, "-PSF_NAME", "stamps.psf")
    seconds = (
        extract(directory, f"{COLUMNS} VIGNET({STAMP},{STAMP})", *stamps),
        command(directory, "psfex", "stamps.cat", "-c", "empty", *PSFEX.split()),
        extract(directory, f"{COLUMNS} FLUX_PSF(1)", *fluxes, "-NTHREADS", "1"),
    )
    table = fits.getdata(directory / "fluxes.cat", 1)
    xy = np.stack([table["X_IMAGE"], table["Y_IMAGE"]], axis=1).astype(np.float64) - 1
    # Flags from 4 on are saturation and truncation.
    found = picked(
        xy, table["FLAGS"] < 4, np.ravel(table["FLUX_PSF"]), np.ravel(table["FLUX_APER"]).astype(np.float64), stars
    )
    return found, read_model(directory / "stamps.psf"), seconds


def read_model(path: Path) -> PsfexPsf:
    """Read a PSF file of PSFEx, whose terms are in the order of ours."""
    with fits.open(path) as hdus:
        header, samples = hdus[1].header, np.array(hdus[1].data["PSF_MASK"][0], dtype=np.float32)
    zero = (header["POLZERO1"] - 1, header["POLZERO2"] - 1)
    scale = (header["POLSCAL1"], header["POLSCAL2"])
    return PsfexPsf(samples, header["PSF_SAMP"], header["POLDEG1"], zero, scale, zero)


def scatter(values: np.ndarray) -> np.ndarray:
    """Return sigma from the quartiles along the last axis."""
    lower, upper = np.quantile(values, [0.25, 0.75], axis=-1)
    return SIGMA_PER_IQR * (upper - lower)


def compared(first: np.ndarray, second: np.ndarray) -> str:
    """Return the scatters of two sets of magnitude errors (n,) of the same stars, and their difference."""
    n = len(first)
    rng = np.random.Generator(np.random.PCG64(7))
    sample = np.concatenate([np.arange(n)[None], rng.integers(0, n, (BOOTSTRAPS, n))])
    a, b = (1000 * scatter(values[sample]) for values in (first, second))
    return " | ".join(
        f"{value[0]:{sign}6.2f} +- {np.std(value[1:]):4.2f}" for value, sign in ((a, ""), (b, ""), (a - b, "+"))
    )


class Comparison(NamedTuple):
    """What both programs make of the stars of a frame."""

    name: str
    snr: np.ndarray
    """Expected signal to noise of the stars (n,)."""
    errors: dict[str, tuple[np.ndarray, np.ndarray]]
    """Magnitude errors (n,) of hscbox and of Source Extractor by kind, about the medians of the bright stars."""
    notes: list[str]


def compare(frame: Frame) -> Comparison:
    """Compare one frame."""
    index = usable_stars(frame)
    truth = frame.truth
    stars = np.stack([truth.x, truth.y], axis=1)[index]
    snr = expected_snr(truth, frame.exposure)[index]
    with tempfile.TemporaryDirectory() as name:
        found, model, seconds = theirs(frame, stars, Path(name))
    mine = ours(frame, stars)
    errors = {}
    for kind in Magnitudes._fields:
        first, second = (getattr(program, kind) - truth.magnitude[index] for program in (mine, found))
        bright = np.isfinite(first) & np.isfinite(second) & (snr > BINS[0][0])
        errors[kind] = (first - np.median(first[bright]), second - np.median(second[bright]))
    notes = [
        f"core-seconds: hscbox {frame.seconds:.1f} for characterization and calibration; Source Extractor "
        f"{seconds[0]:.1f}, PSFEx {seconds[1]:.1f}, Source Extractor with PSF fluxes {seconds[2]:.1f}"
    ]
    for program, psf in (("hscbox", frame.exposure.psf), ("PSFEx", model)):
        numbers = table_numbers("psf", psf_residuals(truth, replace(frame.exposure, psf=psf), frame.used_xy))
        notes.append(
            f"PSF of {program}: " + ", ".join(f"{k[4:]} {v.value:.4f} +- {v.error:.4f}" for k, v in numbers.items())
        )
    return Comparison(frame.name, snr, errors, notes)


def print_lines(comparison: Comparison) -> None:
    """Print the lines of a frame: a bin and a kind of flux each."""
    for low, high in BINS:
        span = f"{low:g} to {high:g}" if np.isfinite(high) else f"above {low:g}"
        for kind, (first, second) in comparison.errors.items():
            chosen = (comparison.snr > low) & (comparison.snr <= high) & np.isfinite(first) & np.isfinite(second)
            if chosen.sum() >= FEWEST:
                numbers = compared(first[chosen], second[chosen])
                print(f"{comparison.name:8s} | {kind:8s} | {span:10s} | {chosen.sum():5d} | {numbers}")


def together(comparisons: list[Comparison]) -> Comparison:
    """Return the stars of all frames as one."""
    errors = {
        kind: tuple(np.concatenate([c.errors[kind][k] for c in comparisons]) for k in (0, 1))
        for kind in Magnitudes._fields
    }
    return Comparison("all", np.concatenate([c.snr for c in comparisons]), errors, [])


def make_frame(directory: Path, seed: int) -> list[str]:
    """Simulate and process a frame; return its output and truth."""
    directory.mkdir()
    (directory / "scene.json").write_text(json.dumps({"seed": seed, "star_density": STAR_DENSITY}))
    program = str(Path(sys.executable).parent / "hscbox")
    data, repository, output = (str(directory / name) for name in ("sim", "in", "out"))
    for words in (
        ["simulate", data, "--scene", str(directory / "scene.json")],
        ["mount", repository, "--calib", f"{data}/CALIB", "--ref-cats", f"{data}/ref_cats"],
        ["ingest-images", repository, f"{data}/raw"],
        ["process-ccd", repository, "--output", output, "--id"],
    ):
        subprocess.run([program, *words], check=True, capture_output=True)
    return [output, f"{data}/truth"]


def main() -> None:
    """Print the table, then the notes of each frame."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="*", metavar="OUTPUT TRUTH", help="outputs, each followed by its truth")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="frames to make if no output is given")
    arguments = parser.parse_args()
    places = arguments.places
    if len(places) % 2:
        parser.error("every OUTPUT needs its TRUTH")
    with tempfile.TemporaryDirectory() as name:
        for seed in arguments.seeds if not places else ():
            places = [*places, *make_frame(Path(name) / str(seed), seed)]
        frames = [f for k in range(0, len(places), 2) for f in read_frames(Path(places[k]), Path(places[k + 1]))]
        print("scatter of magnitudes in mmag")
        print("frame    | flux     | S/N        | stars | hscbox          | SE + PSFEx      | hscbox - SE")
        comparisons = []
        for number, frame in enumerate(frames, 1):
            comparisons.append(compare(frame._replace(name=str(number))))
            print_lines(comparisons[-1])
            sys.stdout.flush()
        if len(comparisons) > 1:
            print_lines(together(comparisons))
        for comparison, frame in zip(comparisons, frames, strict=True):
            print(f"frame {comparison.name}: {frame.name}", *comparison.notes, sep="\n    ")


if __name__ == "__main__":
    main()
