"""Hard inputs from raw to catalogue: the run ends well with believable numbers, or with a named error.

Every case is the same field of stars, 512 rows of CCD 55, with one thing spoilt: pixels of the raw frame, a master, or
the sky itself. What comes out is held against the generator's sources.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from astropy.io import fits
from fixtures.strict_fits import open_checked
from scipy.ndimage import binary_dilation
from survey import survey_truth

from hscbox.camera.boxes import Box
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.products.catalog import read_catalog
from hscbox.products.exposure import read_exposure
from hscbox.runs.arguments import ProcessCcdArguments
from hscbox.runs.run import run_process_ccd
from hscbox.simulate import frame as frames
from hscbox.simulate.dataset import raw_path, write_dataset, write_raw
from hscbox.simulate.scene import Scene
from hscbox.simulate.sources import SOURCE_DTYPE, scene_sources
from hscbox.truth.quality_fluxes import flux_residuals
from hscbox.truth.quality_positions import position_residuals
from hscbox.truth.scores import table_numbers
from hscbox.truth.selection import bright_stars

pytestmark = pytest.mark.slow

SCENE = Scene(rows=512, star_density=12.8, galaxy_density=0.0, faint_limit=26.0)
# Core-seconds: about ten are usual, a first run compiles as well.
LONGEST = 120.0
AMPLIFIER = 2
UNKNOWN = ("NO_DATA", "BAD", "UNMASKEDNAN")


@dataclass(frozen=True)
class Outcome:
    """Exit status, what was printed, and the directory of the products."""

    status: int
    text: str
    output: Path

    @property
    def exposure(self) -> Exposure:
        return read_exposure(next(self.output.glob("*/*/corr/CORR-*.fits")))

    @property
    def sources(self) -> SourceCatalog:
        return read_catalog(next(self.output.glob("*/*/output/SRC-*.fits")))


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data set of the unspoilt field."""
    root = tmp_path_factory.mktemp("field")
    write_dataset(root, [SCENE], truth_images=False)
    return root


@pytest.fixture
def process(field, tmp_path, capfd) -> Callable[[], Outcome]:
    """Return a function that processes the data set copied to tmp_path/sim, as spoilt by then."""
    from played import run

    shutil.copytree(field, tmp_path / "sim")

    def call() -> Outcome:
        sim, repository = tmp_path / "sim", tmp_path / "in"
        run("hscbox", "mount", repository, "--calib", sim / "CALIB", "--ref-cats", sim / "ref_cats")
        run("hscbox", "ingest-images", repository, sim / "raw")
        capfd.readouterr()
        started = time.process_time()
        ids = [[f"visit={SCENE.visit}", f"ccd={SCENE.ccd}"]]
        status = run_process_ccd(ProcessCcdArguments(str(repository), str(tmp_path / "out"), ids=ids))
        assert time.process_time() - started < LONGEST
        printed = capfd.readouterr()
        text = printed.out + printed.err
        assert "Traceback" not in text, text
        for path in (tmp_path / "out").rglob("*.fits"):
            with open_checked(path) as hdus:
                assert len(hdus) >= 1
        return Outcome(status, text, tmp_path / "out")

    return call


def edit_raw(sim: Path, change: Callable[[np.ndarray], None]) -> None:
    """Change the raw's pixels; `change` gets them in the detector frame, unsigned."""
    path = raw_path(sim, SCENE)
    with fits.open(path) as hdus:
        header, pixels = hdus[0].header.copy(), hdus[0].data.copy()
    assert SCENE.detector.mirror == "LR"
    change(pixels[:, ::-1])
    fits.PrimaryHDU(pixels, header).writeto(path, overwrite=True, checksum=True)


