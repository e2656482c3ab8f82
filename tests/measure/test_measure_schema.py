"""The columns of SRC and ICSRC are frozen: names, order, types and units of the HSC pipeline of 2017 (w_2017_38)."""

from __future__ import annotations

from pathlib import Path

import pytest

from hscbox.calibrate.task import CalibrateConfig, CalibrateTask
from hscbox.catalog.schema import Schema
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.characterize.task import CharacterizeImageConfig, CharacterizeImageTask
from hscbox.fits.metadata import Metadata
from hscbox.products.catalog import read_catalog, write_catalog, write_schema

DATA = Path(__file__).parent / "data"
CENTROID, SHAPE = "base_SdssCentroid_flag", "ext_shapeHSM_HsmSourceMoments_flag"
SLOTS = {
    "slot_ApFlux": "base_CircularApertureFlux_12_0",
    "slot_CalibFlux": "base_CircularApertureFlux_12_0",
    "slot_Centroid": "base_SdssCentroid",
    "slot_InstFlux": "base_GaussianFlux",
    # That of ICSRC was CModel in 2017; see docs/differences.md.
    "slot_ModelFlux": "base_GaussianFlux",
    "slot_PsfFlux": "base_PsfFlux",
    "slot_PsfShape": "ext_shapeHSM_HsmPsfMoments",
    "slot_Shape": "ext_shapeHSM_HsmSourceMoments",
    "base_GaussianFlux_flag_badShape": SHAPE,
    "ext_photometryKron_KronFlux_flag_badInitialCentroid": CENTROID,
}
FOR_ALL = ["base_CircularApertureFlux", "base_GaussianFlux", "base_PsfFlux", "base_SdssShape"]
FOR_ALL += [f"ext_shapeHSM_Hsm{name}" for name in ("PsfMoments", "ShapeRegauss", "SourceMoments")]
CONVOLVED = "ext_convolved_ConvolvedFlux"
FOR_BRIGHT = ["modelfit_DoubleShapeletPsfApprox", CONVOLVED, *(f"{CONVOLVED}_{k}" for k in range(4))]


def src_schema() -> Schema:
    return CalibrateTask(CalibrateConfig(), "processCcd.calibrate", None, None).schema


def icsrc_schema() -> Schema:
    return CharacterizeImageTask(CharacterizeImageConfig(), "processCcd.charImage").schema


CATALOGS = [(src_schema, "src", 217, 111), (icsrc_schema, "icsrc", 428, 202)]


@pytest.mark.parametrize(("declare", "name", "fields", "flags"), CATALOGS)
def test_columns_are_those_of_2017(declare, name, fields, flags):
    frozen = [line.split() for line in (DATA / f"{name}_columns.txt").read_text().splitlines()]
    declared = [[field.name, field.dtype, *field.unit.split()] for field in declare()]
    assert declared == frozen
    assert len(declared) == fields and sum(field[1] == "Flag" for field in declared) == flags
    assert all(field.size == 1 and field.doc for field in declare())


def test_aliases_are_those_of_2017():
    bad = {f"{name}_flag_badCentroid": CENTROID for name in FOR_ALL}
    initial = {f"base_{name}Centroid_flag_badInitialCentroid": CENTROID for name in ("Gaussian", "Naive")}
    assert src_schema().aliases == SLOTS | bad | initial | {"base_Variance_flag_badCentroid": CENTROID}
    assert icsrc_schema().aliases == SLOTS | bad | {f"{name}_flag_badCentroid": CENTROID for name in FOR_BRIGHT}


@pytest.mark.parametrize(("declare", "name", "fields", "flags"), CATALOGS)
def test_schema_file_has_the_columns_of_the_catalogue(declare, name, fields, flags, tmp_path):
    schema = declare()
    write_schema(tmp_path / "schema.fits", schema, Metadata())
    write_catalog(tmp_path / "catalog.fits", SourceCatalog(schema, 2))
    empty, full = (read_catalog(tmp_path / f"{file}.fits") for file in ("schema", "catalog"))
    assert len(empty) == 0 and len(full) == 2
    assert list(empty.schema) == list(full.schema) == list(schema)
    assert empty.schema.aliases == full.schema.aliases == schema.aliases
