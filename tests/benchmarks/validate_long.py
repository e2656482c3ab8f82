"""`make validate-long`: full frames from simulation to score, in all bands and several seeings.

Each frame is made by the generator with its truth, processed by process-ccd in a process of its own, held against the
truth and deleted. Two frames are in work at a time. The result is docs/validation-long.md and
testdata/validate/long.json; the exit status is 1 if a frame fails or a number misses its target by more than its error.
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import argparse
import json
import math
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from survey import ROOT, VISITS, WORKERS, commit, measured
from validation_numbers import Frame, content_of
from validation_page import page

from hscbox.errors import HscboxError
from hscbox.simulate.scene import Scene
from hscbox.truth.validate import validate_output

ELLIPTICITY = (0.12, 0.09)
# A pull is known to a third of its target from 1800 stars, of which a field has 270. In y the references' noise is
# greatest, and the zero point of one frame with its thirty stars known to 6 mmag.
FRAMES, FRAMES_IN_Y, FRAMES_OF_STARS = 6, 12, 9
MAKE = (
    "import sys; from hscbox.machine.environment import keep_freed_memory; "
    "from hscbox.simulate.dataset import write_dataset; from hscbox.simulate.scene import read_scenes; "
    "keep_freed_memory(); write_dataset(sys.argv[1], read_scenes(sys.argv[2]))"
)


@dataclass(frozen=True)
class Group:
    """Frames that differ in the synthetic sky and camera alone."""

    name: str
    scene: dict[str, Any]
    frames: int = FRAMES


def band(letter: str, seeing: float = 0.6, **keys: Any) -> dict[str, Any]:
    """Return the keys of a default scene in a band."""
    return {"visit": VISITS[letter], "filter": f"HSC-{letter.upper()}", "seeing": seeing, **keys}


def stars(seeing: float, letter: str = "r") -> dict[str, Any]:
    """Return the keys of a field with four times the stars and no galaxies: what needs many isolated stars."""
    return band(letter, seeing, star_density=6.4, galaxy_density=0.0, faint_limit=26.0)


GROUPS = (
    Group("r 0.45", band("r", 0.45)),
    Group("r 0.6", band("r")),
    Group("r 0.9", band("r", 0.9)),
    Group("r elliptic", band("r", psf_ellipticity=ELLIPTICITY)),
    Group("g", band("g")),
    Group("i", band("i")),
    Group("z", band("z")),
    Group("y", band("y"), FRAMES_IN_Y),
    Group("stars 0.45", stars(0.45), FRAMES_OF_STARS),
    Group("stars 0.6", stars(0.6), FRAMES_OF_STARS),
    Group("stars 0.9", stars(0.9), FRAMES_OF_STARS),
    Group("stars y", stars(0.6, "y"), FRAMES_OF_STARS),
)


def run_frame(group: Group, seed: int) -> Frame:
    """Make, process and score one frame in a temporary directory."""
    scene = Scene.from_dict({**group.scene, "seed": seed})
    with tempfile.TemporaryDirectory(prefix="hscbox-validate-") as name:
        directory = Path(name)
        (directory / "scene.json").write_text(json.dumps(scene.to_dict()))
        words = ["process-ccd", "in", "--output", "out", "--id", f"visit={scene.visit}", f"ccd={scene.ccd}"]
        steps = {
            "make": ["-c", MAKE, "sim", "scene.json"],
            "mount": ["-m", "hscbox", "mount", "in", "--calib", "sim/CALIB", "--ref-cats", "sim/ref_cats"],
            "ingest": ["-m", "hscbox", "ingest-images", "in", "sim/raw"],
            "process": ["-m", "hscbox", *words],
        }
        for step, command in steps.items():
            status, core_seconds, _ = measured(command, directory, step)
            if status:
                end = " ".join((directory / step).read_text(errors="replace")[-300:].split())
                return Frame(group.name, seed, f"{step} ended with {status}: {end}", math.nan, {}, {})
        try:
            report = validate_output(directory / "out", directory / "sim/truth")[0]
        except HscboxError as error:
            return Frame(group.name, seed, f"validate: {error}", core_seconds, {}, {})
    return Frame(group.name, seed, "", core_seconds, report.numbers, report.residuals)


def main() -> None:
    """Run all groups, write the page and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [group.name for group in GROUPS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="GROUP", help=f"of: {names}")
    parser.add_argument("--frames", type=int, help="frames of each group (default: 6; 12 in y, 9 of stars)")
    parser.add_argument("--output", type=Path, help="where docs/ and testdata/validate/ are written (default: here)")
    arguments = parser.parse_args()
    if (arguments.only != names or arguments.frames) and not arguments.output:
        parser.error("a part would replace the whole: give --output DIR")
    # No two groups share a sky or a PSF: errors of all of them together count frames as independent.
    tasks = [
        (group, 100 * number + frame)
        for number, group in enumerate(GROUPS, start=1)
        if group.name in arguments.only
        for frame in range(arguments.frames or group.frames)
    ]
    version, frames = commit(), []
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        for frame in pool.map(run_frame, *zip(*tasks, strict=True)):
            frames.append(frame)
            print(f"{frame.group}, seed {frame.seed}: {frame.failure or 'done'}", flush=True)
    content = content_of(version, frames)
    root = arguments.output or ROOT
    for directory in (root / "docs", root / "testdata/validate"):
        directory.mkdir(parents=True, exist_ok=True)
    (root / "docs/validation-long.md").write_text(page(content))
    (root / "testdata/validate/long.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    missed = [
        f"{group['name']}: {name}"
        for group in content["groups"]
        for name, row in group["numbers"].items()
        if row["clearly_missed"]
    ]
    failed = sum(bool(frame.failure) for frame in frames)
    print(f"{len(frames)} frames, {failed} failed; clearly missed: {', '.join(missed) or 'nothing'}")
    sys.exit(1 if failed or missed else 0)


if __name__ == "__main__":
    main()
