"""Failures of the calibration: the named error, and what stays. Sources are given, so that no pixel is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hscbox.calibrate.ref_objects import ReferenceShards
from hscbox.calibrate.task import CalibrateConfig, CalibrateTask
from hscbox.camera.camera import load_camera
from hscbox.camera.distortion import pixel_to_sky
from hscbox.camera.visit_info import VisitInfo
from hscbox.catalog.htm import trixel_of
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.errors import MagnitudeCutError, MissingInputError, NoMatchError, NoPhotometryMatchError, ZeroPointGateError
from hscbox.image.exposure import Exposure
from hscbox.image.wcs import initial_wcs
from hscbox.products.reference_shards import make_reference_catalog

ROWS, N, ZERO_POINT, SECONDS = 1024, 150, 33.3, 300.0
POINTING = (34.5, -4.85, 0.0)
VISIT = VisitInfo(
    exposure_id=8196855,
    exposure_time=SECONDS,
    dark_time=SECONDS,
    date_avg="2015-10-10T11:44:40.400000000",
    mjd_tai=57305.49,
    era_deg=0.0,
    boresight_ra=POINTING[0],
    boresight_dec=POINTING[1],
    boresight_az=0.0,
    boresight_alt=60.0,
    airmass=1.2,
    boresight_rot_angle=270.0,
    air_temperature=0.0,
    air_pressure=62000.0,
    humidity=30.0,
    inst_pa=POINTING[2],
)


class Field:
    """Stars on a strip of CCD 55 and a reference catalogue of them with 10 mas and 10 mmag of noise.

    With `too_bright` every third reference has ten times its flux and is not photometric.
    """

    def __init__(self, bands=("r", "i"), too_bright=False, shift_deg=0.0) -> None:
        rng = np.random.default_rng(31)
        self.x, self.y = rng.uniform(0, 2047, N), rng.uniform(0, ROWS - 1, N)
        self.magnitude = rng.uniform(19, 21.5, N)
        ra, dec = pixel_to_sky(load_camera()[55], self.x, self.y, *POINTING)
        dec = dec + shift_deg + rng.normal(0, 0.01, N) / 3600
        # No colour: the colour term of r is 2.8 mmag then.
        flux = 3631 * 10 ** (-0.4 * (self.magnitude + rng.normal(0, 0.01, N)))
        third = np.arange(N) % 3 == 0
        if too_bright:
            flux[third] *= 10
        errors = dict.fromkeys(bands, 0.01 * flux)
        flags = ("photometric",) if too_bright else ()
        references = make_reference_catalog(np.arange(N), ra, dec, dict.fromkeys(bands, flux), errors, flags)
        if too_bright:
            references["photometric"] = ~third
        shards = trixel_of(ra, dec, 7)
        empty = references.subset(np.zeros(N, dtype=bool))
        self.references = ReferenceShards(
            lambda shard: references.subset(shards == shard) if np.any(shards == shard) else empty, 7
        )

    def sources(self, task: CalibrateTask) -> SourceCatalog:
        catalog = SourceCatalog(task.schema, N)
        flux = 10 ** (0.4 * (ZERO_POINT - self.magnitude))
        catalog["id"] = np.arange(1, N + 1)
        catalog["slot_Centroid_x"], catalog["slot_Centroid_y"] = self.x, self.y
        for name in ("slot_PsfFlux_flux", "slot_CalibFlux_flux"):
            catalog[name], catalog[f"{name}Sigma"] = flux, 1e-3 * flux
        catalog["slot_Shape_xx"] = catalog["slot_Shape_yy"] = 2.0
        catalog["base_ClassificationExtendedness_value"] = 0.0
        return catalog


def _calibrate(config=None, change=lambda sources: None, visit=VISIT, wcs=None, field=None, photometric=None):
    field = field or Field()
    references = (field.references, photometric or field.references)
    task = CalibrateTask(config or CalibrateConfig(), "calibrate", *references)
    sources = field.sources(task)
    change(sources)
    task._measure = lambda exposure, exposure_id: (sources, None)
    blank = np.zeros((ROWS, 2048), dtype=np.float32)
    exposure = Exposure(
        blank,
        blank.astype(np.int32),
        blank,
        wcs=wcs or initial_wcs(load_camera()[55], visit),
        visit_info=visit,
        filter_name="r",
    )
    return task.run(exposure, visit.exposure_id, sources.subset(np.zeros(N, dtype=bool)))


def _photometry_failed(result, error):
    """The WCS and its matches are valid and stay; no zero point takes the place of the failed one."""
    assert isinstance(result.failure, error) and result.failure.exit_status == 20
    assert len(result.matches) > 0.85 * N and result.exposure.wcs.sip_order == 3
    assert np.all(np.isfinite(result.sources["coord_ra"]))
    assert result.zero_point is None and result.exposure.photo_calib is None
    return result.failure


def test_nothing_fails():
    result = _calibrate()
    assert result.failure is None
    # 10 mmag over 150 stars; the colour term adds 2.8 mmag to stars without colour.
    assert result.zero_point.value - ZERO_POINT == pytest.approx(0.0028, abs=4 * 0.01 / np.sqrt(N))


def test_zero_point_refers_to_the_flux_that_is_asked_for():
    config = CalibrateConfig()
    config.photoCal.fluxField = "slot_CalibFlux_flux"

    def brighten(sources):
        sources["slot_CalibFlux_flux"] *= 10**0.04

    original, ours = _calibrate(config, brighten), _calibrate(change=brighten)
    assert original.zero_point.value - ours.zero_point.value == pytest.approx(0.1, abs=1e-3)


def test_unable_to_match_keeps_the_sources():
    away = replace(VISIT, boresight_ra=POINTING[0] + 0.1)
    result = _calibrate(wcs=initial_wcs(load_camera()[55], away))
    assert isinstance(result.failure, NoMatchError) and result.failure.code == "unable-to-match"
    assert len(result.sources) == N
    assert result.exposure.wcs is None and result.matches is None and result.zero_point is None


def test_no_star_is_left_for_the_zero_point():
    def extend(sources):
        sources["base_ClassificationExtendedness_value"] = 1.0

    error = _photometry_failed(_calibrate(change=extend), NoPhotometryMatchError)
    assert error.numbers["unflagged"] == error.numbers["matches"] > 0.9 * N


def test_photometric_catalogue_without_a_star_of_the_field():
    """The WCS comes from the other catalogue and stays."""
    error = _photometry_failed(_calibrate(photometric=Field(shift_deg=0.2).references), NoPhotometryMatchError)
    assert error.code == "no-input-matches" and error.numbers["matches"] == 0
    assert "ps1_pv3_3pi_20170110" in str(error)


def test_match_list_is_empty_after_the_magnitude_cut():
    config = CalibrateConfig()
    config.photoCal.magLimit = 18.0
    error = _photometry_failed(_calibrate(config), MagnitudeCutError)
    assert error.numbers["stars"] > 0.9 * N


def test_zero_point_of_a_wrong_exposure_time_is_refused():
    """In 3 s a star of r = 20 would have 80 ADU: 33.3 is 5 mag above 27.1 + 2.5 log 3."""
    error = _photometry_failed(_calibrate(visit=replace(VISIT, exposure_time=3.0)), ZeroPointGateError)
    assert error.numbers["typical"] == pytest.approx(27.1 + 2.5 * np.log10(3))
    assert error.numbers["zero_point"] == pytest.approx(ZERO_POINT, abs=0.01)


def test_references_that_are_not_photometric_are_not_used():
    field = Field(too_bright=True)
    result = _calibrate(field=field)
    used = result.sources["calib_photometryUsed"]
    assert used.sum() > 0.6 * N and not used[::3].any()
    assert result.sources["calib_photometryCandidate"][::3].sum() > 0.9 * N / 3
    assert result.zero_point.value - ZERO_POINT == pytest.approx(0.0028, abs=4 * 0.01 / np.sqrt(N / 1.5))


def test_colour_terms_follow_the_catalogue_of_photometry():
    """A catalogue in HSC's own bands needs none; that of Pan-STARRS' r is 2.79757 mmag for stars without colour."""
    own, named = CalibrateConfig(), CalibrateConfig()
    own.photoRefObjLoader.ref_dataset_name = "hsc_wide"
    named.photoCal.photoCatName = "hsc_wide"
    field = Field()
    without = _calibrate(own, field=field).zero_point.value
    assert _calibrate(named, field=field).zero_point.value == without
    assert _calibrate(field=field).zero_point.value - without == pytest.approx(0.00279757, abs=1e-6)


@pytest.mark.parametrize(
    ("catalogue", "term"),
    [("ps1_pv3_3pi_20170110", [0.00279757, 0.02093734, -0.01877566]), ("hsc_wide", [0.0, 0.0, 0.0])],
)
def test_colour_terms_are_named_in_the_header(catalogue, term):
    config = CalibrateConfig()
    config.photoCal.photoCatName = catalogue
    metadata = _calibrate(config).exposure.metadata
    assert [metadata[f"COLORTERM{number}"] for number in (1, 2, 3)] == term
    assert "COLORTERM4" not in metadata


def test_catalogue_without_a_band_of_the_colour_term():
    with pytest.raises(MissingInputError, match="ps1_pv3_3pi_20170110 lacks i_flux"):
        _calibrate(field=Field(bands=("r",)))
