"""The whole task: inverse of an independent forward model, log lines, header cards, switches, errors."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from isr_frames import EXPOSURE_ID, N_ROWS, calib, fringed, raw_frame
from scipy.signal import fftconvolve

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.boxes import Box
from hscbox.camera.camera import load_camera
from hscbox.camera.crosstalk import crosstalk_matrix
from hscbox.camera.detector import Detector
from hscbox.camera.vignette import vignette_polygon
from hscbox.camera.visit_info import VisitInfo
from hscbox.errors import DamagedInputError, MissingInputError, SaturatedFrameError
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.config import IsrConfig
from hscbox.isr.header import raw_cards
from hscbox.isr.inputs import IsrInputs
from hscbox.isr.steps import STEPS
from hscbox.isr.task import IsrTask
from hscbox.products.exposure import write_exposure

KERNEL = brighter_fatter_kernel()
SHAPE = (N_ROWS, 2048)


def masters(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return {
        "bias": rng.normal(0.0, 1.0, SHAPE) + 2.0 * (x == 1023),
        "dark": 1e-3 + 1e-5 * y,
        "flat": 0.9 + 1e-4 * (x - 1000.0) + rng.normal(0.0, 0.005, SHAPE),
    }


def scene() -> np.ndarray:
    """Sky and stars in flat-fielded ADU; the brightest raises crosstalk above noise but stays below saturation."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = rng.normal(1900.0, 24.0, SHAPE)
    for peak, x0, y0 in ((40_000.0, 300.3, 60.2), (9_000.0, 1500.0, 40.0), (30_000.0, 900.5, 100.0)):
        image += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 5.0)
    return image


def expose(truth: np.ndarray, detector: Detector, frames: dict[str, np.ndarray], seconds: float) -> np.ndarray:
    """Flat, dark, charge displacement, crosstalk, non-linearity, bias: the detector's side of each correction."""
    image = truth * frames["flat"] + seconds * frames["dark"]
    gain = np.repeat([amp.gain for amp in detector.amplifiers], 512)[None, :]
    electrons = image * gain
    q = fftconvolve(electrons - electrons.mean(), KERNEL, mode="same")
    moved = np.zeros_like(electrons)
    for axis in (0, 1):
        # Charge through the face to the next pixel: the mean of both times the step of the potential.
        through = 0.25 * (electrons + np.roll(electrons, -1, axis)) * (np.roll(q, -1, axis) - q)
        moved += through - np.roll(through, 1, axis)
    moved[:9], moved[-9:], moved[:, :9], moved[:, -9:] = 0.0, 0.0, 0.0, 0.0
    image = (electrons - moved) / gain
    strips = [image[:, 512 * k : 512 * (k + 1)] - np.median(image) for k in range(4)]
    ghosts = np.zeros_like(image)
    for j, source in enumerate(strips):
        for i in range(4):
            ghosts[:, 512 * i : 512 * (i + 1)] += crosstalk_matrix()[j, i] * (
                source[:, ::-1] if (i + j) % 2 else source
            )
    image = image + ghosts
    c0 = np.repeat([amp.linearity_c0 for amp in detector.amplifiers], 512)[None, :]
    image = (np.sqrt(1.0 + 4.0 * c0 * image) - 1.0) / (2.0 * c0)
    return image + frames["bias"]


def arguments(detector: Detector, visit_info: VisitInfo, observed: np.ndarray) -> IsrInputs:
    raw = raw_frame(detector, observed)
    names = {"bias": "BIAS-2015-10-10-055.fits", "dark": "DARK.fits", "flat": "FLAT.fits"}
    calibs = {kind: calib(image, names[kind]) for kind, image in masters().items()}
    return IsrInputs(raw, load_camera()[55], visit_info, "r", EXPOSURE_ID, calibs, KERNEL)


