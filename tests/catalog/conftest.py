from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hscbox.catalog.footprint import Footprint, HeavyPixels, make_peaks
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema


@pytest.fixture
def data_dir() -> Path:
    return Path(__file__).parent / "data"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(20170925))


@pytest.fixture
def catalog(rng: np.random.Generator) -> SourceCatalog:
    """Return 7 sources with 11 flags between the other fields, aliases, metadata and footprints of all kinds."""
    schema = make_minimal_schema()
    schema.add_field("calib_detected", "Flag", "matched to a bright source")
    schema.add_field("base_SdssCentroid_x", "D", "column", "pixel")
    schema.add_field("base_SdssCentroid_y", "D", "row", "pixel")
    schema.add_field("base_SdssCentroid_xSigma", "F", "error of the column", "pixel")
    for number in range(9):
        schema.add_field(f"base_PixelFlags_flag_{number}", "Flag", f"pixel flag {number}")
    schema.add_field("base_PsfFlux_flux", "D", "it's a long description; " * 8 + "end", "count")
    schema.add_field("base_PsfFlux_fluxSigma", "D", "", "count")
    schema.add_field("base_PsfFlux_flag", "Flag", "failure")
    schema.add_field("deblend_nChild", "I", "number of children")
    schema.add_field("note", "String", "a remark", size=6)
    schema.add_field("vector", "F", "three numbers", size=3)
    schema.set_alias("slot_PsfFlux", "base_PsfFlux")
    schema.set_alias("slot_Centroid", "base_SdssCentroid")
    schema.set_alias("base_PsfFlux_flag_badCentroid", "calib_detected")
    cat = SourceCatalog(schema, 7)
    cat["id"] = (8196855 << 32) + np.arange(1, 8)
    cat["coord_ra"], cat["coord_dec"] = np.radians(150.0) + 1e-5 * np.arange(7), np.radians(2.2)
    cat["parent"][4:] = cat["id"][0]
    for field in schema:
        if field.is_flag:
            cat[field.name] = rng.random(7) < 0.4
    cat["base_SdssCentroid_x"], cat["base_SdssCentroid_y"] = rng.uniform(0, 2048, 7), rng.uniform(0, 4176, 7)
    cat["base_SdssCentroid_xSigma"] = rng.random(7)
    cat["base_PsfFlux_flux"], cat["base_PsfFlux_fluxSigma"] = rng.normal(1000.0, 900.0, 7), 30.0
    cat["base_PsfFlux_flux"][2] = np.nan
    cat["deblend_nChild"] = np.arange(7)
    cat["note"] = ["", "a", "bc", "def", "ghij", "klmno", "pqrstu"]
    cat["vector"] = rng.normal(size=(7, 3))
    cat.metadata.set("base_CircularApertureFlux_radii", [3.0, 4.5, 70.0])
    cat.metadata.set("NOISE_SOURCE", "measure", "source of the noise")
    cat.metadata.set("NOISE_SEED_MULTIPLIER", 1)
    cat.metadata.set("NOISE_OFFSET", 1e-17)
    for row in (0, 1, 3, 4, 5):
        mask = rng.random((5 + row, 8)) < 0.6
        mask[2, 3] = True
        peaks = make_peaks([10.25, 11.0][: 1 + row % 2], [20.5, 21.0][: 1 + row % 2], [7.5, 6.0][: 1 + row % 2])
        cat.footprints[row] = Footprint.from_mask(mask, 100 * row, 50, peaks)
        if row >= 4:
            area = int(mask.sum())
            image, variance = rng.normal(size=area).astype("f4"), rng.random(area).astype("f4")
            cat.footprints[row].heavy = HeavyPixels(image, rng.integers(0, 512, area).astype("i4"), variance)
    return cat
