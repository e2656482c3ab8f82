"""Broken amplifiers, masters and borders: finite products with the right masks, or the error that names the trouble."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import shapely
from isr_frames import EXPOSURE_ID, N_ROWS, calib, fringed, raw_frame

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.boxes import Box
from hscbox.camera.camera import load_camera
from hscbox.camera.crosstalk import crosstalk_matrix
from hscbox.camera.detector import Detector
from hscbox.camera.vignette import vignette_polygon
from hscbox.camera.visit_info import VisitInfo
from hscbox.errors import SaturatedFrameError
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.isr.inputs import IsrInputs
from hscbox.isr.task import IsrResult, IsrTask
from hscbox.isr.valid_polygon import valid_polygon
from hscbox.simulate.illumination import unlit

SHAPE = (N_ROWS, 2048)
SKY, NOISE = 1900.0, 24.0


@pytest.fixture
def inputs(detector: Detector, visit_info: VisitInfo) -> IsrInputs:
    """A frame of sky with noise, and masters without structure."""
    raw = raw_frame(detector, np.random.default_rng(3).normal(SKY, NOISE, SHAPE))
    calibs = {"bias": calib(np.zeros(SHAPE)), "dark": calib(np.zeros(SHAPE)), "flat": calib(np.ones(SHAPE))}
    return IsrInputs(raw, load_camera()[55], visit_info, "r", EXPOSURE_ID, calibs, brighter_fatter_kernel())


def run(inputs: IsrInputs) -> IsrResult:
    """Reduce and check what must hold of every product."""
    result = IsrTask(name="isr").run(inputs)
    exposure = result.exposure
    assert np.isfinite(exposure.image).all() and np.isfinite(exposure.variance).all()
    assert (exposure.variance > 0).all()
    assert exposure.metadata["SKYLEVEL"] == pytest.approx(SKY, abs=3.0)
    assert exposure.metadata["SKYSIGMA"] == pytest.approx(NOISE, rel=0.02)
    return result


def has(exposure: Exposure, plane: str) -> np.ndarray:
    return (exposure.mask & mask_bits(plane)) != 0


@pytest.mark.parametrize("content", ["zero", "noise"])
@pytest.mark.parametrize("index", [0, 2])
def test_dead_amplifier_that_no_list_names(
    inputs: IsrInputs, detector: Detector, content: str, index: int, caplog: pytest.LogCaptureFixture
) -> None:
    amp = detector.amplifiers[index]
    pixels = inputs.raw.pixels
    rng = np.random.default_rng(4)
    noise = rng.normal(1000.0, 1.5, pixels[amp.raw.slices].shape)
    pixels[amp.raw.slices] = 0.0 if content == "zero" else np.round(noise)
    result = run(inputs)
    bad = has(result.exposure, "BAD")
    assert bad[amp.trimmed.slices].all() and np.count_nonzero(bad) == bad[amp.trimmed.slices].size
    assert result.exposure.image[amp.trimmed.slices].mean() == pytest.approx(SKY, abs=3.0)
    assert f"Amplifier {index} sees no sky although others do; setting it to BAD" in caplog.messages


def test_dead_amplifier_of_the_list_is_filled_and_not_interpolated(inputs: IsrInputs) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    fringe = 0.02 * np.sin(2 * np.pi * (x + 0.3 * y) / 40.0)
    observed = np.random.default_rng(3).normal(SKY * (1.0 + fringe), NOISE)
    observed[:, 512:1024] = 0.0
    inputs = dataclasses.replace(inputs, raw=raw_frame(load_camera()[55].for_rows(N_ROWS), observed))
    inputs = fringed(inputs, fringe)
    inputs = dataclasses.replace(inputs, defects=[Box(512, 0, 512, N_ROWS)])
    exposure = run(inputs).exposure
    dead = (slice(None), slice(512, 1024))
    assert has(exposure, "BAD")[dead].all() and not has(exposure, "INTRP")[dead].any()
    # One level: neither a bridge between the neighbours nor the fringes that the amplifier never saw.
    assert np.ptp(exposure.image[dead]) == 0.0
    assert exposure.image[dead].mean() == pytest.approx(SKY, abs=3.0)


@pytest.mark.parametrize("listed", [True, False])
def test_what_is_interpolated_beside_a_dead_amplifier_is_sky(
    inputs: IsrInputs, detector: Detector, listed: bool
) -> None:
    amp, pixels = detector.amplifiers[2], inputs.raw.pixels
    pixels[amp.raw.slices] = 0.0
    beside = detector.amplifiers[1].data
    pixels[beside.y0 + 20 : beside.y0 + 60, beside.x1 - 5 : beside.x1 + 1] = 65535.0
    narrow = Box(amp.trimmed.x0 - 2, 70, 2, 30)
    inputs = dataclasses.replace(inputs, defects=[narrow, amp.trimmed] if listed else [narrow])
    exposure = run(inputs).exposure
    replaced = has(exposure, "INTRP") & ~has(exposure, "NO_DATA")
    assert replaced[narrow.slices].all() and np.count_nonzero(replaced) > 300
    assert np.abs(exposure.image[replaced] - SKY).max() < 8 * NOISE
    assert exposure.metadata["DEADAMPS"] == "2"


def test_bright_object_in_one_amplifier_kills_no_other(inputs: IsrInputs) -> None:
    image = np.random.default_rng(5).normal(20.0, 2.5, SHAPE)
    image[:, :512] += 500.0
    inputs = dataclasses.replace(inputs, raw=raw_frame(load_camera()[55].for_rows(N_ROWS), image))
    exposure = IsrTask().run(inputs).exposure
    assert not has(exposure, "BAD").any() and exposure.metadata["DEADAMPS"] == ""


def test_little_sky_says_nothing_about_amplifiers(inputs: IsrInputs, detector: Detector) -> None:
    image = np.random.default_rng(5).normal(4.0, 2.0, SHAPE)
    image[:, :512] -= 4.0
    inputs = dataclasses.replace(inputs, raw=raw_frame(detector, image))
    exposure = IsrTask().run(inputs).exposure
    assert not has(exposure, "BAD").any()


def test_amplifier_saturated_all_over(inputs: IsrInputs, detector: Detector) -> None:
    amp, pixels = detector.amplifiers[1], inputs.raw.pixels
    expected = run(inputs).exposure.image
    pixels[amp.data.slices] = 65535.0
    # Its ghosts are in the others: some -10 ADU. The pedestal of 1000, which is left in it, makes 0.15 of them.
    for other in detector.amplifiers:
        pixels[other.data.slices] += crosstalk_matrix()[1, other.index] * (64535.0 - SKY)
    exposure = run(inputs).exposure
    saturated = has(exposure, "SAT")
    assert saturated[amp.trimmed.slices].all()
    # Widened by four pixels on either side, interpolated one further; nothing else is touched.
    assert np.flatnonzero(saturated.any(axis=0)).tolist() == list(range(508, 1028))
    assert np.flatnonzero(has(exposure, "INTRP").any(axis=0)).tolist() == list(range(507, 1029))
    # Linearity raises the ghosts with the amplifier, by 0.4 ADU.
    assert np.abs((exposure.image - expected)[:, 1040:]).max() < 0.6
    # Within the reach of the brighter-fatter kernel the full wells push charge out, here none that had come in.
    near = np.abs((exposure.image - expected)[:, [*range(495, 507), *range(1029, 1040)]])
    assert 0.6 < near.max() < 0.5 * NOISE


@pytest.mark.parametrize("response", [1.0, 0.0, np.nan])
def test_half_of_the_frame_without_light(inputs: IsrInputs, response: float) -> None:
    raw, mask, flat = inputs.raw, np.zeros(SHAPE, np.int32), np.ones(SHAPE)
    raw.pixels[:, 1072:] = 1000.0
    mask[:, 1024:] = mask_bits("NO_DATA")
    flat[:, 1024:] = response
    inputs.masters["flat"] = calib(flat, mask=mask)
    exposure = run(inputs).exposure
    assert np.array_equal(has(exposure, "NO_DATA"), mask != 0)
    assert np.abs(exposure.image[:, :1016] - SKY).max() < 6 * NOISE


def test_flat_with_zeros_negative_numbers_and_nan(inputs: IsrInputs) -> None:
    flat = np.ones(SHAPE)
    flat[10:20, 100] = 0.0
    flat[30:40, 700] = -0.5
    flat[50, 300:303] = np.nan
    flat[:, 1500] = np.nan
    inputs.masters["flat"] = calib(flat, variance=np.full(SHAPE, 1e-6, np.float32))
    exposure = run(inputs).exposure
    wrong = ~(flat > 0)
    assert np.array_equal(has(exposure, "UNMASKEDNAN"), wrong) and np.array_equal(has(exposure, "INTRP"), wrong)
    assert np.abs(exposure.image - SKY).max() < 10 * NOISE
    inputs.masters["flat"] = calib(np.zeros(SHAPE))
    with pytest.raises(SaturatedFrameError, match="no usable sky"):
        IsrTask().run(inputs)


def test_bias_with_nan_spoils_no_other_pixel(inputs: IsrInputs) -> None:
    expected = run(inputs).exposure
    bias = np.zeros(SHAPE)
    bias[40:60, 200:203] = np.nan
    bias[:, 900] = np.nan
    inputs.masters["bias"] = calib(bias)
    exposure = run(inputs).exposure
    wrong = np.isnan(bias)
    # Not the amplifiers to which the pixels leave ghosts, and hardly those next to them: 0.02 of the noise.
    assert np.array_equal(has(exposure, "UNMASKEDNAN"), wrong)
    assert np.abs(exposure.image - expected.image)[~wrong].max() < 0.5
    assert np.abs(exposure.image - SKY)[wrong].max() < 10 * NOISE


def test_defects_at_the_border_are_predicted_from_one_side(inputs: IsrInputs) -> None:
    defects = [Box(0, 0, 2, N_ROWS), Box(2040, 5, 8, 20), Box(1000, 0, 40, 10), Box(0, 100, 2048, 1)]
    inputs = dataclasses.replace(inputs, defects=defects)
    exposure = run(inputs).exposure
    wanted = np.zeros(SHAPE, bool)
    for box in defects:
        wanted[box.slices] = True
    assert np.array_equal(has(exposure, "BAD"), wanted) and np.array_equal(has(exposure, "INTRP"), wanted)
    # Two pixels at the edge: 1.43 and -0.43 times the neighbours for the first, see the prediction's own tests.
    assert np.abs(exposure.image[wanted] - SKY).max() < 8 * NOISE
    # A row without any good pixel, and the middle of a wide run far from them: the sky's level.
    assert exposure.image[100].std() < 1e-3 and abs(exposure.image[100].mean() - SKY) < 1.0


def test_widened_trail_at_the_border_stays_on_its_row(inputs: IsrInputs, detector: Detector) -> None:
    pixels = inputs.raw.pixels
    first, last = detector.amplifiers[0].data, detector.amplifiers[3].data
    pixels[first.y0 + 30 : first.y0 + 60, first.x0 : first.x0 + 10] = 60000.0
    pixels[last.y0 + 30 : last.y0 + 60, last.x0 + 504 : last.x0 + 512] = 60000.0
    exposure = run(inputs).exposure
    columns = np.flatnonzero(has(exposure, "SAT").any(axis=0))
    # Runs of 10 and 8 pixels are widened by 4 and 3, on the image only.
    assert columns.tolist() == [*range(14), *range(2037, 2048)]
    assert np.flatnonzero(has(exposure, "SAT").any(axis=1)).tolist() == list(range(30, 60))
    grown = np.flatnonzero(has(exposure, "INTRP").any(axis=0))
    assert grown.tolist() == [*range(15), *range(2036, 2048)]
    assert np.abs(exposure.image - SKY).max() < 10 * NOISE


@pytest.mark.parametrize("ccd", [0, 33, 55, 95, 100])
def test_valid_polygon_holds_the_lit_pixels(ccd: int) -> None:
    detector = load_camera()[ccd]
    polygon = valid_polygon(detector, vignette_polygon())
    assert polygon is not None
    dark = np.count_nonzero(unlit(detector))
    # The polygon of 100 corners lies up to 8.6 pixels inside the circle, on an arc of at most 4700 pixels.
    area = shapely.Polygon(polygon).area
    assert -8.6 * 4700 <= area - (2048 * 4176 - dark) <= 4700
    assert (ccd in (33, 55)) == (dark == 0)
