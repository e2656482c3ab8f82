"""Small frames built by hand: a cut-out of CCD 55 with known numbers."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from hscbox.camera.camera import load_camera
from hscbox.camera.detector import Detector
from hscbox.camera.visit_info import VisitInfo
from hscbox.image.calib_image import CalibImage
from hscbox.image.exposure import Exposure
from hscbox.isr.inputs import IsrInputs

N_ROWS = 128
EXPOSURE_ID = 8196855


@pytest.fixture(scope="session")
def detector() -> Detector:
    """CCD 55 with the first rows only."""
    return load_camera()[55].for_rows(N_ROWS)


@pytest.fixture
def exposure(detector: Detector) -> Exposure:
    """Distinct values in every pixel, variance not constant either."""
    rng = np.random.default_rng(55)
    shape = (detector.height, detector.width)
    image = rng.normal(1900.0, 25.0, shape).astype(np.float32)
    return Exposure(image, np.zeros(shape, np.int32), (image / 3.4 + 2.0).astype(np.float32))


@pytest.fixture
def visit_info() -> VisitInfo:
    return VisitInfo(
        exposure_id=EXPOSURE_ID,
        exposure_time=300.0,
        dark_time=300.0,
        date_avg="2015-10-10T08:22:30.000000000",
        mjd_tai=57305.349,
        era_deg=20.0,
        boresight_ra=34.5,
        boresight_dec=-5.0,
        boresight_az=150.0,
        boresight_alt=60.0,
        airmass=1.15,
        boresight_rot_angle=270.0,
        air_temperature=2.0,
        air_pressure=62000.0,
        humidity=20.0,
        inst_pa=0.0,
    )


def calib(
    image: np.ndarray, name: str = "X.fits", *, mask: np.ndarray | None = None, variance: np.ndarray | None = None
) -> CalibImage:
    return CalibImage(np.asarray(image, np.float32), mask, variance, name, "ab" * 32)


def fringed(inputs: IsrInputs, fringe: np.ndarray) -> IsrInputs:
    """Return the same frame as one in y, with a fringe frame."""
    masters = {**inputs.masters, "fringe": calib(fringe, "FRINGE.fits")}
    return dataclasses.replace(inputs, filter_name="y", masters=masters)


def raw_frame(detector: Detector, image: np.ndarray, pedestal: float = 1000.0) -> SimpleNamespace:
    """Put an assembled image (ADU) into a raw array with a flat pedestal; no noise."""
    rows = detector.amplifiers[0].raw.height
    pixels = np.full((rows, 2144), pedestal, np.float32)
    for amp in detector.amplifiers:
        pixels[amp.data.slices] += image[amp.trimmed.slices]
    return SimpleNamespace(pixels=pixels, header={})
