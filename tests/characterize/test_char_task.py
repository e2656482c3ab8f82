from __future__ import annotations

import logging
import re

import numpy as np
import pytest

from hscbox.characterize.task import CharacterizeImageConfig, CharacterizeImageTask
from hscbox.errors import NoPsfStarsError, NoSourcesError
from hscbox.image.exposure import Exposure
from hscbox.image.psf import PsfexPsf

from .stars import draw

SHAPE = (700, 800)


@pytest.fixture(scope="module")
def field() -> tuple[Exposure, np.ndarray]:
    """Return an exposure of 48 stars on a sky of 1000 ADU, and their x, y, flux."""
    rng = np.random.default_rng(11)
    image = np.full(SHAPE, 1000.0)
    grid = np.stack(np.meshgrid(np.arange(60, 760, 90.0), np.arange(60, 680, 115.0)), axis=-1).reshape(-1, 2)
    truth = np.column_stack([grid + rng.uniform(-6, 6, grid.shape), 2e4 * 10 ** rng.random(len(grid))])
    for x, y, flux in truth:
        ix, iy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        image[iy - 40 : iy + 41, ix - 40 : ix + 41] += flux * draw(x, y, size=81)
    variance = image / 3.4
    noisy = image + rng.normal(size=SHAPE) * np.sqrt(variance)
    exposure = Exposure(noisy.astype(np.float32), np.zeros(SHAPE, np.int32), variance.astype(np.float32))
    return exposure, truth


@pytest.fixture(scope="module")
def characterised(field):
    task = CharacterizeImageTask(CharacterizeImageConfig(), "processCcd.charImage")
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("processCcd.charImage")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        result = task.run(exposure=field[0], exposure_id=77)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return result, [f"{r.name} {r.levelname}: {r.getMessage()}" for r in records]


def test_result_of_a_star_field(field, characterised):
    exposure, truth = field
    result, _ = characterised
    assert exposure.psf is None and exposure.image.mean() > 900  # the input is untouched
    assert isinstance(result.exposure.psf, PsfexPsf)
    assert len(result.backgrounds) == 3
    total = sum(b.evaluate().astype(float) for b in result.backgrounds)
    # Each of three float32 subtractions rounds by half a unit in the last place, 4.9e-4 ADU at 8192 to 16384 ADU.
    np.testing.assert_allclose(result.exposure.image.astype(float) + total, exposure.image, rtol=0, atol=1.5e-3)
    assert result.numbers.n_detected[-1] == len(truth)
    assert result.numbers.n_candidates[-1] + result.numbers.n_reserved[-1] <= len(truth)
    assert result.numbers.n_reserved[-1] == int(0.2 * (result.numbers.n_candidates[-1] + result.numbers.n_reserved[-1]))
    assert result.numbers.median_background[-1] == pytest.approx(1000.0, abs=2.0)
    assert len(result.numbers.n_cosmic_rays) == 3


def test_corrected_fluxes_agree_with_the_truth(field, characterised):
    _, truth = field
    catalog = characterised[0].catalog
    x, y = catalog["slot_Centroid_x"], catalog["slot_Centroid_y"]
    distance = np.hypot(x[:, None] - truth[:, 0], y[:, None] - truth[:, 1])
    order = distance.argmin(axis=1)
    assert distance.min(axis=1).max() < 0.05
    fluxes = ("base_PsfFlux", "base_GaussianFlux", "ext_photometryKron_KronFlux", "ext_convolved_ConvolvedFlux_2_6_0")
    for name in fluxes:
        assert not catalog[f"{name}_flag"].any()
        ratio = catalog[f"{name}_flux"] / truth[order, 2]
        assert np.median(ratio) == pytest.approx(np.median(catalog["slot_CalibFlux_flux"] / truth[order, 2]), rel=5e-3)
        assert np.std(ratio) < 0.02
    assert np.all(catalog["base_ClassificationExtendedness_value"] == 0)
    assert np.all(catalog["id"] >> 32 == 77)
    flags = [catalog[f"calib_psf{kind}"] for kind in ("Candidate", "Used", "Reserved")]
    assert not (flags[0] & flags[2]).any() and not (flags[1] & ~flags[0]).any()


