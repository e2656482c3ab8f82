from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hscbox.camera.camera import load_camera
from hscbox.camera.visit_info import VisitInfo
from hscbox.image.bounded_field import ChebyshevField
from hscbox.image.exposure import Exposure
from hscbox.image.metadata import Metadata
from hscbox.image.photo_calib import PhotoCalib
from hscbox.image.psf import PsfexPsf
from hscbox.image.wcs import SkyWcs

COPIES = Path(__file__).parent / "data"
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"


def sample_files(pattern: str) -> list[Path]:
    """The small copies, and the whole collection of samples if it lies beside the repository."""
    return [*sorted(COPIES.glob(pattern)), *sorted(SAMPLES.glob(pattern))]


@pytest.fixture
def visit_info() -> VisitInfo:
    return VisitInfo(
        exposure_id=8196855,
        exposure_time=300.0,
        dark_time=300.0,
        date_avg="2015-10-10T11:45:16.399967730",
        mjd_tai=57305.489773147776,
        era_deg=194.25,
        boresight_ra=34.5,
        boresight_dec=-5.0,
        boresight_az=189.5,
        boresight_alt=64.9,
        airmass=1.105,
        boresight_rot_angle=240.0,
        air_temperature=float("nan"),
        air_pressure=62540.0,
        humidity=8.6,
        inst_pa=30.0,
    )


@pytest.fixture
def sip_wcs() -> SkyWcs:
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[2, 0], a[1, 1], a[0, 3] = 2.1e-7, -1.3e-7, 4.7e-12
    b[0, 2], b[2, 1], b[1, 2] = -1.7e-7, 3.3e-12, -2.9e-12
    cd = np.array([[1.1e-6, -4.6123456789012345e-5], [4.67e-5, 2.3e-6]])
    return SkyWcs((1020.25, 2090.75), (150.1163, 2.2058), cd, a, b)


@pytest.fixture
def psfex() -> PsfexPsf:
    grid = np.arange(41) - 20
    core = np.exp(-0.5 * ((grid[:, None] / 3.6) ** 2 + (grid[None, :] / 4.2) ** 2))
    components = np.zeros((6, 41, 41), dtype=np.float32)
    components[0] = core
    components[1] = core * 0.05 * (grid[None, :] / 4.2) ** 2
    components[3] = -core * 0.03 * (grid[:, None] / 3.6) ** 2
    components[4] = core * 0.01
    return PsfexPsf(components, 0.5, 2, (1000.0, 2000.0), (1800.0, 3900.0), (1011.5, 2040.25))


@pytest.fixture
def exposure(visit_info: VisitInfo, sip_wcs: SkyWcs, psfex: PsfexPsf) -> Exposure:
    """A full-width cut of 8 rows with every component and no two pixels alike."""
    shape = (8, 2048)
    values = np.arange(8 * 2048).reshape(shape)
    box = (0, 0, 2047, 7)
    ap_corr = {
        "base_PsfFlux_flux": ChebyshevField(np.array([[1.0, 0.1, 0.01], [0.2, 0.02, 0.0], [0.3, 0.0, 0.0]]), box),
        "base_PsfFlux_fluxSigma": ChebyshevField.constant(0.004, box),
        "base_GaussianFlux_flux": ChebyshevField(np.array([[1.1, 0.4, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]), box),
        "base_GaussianFlux_fluxSigma": ChebyshevField.constant(0.005, box),
    }
    metadata = Metadata({"OBJECT": "SSP_UDEEP_SXDS", "SKYLEVEL": 123.5, "T_AG": True, "DET-ID": 55})
    metadata["FLATNESS_NGRIDS"] = "8x16"
    metadata["inputs"] = "it's " + "0123456789abcdef" * 10
    return Exposure(
        image=(values * 0.37 - 100).astype(np.float32),
        mask=(values % 4096).astype(np.int32),
        variance=(values * 0.11 + 3).astype(np.float32),
        wcs=sip_wcs,
        psf=psfex,
        photo_calib=PhotoCalib(1.8928720334405828e12, 1.5e9),
        ap_corr=ap_corr,
        visit_info=visit_info,
        filter_name="r",
        detector=load_camera()[55].for_rows(8),
        valid_polygon=np.array([[-0.5, -0.5], [2047.5, -0.5], [2047.5, 6.25], [-0.5, 7.5]]),
        metadata=metadata,
    )
