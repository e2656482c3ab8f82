"""Error of the sky background of process-ccd on synthetic frames, against the generator's truth.

By hand: `python tests/benchmarks/measure_background.py`; prints a few lines for each frame, with the aims. Frames
are made as by
`hscbox simulate` and go through instrument signature removal, characterization and the deep detection. The sum of
all background models minus the true sky of the flattened frame is what is judged, averaged over cells of the fit that
keep at least half of their pixels without DETECTED, BAD, EDGE and NO_DATA (blank cells):

over-subtraction   its mean, with all that is in it
without unresolved its mean minus the mean light of undetected sources (true centre outside of all footprints) between
                   the footprints. That light cannot be told from sky; the wings of detected sources can, and remain
rms                scatter of the cells about their mean, after the surface fitted to the undetected light of the same
                   cells is taken out; expected: the standard errors of the cells, scaled by the scatter of the cells
                   about the surface (undetected sources crowd by chance), propagated through the fit
steps              largest difference between the two sides of an amplifier boundary (128 columns each) of the
                   background, and of the image minus all true light
2017               the same with the last fit done as in the original: no wings, no rejected cells
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import argparse
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from compare_cosmic_rays import reduce

from hscbox.characterize.task import CharacterizeImageConfig, CharacterizeImageTask
from hscbox.detect.background import BackgroundConfig, fit_background
from hscbox.detect.detection import SourceDetectionConfig, SourceDetectionTask
from hscbox.image.background import BackgroundModel, cell_starts
from hscbox.image.bounded_field import ChebyshevField
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.numerics.constants import SIGMA_PER_IQR
from hscbox.simulate.frame import SimulatedFrame, simulate_frame
from hscbox.simulate.psf_model import TruePsf
from hscbox.simulate.render import draw_sources
from hscbox.simulate.scene import Scene

SCENES = {
    "default": Scene(),
    "seed 2": Scene(seed=2),
    "seeing 0.9": Scene(seed=3, seeing=0.9),
    "y band": Scene(seed=4, filter="HSC-Y", seeing=0.7),
    "g band": Scene(seed=5, filter="HSC-G", seeing=0.75),
    "stars x 8": Scene(seed=6, star_density=12.8),
    "ccd 33": Scene(seed=7, ccd=33, seeing=0.7),
}
MEAN_AIM, RMS_AIM = 0.005, 1.3
NOT_BLANK = ("DETECTED", "BAD", "EDGE", "NO_DATA")
LEAST_BLANK = 0.5


class Cells:
    """Means over the cells of the grid of a background."""

    def __init__(self, model: BackgroundModel, blank: np.ndarray) -> None:
        ny, nx = model.stats.shape
        self.x_starts = cell_starts(model.width, nx)[:-1]
        self.y_starts = cell_starts(model.height, ny)[:-1]
        self.n_blank = self._sum(blank)
        self.blank = self.n_blank > LEAST_BLANK * self._sum(np.ones_like(blank))

    def _sum(self, pixels: np.ndarray) -> np.ndarray:
        rows = np.add.reduceat(pixels.astype(np.float64), self.y_starts, axis=0)
        return np.add.reduceat(rows, self.x_starts, axis=1)

    def mean(self, pixels: np.ndarray, good: np.ndarray) -> np.ndarray:
        """Return the means of the good pixels, nan where there are none."""
        n = self._sum(good)
        return np.where(n > 0, self._sum(np.where(good, pixels, 0.0)) / np.maximum(n, 1), np.nan)


def undetected_light(frame: SimulatedFrame, exposure: Exposure) -> np.ndarray:
    """Return the true light of the sources whose centre is on the frame and in no footprint."""
    sources = frame.ideal.sources
    x, y = np.round(sources["x"]).astype(int), np.round(sources["y"]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < exposure.width) & (y < exposure.height)
    detected = np.zeros(len(sources), dtype=bool)
    detected[inside] = exposure.mask[y[inside], x[inside]] & mask_bits("DETECTED") != 0
    return draw_sources(frame.scene, sources[inside & ~detected], TruePsf(frame.scene))


def fitted(model: BackgroundModel, values: np.ndarray) -> np.ndarray:
    """Return the surface at the cells, fitted to other values with the cells and weights of `model`."""
    x, y = (grid.ravel() for grid in np.meshgrid(*model.cell_centres()))
    good = (np.isfinite(model.stats) & np.isfinite(values) & (model.error > 0)).ravel()
    weight = model.error.ravel()[good].astype(np.float64) ** -0.5
    box = (0, 0, model.width - 1, model.height - 1)
    surface = ChebyshevField.fit(
        x[good], y[good], values.ravel()[good], model.approx_order, box, triangular=True, weight=weight
    )
    return surface.evaluate(x, y).reshape(values.shape)


def expected_rms(model: BackgroundModel, draws: int = 200) -> float:
    """Return the rms that the scatter of the cells leaves in the surface."""
    deviation = (model.stats - fitted(model, model.stats.astype(np.float64))) / model.error
    lower, upper = np.nanquantile(deviation, [0.25, 0.75])
    rng = np.random.Generator(np.random.PCG64(1))
    noise = SIGMA_PER_IQR * (upper - lower) * model.error.astype(np.float64)
    return float(np.sqrt(np.mean([fitted(model, rng.normal(size=noise.shape) * noise) ** 2 for _ in range(draws)])))


def amplifier_step(pixels: np.ndarray, good: np.ndarray) -> float:
    """Return the largest difference of the means on both sides of an amplifier boundary."""
    sides = [(np.s_[:, x - 128 : x], np.s_[:, x : x + 128]) for x in (512, 1024, 1536)]
    return max(abs(pixels[b][good[b]].mean() - pixels[a][good[a]].mean()) for a, b in sides)


def measure(name: str, scene: Scene) -> None:
    """Make a frame, reduce it, and print its lines."""
    frame = simulate_frame(scene)
    with tempfile.TemporaryDirectory() as directory:
        flattened = reduce(frame, Path(directory))
    result = CharacterizeImageTask(CharacterizeImageConfig(), "measure").run(exposure=flattened, exposure_id=1)
    exposure = result.exposure.copy()
    before = sum(model.evaluate().astype(np.float64) for model in result.backgrounds)
    ours = SourceDetectionTask(SourceDetectionConfig(), "measure").run(exposure).background
    original = BackgroundConfig()
    original.wingStrength = original.cellRejection = 0.0
    theirs = fit_background(result.exposure.image, exposure.mask, original)
    undetected = undetected_light(frame, exposure)
    sigma = float(np.sqrt(np.median(exposure.variance)))
    blank = exposure.mask & mask_bits(*NOT_BLANK) == 0
    everywhere = np.ones_like(blank)
    true = frame.ideal.objects + frame.ideal.sky
    print(f"{name}: sky {frame.ideal.sky.mean():.0f} ADU, sigma {sigma:.2f} ADU, {100 * blank.mean():.0f} % blank")
    for label, model in (("2017", theirs), ("ours", ours)):
        cells = Cells(model, blank)
        error = before + model.evaluate() - frame.ideal.sky
        levels = cells.mean(error, everywhere)
        over = float(levels[cells.blank].mean())
        unresolved = over - float(undetected[blank].mean())
        scatter = (levels - fitted(model, cells.mean(undetected, blank)))[cells.blank].std()
        expected = expected_rms(model)
        flat = exposure.image + (ours.evaluate() - model.evaluate()) + before + model.evaluate() - true
        print(
            f"  {label}: over-subtraction {over:+.3f} ADU = {100 * over / frame.ideal.sky.mean():+.4f} % = "
            f"{over / sigma:+.4f} sigma; without unresolved {unresolved / sigma:+.4f} sigma (aim {MEAN_AIM}); "
            f"rms {scatter:.3f} = {scatter / expected:.2f} x expected (aim {RMS_AIM}); "
            f"steps {amplifier_step(error, everywhere):.3f}, image {amplifier_step(flat, blank):.3f} ADU"
        )
    restored = exposure.image + ours.evaluate() - result.exposure.image
    print(f"  image + background restores the image to {np.abs(restored).max() / sigma:.1e} sigma")
    sys.stdout.flush()


def main() -> None:
    """Measure the frames that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", nargs="*", help=f"of {', '.join(SCENES)}; default: all")
    logging.disable(logging.CRITICAL)
    for name in parser.parse_args().scene or SCENES:
        measure(name, SCENES[name])


if __name__ == "__main__":
    main()