def edit_master(sim: Path, kind: str, change: Callable[[np.ndarray, np.ndarray | None], None]) -> None:
    """Change a master's image, and its mask if it has one."""
    path = next((sim / "CALIB" / kind).glob("*/*/*.fits"))
    with fits.open(path, memmap=False) as hdus:
        units = fits.HDUList([hdu.copy() for hdu in hdus])
    planes = [hdu for hdu in units if hdu.data is not None and hdu.data.ndim == 2]
    change(planes[0].data, planes[1].data if len(planes) > 1 else None)
    units.writeto(path, overwrite=True, checksum=True)


def add_source(sim: Path, **values: float) -> None:
    """Make the raw again with one more object on the sky, which the reference catalogue does not list."""
    extra = np.zeros(1, dtype=SOURCE_DTYPE)
    for name, value in {"id": 1, "sersic": 1.0, "brighter_distance": np.inf, **values}.items():
        extra[name] = value
    extra["flux_adu"] = 10 ** (0.4 * (SCENE.true_zero_point - extra["magnitude"]))
    with mock.patch.object(frames, "scene_sources", lambda scene: np.concatenate([extra, scene_sources(scene)])):
        write_raw(raw_path(sim, SCENE), frames.simulate_frame(SCENE))


def assert_believable(outcome: Outcome, *, least_stars: int = 5, away_from: Sequence[Box] = ()) -> None:
    """Assert finite pixels where data are claimed, the true sky, and true positions and magnitudes of the stars."""
    assert outcome.status == 0, outcome.text
    exposure, sources = outcome.exposure, outcome.sources
    assert np.isfinite(exposure.image).all()
    good = exposure.mask & mask_bits("BAD", "NO_DATA", "SAT", "EDGE") == 0
    assert np.isfinite(exposure.variance[good]).all()
    # Beside a bleed trail the generator's brighter-fatter effect takes more charge than there is, now and then.
    saturated = binary_dilation(exposure.mask & mask_bits("SAT") != 0, iterations=3)
    assert (exposure.variance[good & ~saturated] > 0).all()
    sky = float(exposure.metadata["SKYLEVEL"])
    assert sky == pytest.approx(SCENE.true_sky_level, rel=0.02)
    truth = survey_truth(SCENE)
    near = np.zeros(len(truth.x), dtype=bool)
    for box in away_from:
        near |= (truth.x >= box.x0) & (truth.x <= box.x1) & (truth.y >= box.y0) & (truth.y <= box.y1)
    truth = replace(truth, is_star=truth.is_star & ~near)
    stars = bright_stars(truth, sources, exposure)
    positions = table_numbers("positions", position_residuals(truth, sources, exposure, stars))
    error = table_numbers("bright_stars", flux_residuals(truth, sources, exposure, stars))["psf_zero_point_error"]
    assert error.n >= least_stars
    assert abs(error.value) < 10.0 + 2.0 * error.error, error
    assert positions["astrometry_rms_ra"].value < 30.0 and positions["astrometry_rms_dec"].value < 30.0


def inside(sources: SourceCatalog, box: Box) -> int:
    """Return how many sources have their centre in the box."""
    x, y = sources["slot_Centroid_x"], sources["slot_Centroid_y"]
    return int(np.count_nonzero((x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)))


def masked(exposure: Exposure, box: Box, *planes: str) -> float:
    """Return which part of the box has one of the planes."""
    return float((exposure.mask[box.slices] & mask_bits(*planes) != 0).mean())


def test_dead_amplifier(process, tmp_path):
    amplifier = SCENE.detector.amplifiers[AMPLIFIER]

    def kill(pixels: np.ndarray) -> None:
        dark = pixels[amplifier.serial_overscan.slices]
        values = np.random.Generator(np.random.PCG64(1)).choice(dark.ravel(), pixels[amplifier.data.slices].shape)
        pixels[amplifier.data.slices] = values

    edit_raw(tmp_path / "sim", kill)
    outcome = process()
    assert_believable(outcome)
    assert masked(outcome.exposure, amplifier.trimmed, "BAD", "NO_DATA") == 1.0
    assert inside(outcome.sources, amplifier.trimmed) == 0


