"""`make survey`: every science CCD in r, and five of them in all broad bands, from simulation to score.

Each frame is a field of stars at full size with its own masters: made by the generator without images of the truth,
processed by process-ccd in a process of its own, scored against the generator's sources, deleted. Two frames are in
work at a time. The result is docs/survey.md and testdata/survey/survey.json; the exit status is 1 if anything stays
unexplained: a failure whose cause is not in the scene, or a number that contradicts the truth.
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from survey_page import page

from hscbox.camera.distortion import PIXEL_SCALE
from hscbox.image.exposure import Exposure
from hscbox.numerics.adaptive_moments import adaptive_moments
from hscbox.numerics.constants import FWHM_PER_SIGMA
from hscbox.products.catalog import read_catalog
from hscbox.products.exposure import read_exposure
from hscbox.simulate.illumination import unlit
from hscbox.simulate.patterns import scene_defects
from hscbox.simulate.psf_model import TruePsf
from hscbox.simulate.scene import Scene
from hscbox.simulate.sources import scene_sources
from hscbox.truth.measures import match_within
from hscbox.truth.quality_fluxes import flux_residuals
from hscbox.truth.quality_positions import position_residuals
from hscbox.truth.scores import table_numbers
from hscbox.truth.selection import bright_stars, leaves
from hscbox.truth.true_frame import Truth

ROOT = Path(__file__).resolve().parents[2]
VISITS = {"g": 41000, "r": 40984, "i": 41020, "z": 41030, "y": 41040}
ALL_BANDS_OF = (0, 33, 55, 95, 100)
WORKERS = 2
TIMEOUT = 1800.0
EVENTS_PER_SECOND = 1.6
# A frame of which less is lit and alive may fail.
LEAST_USABLE = 0.25
MAKE = (
    "import sys; from hscbox.machine.environment import keep_freed_memory; "
    "from hscbox.simulate.dataset import write_dataset; from hscbox.simulate.scene import read_scenes; "
    "keep_freed_memory(); "
    "write_dataset(sys.argv[1], read_scenes(sys.argv[2]), truth_images=False)"
)
LABELS = {
    "sky": "sky level (ADU)",
    "seeing": "seeing, FWHM (arcsec)",
    "psf_stars": "PSF stars",
    "cosmic_rays": "cosmic rays",
    "detections": "bright sources",
    "sources": "sources",
    "matches": "astrometric matches",
    "scatter_mas": "astrometric scatter (arcsec)",
    "zero_point": "zero point (mag)",
}


@dataclass
class Row:
    """One frame of the survey: how it ended and what came out; nan where there is nothing."""

    ccd: int
    band: str
    usable: float
    """Part of the pixels that are lit and alive."""
    status: str = "done"
    message: str = ""
    exit: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    make_seconds: float = float("nan")
    core_seconds: float = float("nan")
    peak_mib: float = float("nan")
    faults: list[str] = field(default_factory=list)
    cause: str = ""
    """What in the scene explains the failure."""

    @property
    def unexplained(self) -> bool:
        """Whether the frame failed without a cause in the scene, or came out wrong."""
        return bool(self.faults) or (self.status != "done" and not self.cause)


def survey_scene(ccd: int, band: str) -> Scene:
    """Return a field of stars, four times as dense as the default scene's, without galaxies."""
    return Scene(
        visit=VISITS[band],
        ccd=ccd,
        filter=f"HSC-{band.upper()}",
        star_density=6.4,
        galaxy_density=0.0,
        faint_limit=26.0,
    )


def frames(ccds: list[int] | None, bands: list[str] | None) -> list[tuple[int, str]]:
    """Return the (CCD, band) of the whole survey, or the product of what is asked for."""
    if ccds or bands:
        return [(ccd, band) for band in (bands or ["r"]) for ccd in (ccds or range(104))]
    return [(ccd, "r") for ccd in range(104)] + [(ccd, band) for band in "gizy" for ccd in ALL_BANDS_OF]


