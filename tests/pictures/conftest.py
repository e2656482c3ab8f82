"""A repository with one small simulated raw frame, and an output with fabricated products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hscbox.butler.butler import Butler
from hscbox.butler.ingest import ingest_images
from hscbox.butler.mount import mount
from hscbox.catalog.schema import Field
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.image.background import BackgroundModel
from hscbox.image.exposure import Exposure
from hscbox.image.mask import mask_bits
from hscbox.image.sky_wcs import SkyWcs
from hscbox.simulate.dataset import write_dataset
from hscbox.simulate.scene import Scene

ROWS = 96
ID = {"visit": 40984, "ccd": 55}
CR_AT = (300, 40)
RAY = 500.0
SKY = 100.0


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An input with a cut-out frame of 96 rows and its calibrations."""
    root = tmp_path_factory.mktemp("show")
    [raw] = write_dataset(root / "sim", [Scene(visit=40984, ccd=55, filter="HSC-R", rows=ROWS)])
    mount(root / "input", root / "sim/CALIB", root / "sim/ref_cats")
    ingest_images(root / "input", [str(raw)])
    return root / "input"


def calexp() -> Exposure:
    """Zero everywhere but for one pixel; one cosmic ray at `CR_AT`; north up, east left."""
    shape = (ROWS, 2048)
    image, mask = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    image[70, 1000] = 1000.0
    mask[CR_AT[1], CR_AT[0]] = mask_bits("CR")
    wcs = SkyWcs((1000.0, 50.0), (34.5, -5.0), np.array([[-1.0, 0.0], [0.0, 1.0]]) * 0.168 / 3600, None, None)
    return Exposure(image, mask, np.ones(shape, np.float32), wcs=wcs, filter_name="r")


def sources() -> SourceCatalog:
    """A star of the PSF model at (1000, 70), a parent at (500, 20), its child at (503, 20)."""
    schema = make_minimal_schema()
    for name, kind in (
        ("base_SdssCentroid_x", "D"),
        ("base_SdssCentroid_y", "D"),
        ("deblend_nChild", "I"),
        ("calib_psfUsed", "Flag"),
    ):
        schema.add(Field(name, kind, name))
    catalog = SourceCatalog(schema, 3)
    catalog["base_SdssCentroid_x"] = [1000.0, 500.0, 503.0]
    catalog["base_SdssCentroid_y"] = [70.0, 20.0, 20.0]
    catalog["deblend_nChild"] = [0, 1, 0]
    catalog["calib_psfUsed"] = [True, False, False]
    return catalog


@pytest.fixture
def output(repository: Path, tmp_path: Path) -> Path:
    """An output of that input with calexp, src and a constant background."""
    butler = Butler.for_run(repository, tmp_path / "output", quiet=True)
    exposure = calexp()
    butler.put(exposure, "calexp", ID)
    butler.put(sources(), "src", ID)
    cells = np.full((2, 8), SKY, np.float32)
    model = BackgroundModel(cells, np.zeros((2, 8), np.int32), np.ones((2, 8), np.float32), 2048, ROWS, 0)
    butler.put([model], "calexpBackground", ID)
    exposure.image += np.float32(SKY)
    exposure.image[CR_AT[1], CR_AT[0]] += np.float32(RAY)
    exposure.mask[:] = 0
    butler.put(exposure, "postISRCCD", ID)
    return tmp_path / "output"