def test_saturated_amplifier(process, tmp_path):
    amplifier = SCENE.detector.amplifiers[AMPLIFIER]
    edit_raw(tmp_path / "sim", lambda pixels: pixels[amplifier.data.slices].fill(65535))
    outcome = process()
    assert_believable(outcome)
    assert masked(outcome.exposure, amplifier.trimmed, "SAT") == 1.0


def test_half_of_the_flat_is_no_data(process, tmp_path):
    half = Box(0, 256, 2048, 256)

    def lose(_: np.ndarray, mask: np.ndarray | None) -> None:
        assert mask is not None
        mask[half.slices] |= mask_bits("NO_DATA")

    edit_master(tmp_path / "sim", "FLAT", lose)
    outcome = process()
    assert_believable(outcome)
    assert masked(outcome.exposure, half, "NO_DATA") == 1.0
    assert inside(outcome.sources, Box(0, half.y0 + 2, 2048, half.height)) == 0


def test_half_of_the_flat_is_nan(process, tmp_path):
    half = Box(0, 256, 2048, 256)
    edit_master(tmp_path / "sim", "FLAT", lambda image, _: image[half.slices].fill(np.nan))
    outcome = process()
    # The PSF stars of the other half are too few beside a half that is interpolated all over.
    assert outcome.status == 20 and "psf-fit" in outcome.text, outcome.text
    assert "524288 unmasked NaNs" in outcome.text
    assert not list(outcome.output.glob("*/*/output/SRC*"))


def test_flat_with_zeros(process, tmp_path):
    hole = Box(1100, 200, 100, 80)
    edit_master(tmp_path / "sim", "FLAT", lambda image, _: image[hole.slices].fill(0.0))
    outcome = process()
    assert_believable(outcome)
    assert masked(outcome.exposure, hole, *UNKNOWN) == 1.0
    assert inside(outcome.sources, hole) == 0


def test_bias_with_nan(process, tmp_path):
    hole = Box(300, 100, 60, 60)
    edit_master(tmp_path / "sim", "BIAS", lambda image, _: image[hole.slices].fill(np.nan))
    outcome = process()
    assert_believable(outcome)
    assert masked(outcome.exposure, hole, *UNKNOWN) == 1.0
    assert inside(outcome.sources, hole) == 0


def test_star_of_tenth_magnitude(process, tmp_path):
    add_source(tmp_path / "sim", x=900.3, y=250.7, magnitude=10.0, is_star=True)
    outcome = process()
    # The stamp of the generator ends at 255 pixels: nothing beyond is touched but the columns it bleeds along.
    assert_believable(outcome, away_from=[Box(600, 0, 600, 512)])
    assert masked(outcome.exposure, Box(899, 240, 3, 21), "SAT") == 1.0


def test_empty_field(process, tmp_path):
    empty = replace(SCENE, star_density=0.0)
    write_raw(raw_path(tmp_path / "sim", SCENE), frames.simulate_frame(empty))
    outcome = process()
    assert outcome.status == 20, outcome.text
    assert "no-psf-stars" in outcome.text or "no-sources" in outcome.text
    # What was valid by then is there, and nothing that was not.
    assert next(outcome.output.glob("*/*/processCcd_metadata/*.boost")).stat().st_size > 0
    assert len(list(outcome.output.glob("*/*/thumbs/*.png"))) == 2
    assert not list(outcome.output.glob("*/*/output/SRC*"))


def test_galaxy_over_a_third_of_the_field(process, tmp_path):
    # An exponential disk, half its light within 20 arcsec; above the noise of the sky out to some 300 pixels.
    add_source(tmp_path / "sim", x=1500.0, y=256.0, magnitude=13.0, radius=20.0)
    outcome = process()
    assert_believable(outcome, away_from=[Box(1150, 0, 700, 512)])
    exposure = outcome.exposure
    assert masked(exposure, Box(1450, 200, 100, 112), "DETECTED") == 1.0