def measured(command: list[str], directory: Path, log: str) -> tuple[int, float, float]:
    """Run a command, for TIMEOUT seconds at the most; return its status, core-seconds and peak MiB.

    What it prints goes to the file `log`.
    """
    with (directory / log).open("wb") as sink:
        child = subprocess.Popen([sys.executable, *command], cwd=directory, stdout=sink, stderr=sink)
        watch = threading.Timer(TIMEOUT, child.kill)
        watch.start()
        _, status, usage = os.wait4(child.pid, 0)
        watch.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def survey_frame(ccd: int, band: str) -> Row:
    """Make, process and score one frame in a temporary directory."""
    scene = survey_scene(ccd, band)
    row = Row(ccd, band, usable_share(scene))
    with tempfile.TemporaryDirectory(prefix="hscbox-survey-") as name:
        directory = Path(name)
        (directory / "scene.json").write_text(json.dumps(scene.to_dict()))
        steps = {
            "make": ["-c", MAKE, "sim", "scene.json"],
            "mount": ["-m", "hscbox", "mount", "in", "--calib", "sim/CALIB", "--ref-cats", "sim/ref_cats"],
            "ingest": ["-m", "hscbox", "ingest-images", "in", "sim/raw"],
        }
        for step, command in steps.items():
            status, core, _ = measured(command, directory, step)
            if status:
                row.status, row.exit, row.message = f"{step} failed", status, _tail(directory / step)
                return row
            row.make_seconds = core if step == "make" else row.make_seconds
        words = ["process-ccd", "in", "--output", "out", "--id", f"visit={scene.visit}", f"ccd={ccd}"]
        row.exit, row.core_seconds, row.peak_mib = measured(["-m", "hscbox", *words], directory, "process")
        read_outcome(row, (directory / "process").read_text(errors="replace"))
        if row.status == "done":
            score(row, scene, directory)
        elif row.exit in (4, 20) and row.usable < LEAST_USABLE:
            row.cause = f"only {row.usable:.0%} of the pixels are lit and alive"
    return row


def usable_share(scene: Scene) -> float:
    """Return which part of the pixels is lit and not in a dead amplifier."""
    lit = ~unlit(scene.detector)
    for amplifier in scene.detector.amplifiers:
        if amplifier.index in scene_defects(scene).dead_amplifiers:
            lit[amplifier.trimmed.slices] = False
    return float(lit.mean())


def _tail(path: Path) -> str:
    return " ".join(path.read_text(errors="replace")[-300:].split())


def read_outcome(row: Row, text: str) -> None:
    """Read the numbers of the summary table, or the class of the error, from what process-ccd printed."""
    for name, label in LABELS.items():
        if found := re.search(rf"│ {re.escape(label)} +│ +(-?[\d.]+|nan)", text):
            row.numbers[name] = float(found[1]) * (1000.0 if name == "scatter_mas" else 1.0)
    if row.exit:
        named = re.search(r"^visit \d+ ccd \d+: ([\w-]+): (.*)$", text, re.MULTILINE)
        row.status = named[1] if named else "unexpected"
        row.message = named[2] if named else " ".join(text[-300:].split())


def score(row: Row, scene: Scene, directory: Path) -> None:
    """Compare the products with the generator's sources and hits; note numbers, and what contradicts them, in `row`."""
    exposure = read_exposure(next(directory.glob("out/*/*/corr/CORR-*.fits")))
    catalog = read_catalog(next(directory.glob("out/*/*/output/SRC-*.fits")))
    truth = survey_truth(scene)
    stars = bright_stars(truth, catalog, exposure)
    positions = table_numbers("positions", position_residuals(truth, catalog, exposure, stars))
    fluxes = table_numbers("bright_stars", flux_residuals(truth, catalog, exposure, stars))
    for name, value in (positions | fluxes).items():
        row.numbers[name], row.numbers[f"{name}_error"] = value.value, value.error
    single = catalog.subset(leaves(catalog))
    found = np.stack([single["slot_Centroid_x"], single["slot_Centroid_y"]], axis=1)
    fwhm = row.numbers["seeing"] / PIXEL_SCALE
    true, _ = match_within(found, np.stack([truth.x, truth.y], axis=1), fwhm)
    hits = fits.getdata(next(directory.glob("sim/truth/*/cosmic_rays.fits")), 1)
    on_hit, _ = match_within(found, np.stack([hits["x"], hits["y"]], axis=1), fwhm)
    row.numbers["false_sources"] = float(np.count_nonzero(~true))
    row.numbers["hit_sources"] = float(np.count_nonzero(~true & on_hit))
    row.numbers["true_seeing"] = true_seeing(scene, exposure)
    row.numbers["true_sky"], row.numbers["true_zero_point"] = scene.true_sky_level, scene.true_zero_point
    row.numbers["true_events"] = EVENTS_PER_SECOND * scene.exposure_time * row.usable
    row.faults = contradictions(row.numbers)