def test_log_has_the_shape_of_the_original(characterised):
    patterns = [
        r"charImage INFO: Source catalog detected and measured with placeholder or default PSF",
        r"charImage.repair INFO: Identified \d+ cosmic rays.",
        r"charImage.detection INFO: Detected \d+ positive sources to 50 sigma.",
        r"charImage.detection INFO: Resubtracting the background after object detection",
        r"charImage.measurement INFO: Measuring \d+ sources \(\d+ parents, 0 children\) ",
        r"charImage.measurePsf INFO: Measuring PSF",
        r"charImage.measurePsf INFO: PSF star selector found \d+ candidates",
        r"charImage.measurePsf INFO: Reserved \d+ candidates from the fitting",
        r"charImage.measurePsf INFO: PSF determination using \d+/\d+ stars.",
        r"charImage INFO: iter 1; PSF sigma=1.\d\d, dimensions=\(41, 41\); median background=\d+.\d\d",
    ]
    wanted = patterns + patterns[:-1] + [patterns[-1].replace("iter 1", "iter 2"), patterns[1], patterns[4]]
    wanted += [r"charImage.measureApCorr INFO: Measuring aperture corrections for 23 flux fields"]
    # CModel, four of the fields, is not measured.
    wanted += [r"charImage.measureApCorr INFO: Aperture correction for \w+: RMS \d.\d{6} from \d+"] * 19
    wanted += [r"charImage.applyApCorr INFO: Applying aperture corrections to 23 flux fields"]
    lines = [line for line in characterised[1] if "Too few cells" not in line]
    assert len(lines) == len(wanted)
    for line, pattern in zip(lines, wanted, strict=True):
        assert re.fullmatch(f"processCcd.{pattern}", line), line


def test_columns_of_the_catalogue(characterised):
    names = characterised[0].catalog.schema.names()
    assert names[4:8] == ["calib_psfCandidate", "calib_psfUsed", "calib_psfReserved", "base_SdssCentroid_x"]
    used = names.index("apcorr_slot_CalibFlux_used")
    assert names[used + 1 : used + 4] == [
        "apcorr_base_GaussianFlux_used",
        "apcorr_base_PsfFlux_used",
        "apcorr_ext_convolved_ConvolvedFlux_0_3_3_used",
    ]
    assert names[used + 24] == "base_GaussianFlux_apCorr"
    assert names[-3:] == [
        "base_ClassificationExtendedness_value",
        "base_ClassificationExtendedness_flag",
        "base_FootprintArea_value",
    ]


def test_same_input_gives_the_same_bytes(field, characterised):
    again = CharacterizeImageTask(CharacterizeImageConfig(), "processCcd.charImage").run(
        exposure=field[0], exposure_id=77
    )
    first = characterised[0]
    assert again.exposure.image.tobytes() == first.exposure.image.tobytes()
    for name in first.catalog.schema.names():
        assert again.catalog[name].tobytes() == first.catalog[name].tobytes()


def test_frames_without_sources_fail_by_name():
    rng = np.random.default_rng(1)
    empty = Exposure(
        rng.normal(1000, 10, SHAPE).astype(np.float32), np.zeros(SHAPE, np.int32), np.full(SHAPE, 100, np.float32)
    )
    task = CharacterizeImageTask(CharacterizeImageConfig(), "processCcd.charImage")
    with pytest.raises(NoSourcesError, match="No bright source"):
        task.run(exposure=empty, exposure_id=1)
    empty.image[300:310, 300:310] += 300.0
    with pytest.raises(NoPsfStarsError):
        task.run(exposure=empty, exposure_id=1)
