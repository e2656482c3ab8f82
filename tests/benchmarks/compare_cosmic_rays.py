"""Cosmic rays found by hscbox and by astroscrappy (L.A.Cosmic, van Dokkum 2001) on the same synthetic frames.

By hand: `python tests/benchmarks/compare_cosmic_rays.py --astroscrappy PYTHON`, where PYTHON is an interpreter that has
astroscrappy; left out, only hscbox is measured. Prints one table: events and seeing against recall, precision, eaten
star cores and core-seconds. Definitions are those of the manual page on validation; a star core is the central
3 x 3 pixels, none of them truly hit, of a star brighter than 24 mag, eaten if one of them is flagged.

Frames are made as by `hscbox simulate`, with another rate of cosmic rays and more stars; hscbox sees them as in
process-ccd: instrument signature removal, then the characterization with its three passes, the last of which counts.
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import argparse
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.camera import load_camera
from hscbox.camera.visit_info import visit_info_from_header
from hscbox.characterize.task import CharacterizeImageConfig, CharacterizeImageTask
from hscbox.detect.repair import RepairConfig, RepairTask
from hscbox.image.calib_image import CalibImage
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.inputs import IsrInputs
from hscbox.isr.task import IsrTask
from hscbox.products.raw import read_raw
from hscbox.simulate import cosmic_rays
from hscbox.simulate import frame as frames
from hscbox.simulate.dataset import write_raw
from hscbox.simulate.illumination import flat_field, fringe_pattern, unlit
from hscbox.simulate.patterns import bias_structure, dark_rate, scene_defects
from hscbox.simulate.scene import Scene
from hscbox.truth.measures import pixel_recall, touching_precision

EVENTS = (560, 900, 1400)
SEEINGS = (0.45, 0.6, 0.9)
# The default rate leaves about so many identifications on a whole CCD in 300 s.
DEFAULT_EVENTS = 900
FAINTEST_STAR = 24.0
GAIN, READ_NOISE = 3.4, 4.5
ASTROSCRAPPY = """
import sys, time, numpy as np, astroscrappy
with np.load(sys.argv[1]) as data: image, bad, gain, noise, level = (data[k] for k in data.files)
start = time.process_time()
found, _ = astroscrappy.detect_cosmics(
    image, inmask=bad, gain=float(gain), readnoise=float(noise), satlevel=float(level), verbose=False
)
np.savez(sys.argv[2], found=found, seconds=time.process_time() - start)
"""


class Score(NamedTuple):
    """How well one program did on one frame."""

    recall: float
    precision: float
    eaten: int
    cores: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.recall:.4f}  {self.precision:.4f}  {self.eaten:4d}/{self.cores:<4d} {self.seconds:6.2f}"


def reduce(frame: frames.SimulatedFrame, directory: Path) -> Exposure:
    """Return the exposure of a synthetic frame after the instrument signature removal, with ideal masters."""
    scene = frame.scene
    detector = load_camera()[scene.ccd]
    write_raw(directory / "raw.fits", frame)
    raw = read_raw(directory / "raw.fits", detector)
    flat = flat_field(scene)
    lit = np.where(unlit(scene.detector), np.int32(mask_bits("NO_DATA")), np.int32(0))
    defects = scene_defects(scene)
    masters = {
        "bias": CalibImage(bias_structure(scene)),
        "dark": CalibImage(dark_rate(scene)),
        "flat": CalibImage(flat, lit, np.zeros_like(flat)),
    }
    if scene.has_fringes:
        masters["fringe"] = CalibImage(fringe_pattern(scene))
    inputs = IsrInputs(
        raw,
        detector,
        visit_info_from_header(raw.header),
        scene.canonical_filter,
        200 * scene.visit + scene.ccd,
        masters,
        brighter_fatter_kernel(),
        (*defects.dead_boxes, *defects.hot_boxes),
    )
    return IsrTask().run(inputs).exposure


def score(frame: frames.SimulatedFrame, exposure: Exposure, found: np.ndarray, seconds: float) -> Score:
    """Compare the flagged pixels with the truth."""
    significance = frame.cosmic_rays / np.sqrt(np.maximum(exposure.variance, 1.0))
    usable = exposure.mask & mask_bits("SAT", "BAD", "NO_DATA") == 0
    eaten = cores = 0
    sources = frame.ideal.sources
    limit = 10 ** (0.4 * (frame.scene.true_zero_point - FAINTEST_STAR))
    for star in sources[sources["is_star"] & (sources["flux_adu"] > limit)]:
        x, y = int(np.round(star["x"])), int(np.round(star["y"]))
        if not (1 <= x < exposure.width - 1 and 1 <= y < exposure.height - 1):
            continue
        core = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        if usable[core].all() and (significance[core] < 0.5).all():
            cores += 1
            eaten += bool(found[core].any())
    return Score(
        pixel_recall((significance > 10) & usable, found).value,
        touching_precision(found & usable, significance > 3).value,
        eaten,
        cores,
        seconds,
    )


def ours(exposure: Exposure) -> tuple[np.ndarray, float]:
    """Return the pixels that hscbox flags and the core-seconds of its last pass."""
    result = CharacterizeImageTask(CharacterizeImageConfig(), "compare").run(exposure=exposure, exposure_id=1)
    again = result.exposure.copy()
    start = time.process_time()
    RepairTask(RepairConfig(), "compare").run(again)
    return result.exposure.mask & mask_bits("CR") != 0, time.process_time() - start


def theirs(python: str, exposure: Exposure, directory: Path) -> tuple[np.ndarray, float]:
    """Return the pixels that astroscrappy flags with its default parameters, and its core-seconds."""
    given, answer = directory / "given.npz", directory / "answer.npz"
    bad = exposure.mask & mask_bits("SAT", "BAD", "NO_DATA") != 0
    image = np.where(np.isfinite(exposure.image), exposure.image, 0.0).astype(np.float32)
    np.savez(given, image=image, bad=bad, gain=GAIN, noise=READ_NOISE, level=5e4)
    subprocess.run([python, "-c", ASTROSCRAPPY, str(given), str(answer)], check=True)
    with np.load(answer) as data:
        return data["found"], float(data["seconds"])


def main() -> None:
    """Make the frames and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--astroscrappy", metavar="PYTHON", help="interpreter with astroscrappy")
    parser.add_argument("--rows", type=int, default=4176, help="rows of the frames (default: all)")
    parser.add_argument("--star-density", type=float, default=8.0, help="5 times the default scene's")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    columns = "recall  precis.  eaten/cores     s"
    print(f"events seeing | hscbox: {columns} | astroscrappy: {columns}")
    for seeing in SEEINGS:
        scene = Scene(seeing=seeing, rows=arguments.rows, star_density=arguments.star_density)
        ideal = frames.ideal_frame(scene)
        for events in EVENTS:
            rate = cosmic_rays._RATE * events / DEFAULT_EVENTS
            with (
                tempfile.TemporaryDirectory() as name,
                mock.patch.object(frames, "ideal_frame", return_value=ideal),
                mock.patch.object(cosmic_rays, "_RATE", rate),
            ):
                frame = frames.simulate_frame(scene)
                exposure = reduce(frame, Path(name))
                line = f"{events:6d}  {seeing:.2f}″ |         {score(frame, exposure, *ours(exposure))}"
                if arguments.astroscrappy:
                    found = theirs(arguments.astroscrappy, exposure, Path(name))
                    line += f" |               {score(frame, exposure, *found)}"
            print(line)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
