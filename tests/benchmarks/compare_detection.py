"""Depth of the detection of hscbox and of Source Extractor (Bertin & Arnouts 1996, A&AS 117, 393) on the same image.

By hand: `python tests/benchmarks/compare_detection.py`; needs the program source-extractor. A frame is made as by
`hscbox
simulate`, with more stars of 23.5 to 27.5 mag scattered over it, and goes through instrument signature removal and
characterization. Both programs then search the same background-subtracted image at a series of thresholds:
Source Extractor with several filters, least areas, and with or without a background of its own; hscbox with the
configuration of process-ccd, but that peaks in blends must stand out by the same part of the threshold (0.8). For
each the table has the 50 % depth of true point sources at 5 % false detections, interpolated between thresholds, with
errors and the difference to hscbox from 100 bootstrap samples of the stars.

A star counts unless its pixel is SAT, BAD, NO_DATA or EDGE or a brighter source lies within 1 FWHM; it is found if a
detection lies within 1 FWHM. A detection is false if no true source down to 2 mag below the 5-sigma limit of point
sources lies within 1 FWHM. Coincidences are counted with positions shifted in eight directions, and taken out.
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import argparse
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
from astropy.io import fits
from compare_cosmic_rays import reduce
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from hscbox.catalog.source_catalog import make_minimal_schema
from hscbox.characterize.task import CharacterizeImageConfig, CharacterizeImageTask
from hscbox.detect.deblend import SourceDeblendConfig, SourceDeblendTask
from hscbox.detect.detection import SourceDetectionConfig, SourceDetectionTask, make_source_catalog
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.numerics.convolve import gaussian_kernel
from hscbox.simulate import frame as frames
from hscbox.simulate.scene import Scene
from hscbox.simulate.sources import scene_sources

BRIGHTEST, FAINTEST, STARS_PER_PIXEL = 23.5, 27.5, 1 / 2200
BIN = 0.05
FALSE = 0.05
SHIFT = 25.0
BOOTSTRAPS = 100
FWHM_PER_SIGMA = 2.3548
UNUSABLE = ("SAT", "BAD", "NO_DATA", "EDGE")
OUR_THRESHOLDS = (5.0, 4.2, 3.7, 3.4, 3.2, 3.0, 2.7, 2.4, 2.1)
THEIR_THRESHOLDS = (0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.95, 1.1)
SETTINGS = (
    "-CATALOG_TYPE ASCII -VERBOSE_TYPE QUIET -ANALYSIS_THRESH 1.5 -CLEAN Y -WEIGHT_TYPE MAP_VAR "
    "-SATUR_LEVEL 1e9 -FILTER_NAME filter.conv -PARAMETERS_NAME columns.param -CATALOG_NAME found.txt"
)


class Truth(NamedTuple):
    """What there is to find."""

    stars: np.ndarray
    """(n, 2) positions of the stars that count."""
    magnitudes: np.ndarray
    sources: np.ndarray
    """(m, 2) positions of all sources that make a detection right."""
    fwhm: float


class Search(NamedTuple):
    """One program with one setting at one threshold."""

    hit: np.ndarray
    """Which stars are found."""
    chance: float
    """Probability that a star would be found by coincidence."""
    false: float
    """Share of false detections."""
    n: int


def with_stars(scene: Scene) -> np.ndarray:
    """Return the sources of a scene and more stars, uniform in magnitude and place."""
    sources = scene_sources(scene)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([scene.seed, 77])))
    rows, columns = scene.shape
    stars = np.zeros(int(rows * columns * STARS_PER_PIXEL), dtype=sources.dtype)
    stars["id"] = -1 - np.arange(len(stars))
    stars["is_star"] = True
    stars["x"], stars["y"] = rng.uniform(8, columns - 9, len(stars)), rng.uniform(8, rows - 9, len(stars))
    stars["magnitude"] = rng.uniform(BRIGHTEST, FAINTEST, len(stars))
    stars["flux_adu"] = 10 ** (0.4 * (scene.true_zero_point - stars["magnitude"]))
    both = np.concatenate([sources, stars])
    both = both[np.argsort(both["magnitude"], kind="stable")]
    tree = cKDTree(np.stack([both["x"], both["y"]], axis=1))
    distance, index = tree.query(tree.data, k=33)
    distance[index >= np.arange(len(both))[:, None]] = np.inf
    both["brighter_distance"] = distance.min(axis=1)
    return both


def positions(sources: np.ndarray) -> np.ndarray:
    """Return (n, 2) positions of rows with x and y."""
    return np.stack([sources["x"], sources["y"]], axis=1)


def usable(xy: np.ndarray, exposure: Exposure) -> np.ndarray:
    """Return which positions are on good pixels."""
    x, y = np.round(xy).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < exposure.width) & (y < exposure.height)
    good = np.zeros(len(xy), dtype=bool)
    good[inside] = exposure.mask[y[inside], x[inside]] & mask_bits(*UNUSABLE) == 0
    return good


def truth_of(sources: np.ndarray, exposure: Exposure) -> Truth:
    """Return what there is to find in an exposure."""
    sigma = exposure.psf.determinant_radius(*exposure.psf.average_position)
    fwhm = FWHM_PER_SIGMA * sigma
    five_sigma = 5 * sigma * np.sqrt(4 * np.pi * float(np.median(exposure.variance)))
    stars = sources[(sources["id"] < 0) & (sources["brighter_distance"] > fwhm)]
    stars = stars[usable(positions(stars), exposure)]
    deep = sources[sources["flux_adu"] > five_sigma * 10**-0.8]
    return Truth(positions(stars), stars["magnitude"], positions(deep), fwhm)


def judge(found: np.ndarray, truth: Truth, exposure: Exposure) -> Search:
    """Compare detections (n, 2) with the truth."""
    found = found[usable(found, exposure)]
    tree, true = cKDTree(found), cKDTree(truth.sources)
    angles = np.arange(8) * np.pi / 4
    shifts = SHIFT * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chance = np.mean([tree.query(truth.stars + shift)[0] <= truth.fwhm for shift in shifts])
    right_by_chance = np.mean([true.query(found + shift)[0] <= truth.fwhm for shift in shifts])
    wrong = np.mean(true.query(found)[0] > truth.fwhm)
    return Search(
        tree.query(truth.stars)[0] <= truth.fwhm, float(chance), float(wrong / (1 - right_by_chance)), len(found)
    )


def depth(hit: np.ndarray, chance: float, magnitudes: np.ndarray) -> float:
    """Return the magnitude at which half of the stars are found, from a logistic curve below a plateau."""
    edges = np.arange(BRIGHTEST, FAINTEST + BIN / 2, BIN)
    middles = 0.5 * (edges[1:] + edges[:-1])
    n_all = np.histogram(magnitudes, edges)[0]
    n_hit = np.histogram(magnitudes[hit], edges)[0]

    def cost(p: np.ndarray) -> float:
        curve = (1 - abs(p[2])) / (1 + np.exp(np.clip((middles - p[0]) / abs(p[1]), -50, 50)))
        probability = np.clip(curve + (1 - curve) * chance, 1e-6, 1 - 1e-6)
        return -float(np.sum(n_hit * np.log(probability) + (n_all - n_hit) * np.log(1 - probability)))

    start = [float(np.median(magnitudes)) + 0.2, 0.2, 0.02]
    middle, width, lost = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-2}).x
    return float(middle + abs(width) * np.log(2 * (1 - abs(lost)) - 1))


def depth_at(searches: list[Search], magnitudes: np.ndarray, chosen: np.ndarray) -> float:
    """Return the depth at 5 % false detections; nan if the thresholds do not bracket that."""
    false = np.array([search.false for search in searches])
    order = np.argsort(false)
    above = int(np.searchsorted(false[order], FALSE))
    if above in (0, len(searches)):
        return float("nan")
    lower, upper = (searches[order[k]] for k in (above - 1, above))
    depths = [depth(search.hit[chosen], search.chance, magnitudes[chosen]) for search in (lower, upper)]
    part = (FALSE - lower.false) / (upper.false - lower.false)
    return depths[0] + part * (depths[1] - depths[0])


def ours(exposure: Exposure, threshold: float) -> np.ndarray:
    """Return the peaks of the sources that hscbox finds, after deblending."""
    config = SourceDetectionConfig()
    config.thresholdValue = threshold
    config.reEstimateBackground = False
    exposure = exposure.copy()
    found = SourceDetectionTask(config, "compare").run(exposure).footprints
    schema = make_minimal_schema()
    blends = SourceDeblendConfig()
    blends.minPeakSignificance *= threshold / SourceDetectionConfig().thresholdValue
    deblend = SourceDeblendTask(blends, "compare", schema)
    sources = make_source_catalog(found, schema, 1)
    deblend.run(exposure, sources)
    leaves = np.flatnonzero(sources["deblend_nChild"] == 0)
    peaks = [sources.footprints[leaf].peaks[0] for leaf in leaves]
    return np.array([(peak["f_x"], peak["f_y"]) for peak in peaks])


def theirs(directory: Path, threshold: float, area: int, own_background: bool) -> np.ndarray:
    """Return the positions that Source Extractor finds."""
    background = "-BACK_TYPE AUTO -BACK_SIZE 128" if own_background else "-BACK_TYPE MANUAL -BACK_VALUE 0"
    options = f"{SETTINGS} {background} -DETECT_THRESH {threshold} -DETECT_MINAREA {area} -WEIGHT_IMAGE variance.fits"
    command = ["source-extractor", "image.fits", "-c", "empty.sex", *options.split()]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return np.loadtxt(directory / "found.txt", ndmin=2) - 1.0


def write_inputs(directory: Path, exposure: Exposure) -> None:
    """Write image and variance as Source Extractor reads them; bad pixels have no weight."""
    variance = np.where(exposure.mask & mask_bits("BAD", "NO_DATA") != 0, np.float32(1e30), exposure.variance)
    fits.PrimaryHDU(exposure.image).writeto(directory / "image.fits")
    fits.PrimaryHDU(variance).writeto(directory / "variance.fits")
    (directory / "columns.param").write_text("X_IMAGE\nY_IMAGE\n")
    (directory / "empty.sex").write_text("")


def write_filter(directory: Path, sigma: float) -> None:
    """Write a Gaussian filter."""
    profile = gaussian_kernel(sigma, 9)
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in np.outer(profile, profile))
    (directory / "filter.conv").write_text(f"CONV NORM\n{rows}\n")


def report(name: str, searches: list[Search], truth: Truth, base: list[float] | None) -> list[float]:
    """Print a line of the table and return depths of the bootstrap samples, the first of all stars."""
    n = len(truth.stars)
    rng = np.random.Generator(np.random.PCG64(5))
    samples = [np.arange(n), *(rng.integers(0, n, n) for _ in range(BOOTSTRAPS))]
    if not np.isfinite(depth_at(searches, truth.magnitudes, samples[0])):
        print(f"{name:46s} |   -   thresholds reach {[f'{100 * s.false:.1f} %' for s in searches]} false")
        return []
    depths = [depth_at(searches, truth.magnitudes, sample) for sample in samples]
    line = f"{name:46s} | {depths[0]:.3f} +- {np.std(depths[1:]):.3f}"
    if base:
        difference = np.array(depths) - base
        line += f" | {difference[0]:+.3f} +- {np.std(difference[1:]):.3f}"
    print(line)
    sys.stdout.flush()
    return depths


def main() -> None:
    """Make the frame and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeing", type=float, default=0.52)
    parser.add_argument("--filter", default="HSC-R")
    parser.add_argument("--rows", type=int, default=4176, help="rows of the frame (default: all)")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    scene = Scene(seed=arguments.seed, seeing=arguments.seeing, filter=arguments.filter, rows=arguments.rows)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with mock.patch.object(frames, "scene_sources", with_stars):
            frame = frames.simulate_frame(scene)
        exposure = reduce(frame, directory)
        exposure = (
            CharacterizeImageTask(CharacterizeImageConfig(), "compare").run(exposure=exposure, exposure_id=1).exposure
        )
        SourceDetectionTask(SourceDetectionConfig(), "compare").run(exposure)
        truth = truth_of(frame.ideal.sources, exposure)
        print(f"{scene.filter}, seeing {scene.seeing:.2f}″, seed {scene.seed}: {len(truth.stars)} stars")
        print(f"{'':46s} | 50 % depth [mag] | minus hscbox")
        searches = [judge(ours(exposure, threshold), truth, exposure) for threshold in OUR_THRESHOLDS]
        for threshold, search in zip(OUR_THRESHOLDS, searches, strict=True):
            reached = depth(search.hit, search.chance, truth.magnitudes)
            print(f"  {threshold} sigma: {search.n} sources, {100 * search.false:.1f} % false, depth {reached:.3f}")
        base = report("hscbox", searches, truth, None)
        write_inputs(directory, exposure)
        sigma = truth.fwhm / FWHM_PER_SIGMA
        for scale in (1.0, 1.2, 0.8):
            write_filter(directory, scale * sigma)
            for area in (1, 3, 5):
                for own in (False, True):
                    # In units of the noise of a pixel: the filter takes the more of it, the wider it is.
                    thresholds = [t * 0.52 / scene.seeing for t in THEIR_THRESHOLDS]
                    found = [theirs(directory, t, area, own) for t in thresholds]
                    label = f"SE, Gaussian of {scale} PSF, area {area}, {'own' if own else 'our'} background"
                    report(label, [judge(xy, truth, exposure) for xy in found], truth, base)


if __name__ == "__main__":
    main()