def survey_truth(scene: Scene) -> Truth:
    """Return the sources of the scene and its mean sky; its other images are left empty."""
    sources = scene_sources(scene)
    nothing = np.empty((0, 0))
    return Truth(
        zero_point=scene.true_zero_point,
        ra=sources["ra"],
        dec=sources["dec"],
        x=sources["x"],
        y=sources["y"],
        magnitude=sources["magnitude"],
        flux=sources["flux_adu"],
        is_star=sources["is_star"],
        half_light_radius_px=np.zeros(len(sources)),
        g1=sources["g1"],
        g2=sources["g2"],
        sersic=sources["sersic"],
        brighter_distance_px=sources["brighter_distance"],
        objects=nothing,
        sky=np.broadcast_to(scene.true_sky_level, scene.shape),
        cosmic_rays=nothing,
        saturated=nothing.astype(bool),
        psf_xy=np.empty((0, 2)),
        psf_stamps=np.empty((0, 41, 41)),
    )


def true_seeing(scene: Scene, exposure: Exposure) -> float:
    """Return the FWHM (arcsec) of the true PSF, by its adaptive moments, where the model states its own."""
    assert exposure.psf is not None
    stamp = TruePsf(scene).kernel_image(*exposure.psf.average_position)
    moments = adaptive_moments(stamp, 20.0, 20.0)
    return float((moments.xx * moments.yy - moments.xy**2) ** 0.25 * FWHM_PER_SIGMA * PIXEL_SCALE)


def contradictions(numbers: dict[str, float]) -> list[str]:
    """Return what lies too far from the truth; the bounds are those of `hscbox validate` where it has one."""
    checks = {
        "sky": abs(numbers["sky"] / numbers["true_sky"] - 1.0) <= 0.005,
        "seeing": abs(numbers["seeing"] / numbers["true_seeing"] - 1.0) <= 0.02,
        "cosmic rays": 0.8 <= numbers["cosmic_rays"] / numbers["true_events"] <= 3.0,
        "astrometry": max(numbers["astrometry_rms_ra"], numbers["astrometry_rms_dec"]) <= 15.0,
        "zero point": abs(numbers["psf_zero_point_error"]) <= 5.0 + 2.0 * numbers["psf_zero_point_error_error"],
        "matches": numbers["matches"] >= 20,
        # The search for cosmic rays wants 6 sigma in a pixel. Tracks below that, in bright sky, look like sources.
        "false sources": numbers["false_sources"] - numbers["hit_sources"] <= 0.05 * numbers["sources"],
        "hits taken for sources": numbers["hit_sources"] <= 0.25 * numbers["sources"],
    }
    return [name for name, holds in checks.items() if not holds]


def commit() -> str:
    """Return the commit of the checkout, marked if files differ from it."""
    words = ["git", "describe", "--always", "--abbrev=12", "--match=", "--dirty"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Run the survey, write its page and its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ccd", type=int, nargs="+", metavar="N", help="these CCDs only")
    parser.add_argument("--band", choices=sorted(VISITS), nargs="+", help="these bands only (default with --ccd: r)")
    parser.add_argument("--output", type=Path, help="where docs/ and testdata/survey/ are written (default: here)")
    arguments = parser.parse_args()
    if (arguments.ccd or arguments.band) and not arguments.output:
        parser.error("a part of the survey would replace the whole one: give --output DIR")
    version, rows = commit(), []
    with ThreadPoolExecutor(WORKERS) as pool:
        for row in pool.map(lambda frame: survey_frame(*frame), frames(arguments.ccd, arguments.band)):
            rows.append(row)
            print(f"ccd {row.ccd} {row.band}: {row.status} {row.message} {' '.join(row.faults)}", flush=True)
    root = arguments.output or ROOT
    for directory in (root / "docs", root / "testdata/survey"):
        directory.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "commit": version,
        "frames": [{**asdict(row), "unexplained": row.unexplained} for row in rows],
    }
    (root / "docs/survey.md").write_text(page(version, content["frames"]))
    (root / "testdata/survey/survey.json").write_text(json.dumps(content, indent=1) + "\n")
    unexplained = sum(row.unexplained for row in rows)
    print(f"{len(rows)} frames, {sum(row.status == 'done' for row in rows)} done, {unexplained} unexplained")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