@pytest.fixture
def inputs(detector: Detector, visit_info: VisitInfo) -> dict[str, object]:
    return arguments(detector, visit_info, expose(scene(), detector, masters(), 300.0))


def test_all_effects_are_undone(inputs: IsrInputs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    config = IsrConfig()
    config.brighterFatterThreshold = 1.0
    result = IsrTask(config, "processCcd.isr").run(inputs)
    truth = scene()
    error = result.exposure.image - truth
    plain = inputs.raw.pixels[49 : 49 + N_ROWS]
    assert np.max(np.abs(plain[:, 8:520] - 1000 - truth[:, :512])) > 1000
    # float32 of 40000 ADU is good to 0.002 ADU; second order of the crosstalk is 0.001.
    assert np.sqrt(np.mean(error**2)) < 0.005
    assert np.max(np.abs(error[12:-12, 12:-12])) < 0.15
    lines = [f"{r.name}: {r.getMessage()}" for r in caplog.records if r.name.startswith("processCcd")]
    assert lines[:2] == [
        "processCcd.isr.crosstalk: Applying crosstalk correction",
        "processCcd.isr: Applying brighter fatter correction",
    ]
    assert lines[2].startswith("processCcd.isr: Finished brighter fatter in ")
    starts = ("Set 0 BAD pixels to 190", "Flattened sky level: 190", "Measuring sky levels in 8x1 grids: 190")
    for line, start in zip(lines[3:], (*starts, "Sky flatness in 8x1 grids - pp: 0.0"), strict=False):
        assert line.startswith(f"processCcd.isr: {start}")
    assert lines[7] == "processCcd.isr: Setting rough magnitude zero point: 35.192803"
    assert len(lines) == 8


def test_variance_and_components(inputs: IsrInputs, detector: Detector) -> None:
    result = IsrTask().run(inputs)
    exposure, flat = result.exposure, masters()["flat"]
    amp = detector.amplifiers[1]
    area = amp.trimmed.slices
    # Photons were counted before the flat; the levels of the sky differ from the image there by 1 per cent at most.
    expected = (exposure.image[area] * flat[area] / amp.gain + amp.read_noise**2) / flat[area] ** 2
    assert np.median(np.abs(exposure.variance[area] / expected - 1.0)) < 0.01
    assert exposure.detector.height == N_ROWS and exposure.filter_name == "r" and exposure.wcs is not None
    assert exposure.photo_calib.zero_point == pytest.approx(29.0 + 2.5 * np.log10(300.0))
    assert exposure.valid_polygon[:, 1].max() == pytest.approx(N_ROWS - 0.5)
    assert set(result.thumbnails) == {"ossThumb", "flattenedThumb"}
    for thumbnail in result.thumbnails.values():
        assert thumbnail.shape == (N_ROWS // 4, 512) and thumbnail.dtype == np.uint8 and thumbnail.max() > 200
    assert not exposure.mask.any()


def test_header_of_the_product(inputs: IsrInputs) -> None:
    raw = inputs.raw
    raw.header = {
        "SIMPLE": True, "NAXIS1": 2144, "BZERO": 32768.0, "OBJECT": "SXDS", "EXPTIME": 300.0, "CD1_1": 1e-5,
        "CTYPE1": "RA---TAN", "PC001001": 1.0, "INST-PA": 0.0, "T_GAIN1": 3.2, "GAIN": 0.0, "EMPTY": None,
        "EXP-ID": "HSCA04098400", "COMMENT": ["a", "b"], "MJD-STR": 57305.3, "MJD": 57305.3,
    }  # fmt: skip
    inputs = dataclasses.replace(inputs, defects=[Box(700, 0, 3, 128), Box(5, 5, 1, 1)])
    metadata = IsrTask().run(inputs).exposure.metadata
    assert [key for key in metadata if key in raw.header] == ["OBJECT", "T_GAIN1", "EXP-ID", "COMMENT", "MJD"]
    assert [metadata[f"OSLEVEL{k}"] for k in range(4)] == [1000.0] * 4
    assert [metadata[f"OSSIGMA{k}"] for k in range(4)] == [0.0] * 4
    assert metadata["FLATNESS_NGRIDS"] == "8x1" and metadata["FLATNESS_MESHX"] == metadata["FLATNESS_MESHY"] == 256
    assert metadata["SKYLEVEL"] == pytest.approx(1900.0, abs=2.0)
    assert metadata["SKYSIGMA"] == pytest.approx(24.0, abs=0.5)
    assert metadata["BIASNAM"] == "BIAS-2015-10-10-055.fits" and metadata["FLATSHA"] == "ab" * 32
    assert metadata["BFKSHA"] == hashlib.sha256(KERNEL.astype("<f8").tobytes()).hexdigest()
    steps = {key[4:]: value for key, value in metadata.items() if key.startswith("ISR_")}
    assert steps.pop("FRNG") is False and all(steps.values())
    assert {*steps, "FRNG"} == {step.card[0] for step in STEPS} - {""}
    amps = load_camera()[55].amplifiers
    used = {
        "XTLK": crosstalk_matrix(),
        "LIN": [amp.linearity_c0 for amp in amps],
        "VAR": [(amp.gain, amp.read_noise) for amp in amps],
        "SAT": [(amp.saturation, amp.suspect) for amp in amps],
        "DEF": [(700, 0, 3, 128), (5, 5, 1, 1)],
        "POLY": vignette_polygon(),
    }
    for kind, numbers in used.items():
        assert metadata[f"{kind}SHA"] == hashlib.sha256(np.array(numbers, "<f8").tobytes()).hexdigest()
    tables = {metadata[f"{kind}NAM"] for kind in used}
    assert tables == {"amplifiers.ecsv", "crosstalk.ecsv", "defects.ecsv", "vignette.ecsv"}
    own = [key for key in metadata if not key.startswith("FLATNESS")]
    assert max(map(len, own)) <= 8


def test_records_of_all_corrections_reach_the_file(inputs: IsrInputs, tmp_path: Path) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inputs = dataclasses.replace(
        inputs,
        filter_name="y",
        masters={**inputs.masters, "fringe": calib(0.01 * np.sin(2 * np.pi * (x + 0.3 * y) / 40.0), "FRINGE.fits")},
    )
    exposure = IsrTask().run(inputs).exposure
    write_exposure(tmp_path / "a.fits", exposure)
    with fits.open(tmp_path / "a.fits") as hdus:
        header = hdus[0].header
    for kind in ("BIAS", "DARK", "FLAT", "FRNG", "BFK", "XTLK", "LIN", "VAR", "SAT", "DEF", "POLY"):
        assert header[f"{kind}NAM"] == exposure.metadata[f"{kind}NAM"] != "unnamed"
        assert re.fullmatch("[0-9a-f]{64}", header[f"{kind}SHA"])


def test_nothing_is_recorded_of_what_was_not_done(inputs: IsrInputs) -> None:
    config = IsrConfig()
    for name in config:
        if name.startswith("do"):
            setattr(config, name, False)
    metadata = IsrTask(config).run(inputs).exposure.metadata
    assert not [key for key in metadata if key.endswith(("NAM", "SHA"))]


def test_raw_cards_keep_order_and_drop_what_is_consumed() -> None:
    header = {"DATASEC": "x", "B": 1, "CRPIX2": 1.0, "A": "t", "": "blank", "RADESYS": "FK5", "AIRMASS": 1.1}
    assert list(raw_cards(header).items()) == [("B", 1), ("A", "t")]


def test_hostile_raw_cards_make_a_product_that_astropy_reads(tmp_path: Path) -> None:
    long = "k" * 41
    hostile: dict[str, object] = {
        "HIERARCH": 1,
        "CONTINUE": "x",
        "CAF\xc9": 1,
        "A=B": 1,
        "A...": 1,
        "TAB\tKEY": 1,
        long: "x" * 70,
        long + "n": 1.5,
        "BIG": 10**69,
        "naxis1": 5,
        "NAMES": ["a\x1b", None, 3],
    }
    kept: dict[str, object] = {"ESO " + "k" * 36: "it's " * 30, "q" * 40: -1.2345678901234567e-300, "T": "a\x1b[2J\xe9"}
    cards = raw_cards({**hostile, **kept})
    assert set(cards) == {"NAMES", *kept}
    assert cards["T"] == "a?[2J?" and cards["NAMES"] == ["a?", 3]
    pixels = np.zeros((4, 4), np.float32)
    write_exposure(tmp_path / "a.fits", Exposure(pixels, pixels.astype(np.int32), pixels, metadata=cards))
    assert len((tmp_path / "a.fits").read_bytes()) % 2880 == 0
    with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
        hdus.verify("exception")
        assert hdus[0].header["q" * 40] == kept["q" * 40]
        assert hdus[0].header["ESO " + "k" * 36] == ("it's " * 30).rstrip()


def test_same_input_gives_the_same_bytes_and_is_not_changed(inputs: IsrInputs) -> None:
    before = inputs.raw.pixels.copy()
    first, second = (IsrTask().run(inputs).exposure for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes() and first.variance.tobytes() == second.variance.tobytes()
    assert np.array_equal(inputs.raw.pixels, before)
    assert first.metadata == second.metadata


def test_masters_of_a_full_frame_serve_a_cut_out(inputs: IsrInputs) -> None:
    expected = IsrTask().run(inputs).exposure.image
    for kind in ("bias", "dark", "flat"):
        master = inputs.masters[kind].image
        inputs.masters[kind] = calib(np.vstack([master, np.full((9, 2048), 77.0)]))
    assert np.array_equal(IsrTask().run(inputs).exposure.image, expected)
    inputs.masters["flat"] = calib(masters()["flat"][:-1])
    with pytest.raises(DamagedInputError, match="at least 128 rows"):
        IsrTask().run(inputs)


@pytest.mark.parametrize("kind", ["bias", "dark", "flat", "bf_kernel"])
def test_missing_calibration_is_an_error_unless_switched_off(inputs: IsrInputs, kind: str) -> None:
    if kind == "bf_kernel":
        inputs = dataclasses.replace(inputs, bf_kernel=None)
    else:
        del inputs.masters[kind]
    with pytest.raises(MissingInputError, match="Unable to retrieve"):
        IsrTask().run(inputs)
    config = IsrConfig()
    setattr(config, "doBrighterFatter" if kind == "bf_kernel" else f"do{kind.capitalize()}", False)
    steps = {"bias": "BIAS", "dark": "DARK", "flat": "FLAT", "bf_kernel": "BF"}
    assert IsrTask(config).run(inputs).exposure.metadata[f"ISR_{steps[kind]}"] is False


def test_fringes_only_in_fringed_filters(inputs: IsrInputs, caplog: pytest.LogCaptureFixture) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    fringe = 0.01 * np.sin(2 * np.pi * (x + 0.3 * y) / 40.0)
    observed = expose(scene() + 2500.0 * fringe, load_camera()[55].for_rows(N_ROWS), masters(), 300.0)
    inputs = dataclasses.replace(inputs, raw=raw_frame(load_camera()[55].for_rows(N_ROWS), observed))
    inputs = fringed(inputs, fringe)
    caplog.set_level(logging.INFO)
    exposure = IsrTask(name="isr").run(inputs).exposure
    assert exposure.metadata["FRSCALE"] == pytest.approx(2500.0, rel=0.02)
    assert exposure.metadata["FRNGNAM"] == "FRINGE.fits" and exposure.metadata["ISR_FRNG"] is True
    assert any(record.name == "isr.fringe" for record in caplog.records)
    assert np.std((exposure.image - scene())[12:-12, 12:-12]) < 0.4
    del inputs.masters["fringe"]
    with pytest.raises(MissingInputError, match="fringe"):
        IsrTask().run(inputs)


def test_defects_saturation_and_vignetting_in_the_mask(inputs: IsrInputs) -> None:
    raw, amp = inputs.raw, load_camera()[55].amplifiers[2]
    row, column = amp.data.y0 + 30, amp.data.x0 + 100
    raw.pixels[row, column : column + 10] = 60000.0
    flat_mask = np.zeros(SHAPE, np.int32)
    flat_mask[:, 2000:] = mask_bits("NO_DATA")
    inputs.masters["flat"] = calib(masters()["flat"], mask=flat_mask)
    inputs = dataclasses.replace(inputs, defects=[Box(700, 0, 3, N_ROWS)])
    result = IsrTask().run(inputs)
    mask = result.exposure.mask
    sat = np.flatnonzero(mask[30] & mask_bits("SAT"))
    assert sat.tolist() == list(range(1024 + 100 - 4, 1024 + 110 + 4))
    grown = np.flatnonzero(mask[30] & mask_bits("INTRP"))
    assert grown.tolist() == [700, 701, 702, *range(sat[0] - 1, sat[-1] + 2)]
    assert np.all(mask[:, 700:703] == (mask_bits("BAD", "INTRP")))
    assert np.all(mask[:, 2000:] & mask_bits("NO_DATA"))
    # The ghosts of the ten bright pixels fall on the three other amplifiers.
    assert np.count_nonzero(mask & mask_bits("CROSSTALK")) == 30
    assert result.exposure.image[30, 1130] < 3000


def test_over_exposed_frame_is_refused(inputs: IsrInputs, detector: Detector) -> None:
    inputs = dataclasses.replace(inputs, raw=raw_frame(detector, np.full(SHAPE, 63000.0)))
    with pytest.raises(SaturatedFrameError):
        IsrTask().run(inputs)


def test_switching_everything_off_only_assembles(detector: Detector, visit_info: VisitInfo) -> None:
    config = IsrConfig()
    for name in config:
        if name.startswith("do") and name != "doOverscan":
            setattr(config, name, False)
    config.qa.doThumbnailOss = config.qa.doThumbnailFlattened = False
    image = scene().astype(np.float32)
    raw = raw_frame(detector, image)
    zero = dataclasses.replace(visit_info, exposure_time=0.0)
    result = IsrTask(config).run(IsrInputs(raw, load_camera()[55], zero, "r"))
    assert np.max(np.abs(result.exposure.image - image)) < 0.01
    assert np.all(result.exposure.variance == 1.0)
    assert not result.thumbnails and result.exposure.photo_calib is None
    assert result.exposure.valid_polygon is None


def test_starting_wcs_falls_back_on_the_mirrored_header(inputs: IsrInputs, visit_info: VisitInfo) -> None:
    header = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 34.5, "CRVAL2": -5.0, "CRPIX1": 11.0, "CRPIX2": 21.0,
        "CD1_1": 0.0, "CD1_2": 4.7e-5, "CD2_1": -4.7e-5, "CD2_2": 0.0,
    }  # fmt: skip
    inputs.raw.header = header
    inputs = dataclasses.replace(inputs, visit_info=dataclasses.replace(visit_info, inst_pa=float("nan")))
    wcs = IsrTask().run(inputs).exposure.wcs
    # A pixel 100 columns right of the reference in the file is 100 columns left of it after mirroring.
    ra, dec = wcs.pixel_to_sky(2047 - 10 - 100, 20)
    assert float(ra) == pytest.approx(34.5, abs=1e-6)
    assert float(dec) == pytest.approx(-5.0 - 100 * 4.7e-5 * 0.992, abs=1e-6)
