"""The PSF models of hscbox and of PSFEx (Bertin 2011, ASP Conf. 442, 435) from the same stars of the same image.

By hand: `python tests/benchmarks/compare_psf.py OUT... --truth DIR`; needs the programs source-extractor and
psfex. OUT are output
repositories of process-ccd with CORR and ICSRC, DIR is the generator's truth, or one for each OUT.

source-extractor cuts stamps of 41 pixels out of CORR, which has no background, with the variance plane as weight and no
weight where the mask says SAT, INTRP, BAD, CR or NO_DATA. PSFEx gets the stars that hscbox used for its model, and fits
the same kind of model: 81 x 81 samples of half a pixel, degree 2. Both models are compared with the true PSF where no
star was used, by adaptive moments of the PSF in the middle of a pixel, as `hscbox validate` does. Core-seconds: of the
program psfex, and of the fit of hscbox to the same stars (in the pipeline a draft comes before it).
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

from hscbox.butler.butler import Butler
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.characterize.psf_candidates import extract_candidates
from hscbox.characterize.psf_determiner import PsfDeterminerConfig, determine_psf
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.image.psf import Psf, PsfexPsf
from hscbox.measure.noise_replacer import noise_level
from hscbox.truth.measures import match_within
from hscbox.truth.quality_psf import psf_residuals
from hscbox.truth.true_frame import Truth, read_truth, truth_directories

UNUSABLE = ("SAT", "INTRP", "BAD", "CR", "NO_DATA")
STAMP = 41
EXTRACT = (
    "-CATALOG_NAME stars.cat -CATALOG_TYPE FITS_LDAC -PARAMETERS_NAME columns.param -FILTER N -DETECT_THRESH 5 "
    "-BACK_TYPE MANUAL -BACK_VALUE 0 -WEIGHT_TYPE MAP_VAR -WEIGHT_IMAGE variance.fits -PHOT_APERTURES 24 "
    "-SATUR_LEVEL 1e9 -VERBOSE_TYPE QUIET"
)
COLUMNS = (
    f"VIGNET({STAMP},{STAMP})\nX_IMAGE\nY_IMAGE\nFLUX_RADIUS\nSNR_WIN\nFLUX_APER(1)\nFLUXERR_APER(1)\n"
    "ELONGATION\nFLAGS\nXWIN_IMAGE\nYWIN_IMAGE\n"
)
MODEL = (
    "-CENTER_KEYS XWIN_IMAGE,YWIN_IMAGE -PSFVAR_KEYS XWIN_IMAGE,YWIN_IMAGE -PSFVAR_GROUPS 1,1 -PSFVAR_DEGREES 2 "
    "-BASIS_TYPE PIXEL_AUTO -PSF_SAMPLING 0.5 -PSF_SIZE 81,81 -PSF_ACCURACY 0.01 "
    "-SAMPLE_AUTOSELECT N -SAMPLEVAR_TYPE NONE -BADPIXEL_FILTER Y -BADPIXEL_NMAX 400 "
    "-CHECKPLOT_TYPE NONE -CHECKIMAGE_TYPE NONE -WRITE_XML N -NTHREADS 1 -VERBOSE_TYPE QUIET"
)


def ours(exposure: Exposure, bright: SourceCatalog, rows: np.ndarray) -> tuple[Psf, float]:
    """Return the model of hscbox from the stars in `rows`, and its core-seconds once everything is compiled."""
    config = PsfDeterminerConfig()
    gain = float(np.mean([amplifier.gain for amplifier in exposure.detector.amplifiers]))
    width = np.sqrt((bright["slot_Shape_xx"] + bright["slot_Shape_yy"]) / 2)[rows]
    seconds = 0.0
    for _ in range(2):
        start = time.process_time()
        stars = extract_candidates(
            exposure,
            bright["slot_Centroid_x"][rows],
            bright["slot_Centroid_y"][rows],
            [bright.footprints[row] for row in rows],
            bright["base_PsfFlux_flux"][rows],
            config.stamp_size,
        )
        noise = noise_level(exposure.image).std ** 2
        found = determine_psf(stars, float(np.median(width)), noise, gain, config)
        seconds = time.process_time() - start
    return found.psf, seconds


def theirs(exposure: Exposure, bright: SourceCatalog, rows: np.ndarray, directory: Path) -> tuple[Psf, float, int]:
    """Return PSFEx's model, its core-seconds, and how many of the stars it accepted."""
    bad = (exposure.mask & mask_bits(*UNUSABLE) != 0) | ~np.isfinite(exposure.variance)
    fits.PrimaryHDU(exposure.image).writeto(directory / "image.fits")
    fits.PrimaryHDU(np.where(bad, np.float32(1e30), exposure.variance)).writeto(directory / "variance.fits")
    (directory / "columns.param").write_text(COLUMNS)
    (directory / "empty").write_text("")
    gain = float(np.mean([amplifier.gain for amplifier in exposure.detector.amplifiers]))
    options = [*EXTRACT.split(), "-GAIN", str(gain)]
    run(["source-extractor", "image.fits", "-c", "empty", *options], directory)
    with fits.open(directory / "stars.cat") as hdus:
        table = hdus[2].data
        xy = np.stack([table["XWIN_IMAGE"], table["YWIN_IMAGE"]], axis=1).astype(float) - 1.0
        wanted = np.stack([bright["slot_Centroid_x"][rows], bright["slot_Centroid_y"][rows]], axis=1)
        hit, nearest = match_within(wanted, xy, 1.5)
        hdus[2].data = table[np.unique(nearest[hit])]
        # The stars are chosen already: no flag of the extraction shall drop one.
        hdus[2].data["FLAGS"] = 0
        hdus.writeto(directory / "chosen.cat")
    seconds = run(["psfex", "chosen.cat", "-c", "empty", *MODEL.split()], directory)
    with fits.open(directory / "chosen.psf") as hdus:
        header, samples = hdus[1].header, hdus[1].data["PSF_MASK"][0]
        # Their pixels count from 1.
        first = (header["POLZERO1"] - 1.0, header["POLZERO2"] - 1.0)
        scale = (header["POLSCAL1"], header["POLSCAL2"])
        middle = (exposure.width / 2, exposure.height / 2)
        psf = PsfexPsf(samples.astype(np.float32), header["PSF_SAMP"], header["POLDEG1"], first, scale, middle)
        return psf, seconds, int(header["ACCEPTED"])


def run(command: list[str], directory: Path) -> float:
    """Run a program and return its core-seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def line(name: str, psf: Psf, seconds: float, n: int, truth: Truth, exposure: Exposure, used: np.ndarray) -> str:
    """Return a line of the table."""
    copy = exposure.copy()
    copy.psf = psf
    table = psf_residuals(truth, copy, used)
    size, e1, e2 = (np.asarray(table[key]) for key in ("size", "e1", "e2"))
    medians = f"{np.median(size):7.3f} {np.sqrt(np.mean(size**2)):6.3f} | {np.median(e1):8.4f} {np.median(e2):7.4f}"
    rms = f"{np.sqrt(np.mean(e1**2)):7.4f} {np.sqrt(np.mean(e2**2)):6.4f}"
    return f"{name:8s} {n:5d} | {medians} {rms} | {seconds:6.2f}"


def main() -> None:
    """Fit both models to every CCD and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outputs", nargs="+", type=Path, help="output repositories")
    parser.add_argument("--truth", nargs="+", type=Path, required=True, help="truth directories: one, or one for each")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    truths = arguments.truth * len(arguments.outputs) if len(arguments.truth) == 1 else arguments.truth
    print("         stars | size %: med    rms | e1, e2 median       rms           | core-s")
    for output, directory in zip(arguments.outputs, truths, strict=True):
        butler = Butler(inputs=str(output), quiet=True)
        for visit, ccd, place in truth_directories(directory):
            if not butler.datasetExists("calexp", visit=visit, ccd=ccd):
                continue
            exposure = butler.get("calexp", visit=visit, ccd=ccd)
            bright = butler.get("icSrc", visit=visit, ccd=ccd)
            truth = read_truth(place)
            rows = np.flatnonzero(bright["calib_psfUsed"])
            used = np.stack([bright["slot_Centroid_x"][rows], bright["slot_Centroid_y"][rows]], axis=1)
            mark(exposure, bright)
            print(f"{output}, visit {visit} ccd {ccd}, {exposure.filter_name}")
            psf, seconds = ours(exposure, bright, rows)
            print(line("hscbox", psf, seconds, len(rows), truth, exposure, used))
            with tempfile.TemporaryDirectory() as name:
                psf, seconds, n = theirs(exposure, bright, rows, Path(name))
            print(line("PSFEx", psf, seconds, n, truth, exposure, used))
            sys.stdout.flush()


def mark(exposure: Exposure, bright: SourceCatalog) -> None:
    """Let DETECTED mean the bright sources again, as when the model is fitted; CORR has those of the deep search."""
    detected = np.int32(mask_bits("DETECTED"))
    exposure.mask &= ~detected
    for footprint in bright.footprints:
        ys, xs = footprint.indices()
        exposure.mask[ys, xs] |= detected


if __name__ == "__main__":
    main()
