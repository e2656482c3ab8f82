"""Calibrate an exposure: deep detection, deblending, measurement, astrometry, zero point."""

from __future__ import annotations

from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np
from scipy.spatial import cKDTree

from ..catalog.matches import MatchList, match_metadata
from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog, make_minimal_schema
from ..detect.deblend import SourceDeblendConfig, SourceDeblendTask
from ..detect.detection import SourceDetectionConfig, SourceDetectionTask, make_source_catalog
from ..errors import AstrometryError, DataError, NoSourcesError
from ..image.background import BackgroundModel
from ..image.exposure import Exposure
from ..image.photo_calib import PhotoCalib
from ..image.sky_wcs import SkyWcs
from ..measure.apply_apcorr import ApplyApCorrConfig, ApplyApCorrTask
from ..measure.catalog_calculation import CatalogCalculationConfig, CatalogCalculationTask
from ..measure.task import SingleFrameMeasurementConfig, SingleFrameMeasurementTask
from ..task_metadata import Task, record, timed_method
from .astrometry import AstrometryConfig, AstrometrySolution, AstrometryTask
from .photo_selection import PhotoCalConfig
from .photocal import ZeroPoint
from .photocal_task import PhotoCalTask
from .ref_objects import LoadReferenceObjectsConfig, ReferenceRegion, ReferenceShards, RefObjLoader

__all__ = ["CalibrateConfig", "CalibrateResult", "CalibrateTask"]

_COPIED_FLAGS = {
    "calib_psfCandidate": "source was a candidate for PSF determination, as determined by the star selector",
    "calib_psfUsed": "source was actually used for PSF determination, as determined by the PSF determiner",
    "calib_psfReserved": "source was selected as a PSF candidate, but was reserved from the PSF fitting",
}


class CalibrateConfig(pex_config.Config):
    """Steps from the characterized exposure to the calibrated one."""

    detection = pex_config.ConfigField("Detection of all sources.", SourceDetectionConfig)
    deblend = pex_config.ConfigField("Deblending.", SourceDeblendConfig)
    measurement = pex_config.ConfigField("Measurement.", SingleFrameMeasurementConfig)
    applyApCorr = pex_config.ConfigField("Application of aperture corrections.", ApplyApCorrConfig)
    catalogCalculation = pex_config.ConfigField("Quantities from measured columns.", CatalogCalculationConfig)
    astromRefObjLoader = pex_config.ConfigField("References for astrometry.", LoadReferenceObjectsConfig)
    photoRefObjLoader = pex_config.ConfigField("References for photometry.", LoadReferenceObjectsConfig)
    astrometry = pex_config.ConfigField("Astrometric solution.", AstrometryConfig)
    photoCal = pex_config.ConfigField("Photometric zero point.", PhotoCalConfig)
    matchRadiusPix = pex_config.RangeField(
        "Radius within which flags are copied from the bright-source catalogue (pixel).", float, default=3.0, min=0
    )


@dataclass
class CalibrateResult:
    """What `CalibrateTask.run` returns; what a failed fit should have given is None.

    Attributes
    ----------
    exposure
        The exposure with its final background subtraction, WCS and zero point.
    sources
        The source catalogue.
    background
        The background that the deep detection subtracted, or None.
    astrometry
        The solution behind the WCS.
    references
        The reference region that it was matched to.
    matches
        The astrometric matches as they are written.
    zero_point
        The photometric zero point.
    failure
        Why the calibration ended early.
    """

    exposure: Exposure
    sources: SourceCatalog
    background: BackgroundModel | None
    astrometry: AstrometrySolution | None = None
    references: ReferenceRegion | None = None
    matches: MatchList | None = None
    zero_point: ZeroPoint | None = None
    failure: DataError | None = None


class CalibrateTask(Task[CalibrateConfig]):
    """Run the calibration of one exposure.

    Parameters
    ----------
    config
        The configuration.
    name
        Dotted task name, for log and metadata.
    astrom_references, photo_references
        The reference catalogues for astrometry and photometry; they may be the same.
    """

    def __init__(
        self,
        config: CalibrateConfig,
        name: str,
        astrom_references: ReferenceShards,
        photo_references: ReferenceShards,
    ) -> None:
        super().__init__(config, name)
        schema = make_minimal_schema()
        schema.add_field("calib_detected", "Flag", "Source was detected as an icSource")
        for flag, doc in _COPIED_FLAGS.items():
            schema.add_field(flag, "Flag", f"Flag set if the {doc}")
        self.detection = SourceDetectionTask(config.detection, f"{name}.detection")
        self.deblend = SourceDeblendTask(config.deblend, f"{name}.deblend", schema)
        self.measurement = SingleFrameMeasurementTask(config.measurement, f"{name}.measurement", schema)
        self.apply_ap_corr = ApplyApCorrTask(
            config.applyApCorr, f"{name}.applyApCorr", schema, self.measurement.apcorr_names()
        )
        self.catalog_calculation = CatalogCalculationTask(
            config.catalogCalculation, f"{name}.catalogCalculation", schema
        )
        self.astrom_loader = RefObjLoader(config.astromRefObjLoader, f"{name}.astromRefObjLoader", astrom_references)
        self.astrometry = AstrometryTask(config.astrometry, f"{name}.astrometry")
        photo_loader = RefObjLoader(config.photoRefObjLoader, f"{name}.photoRefObjLoader", photo_references)
        self.photo_cal = PhotoCalTask(config.photoCal, f"{name}.photoCal", photo_loader, config.astrometry.matcher)
        for flag, doc in (
            ("calib_astrometryUsed", "set if source was used in astrometric calibration"),
            ("calib_photometryUsed", "set if source was used in photometric calibration"),
            ("calib_photometryCandidate", "set if source was a candidate for use in calibration"),
            ("calib_photometryReserved", "set if source was reserved, so not used in calibration"),
        ):
            schema.add_field(flag, "Flag", doc)
        self.schema: Schema = schema
        self._check_columns()

    def _check_columns(self) -> None:
        photo, kind = self.config.photoCal, self.config.astrometry.matcher.sourceFluxType
        self.schema.require(photo.badFlags, "calibrate.photoCal.badFlags")
        self.schema.require([photo.fluxField, f"{photo.fluxField}Sigma"], "calibrate.photoCal.fluxField")
        fluxes = [f"slot_{kind}Flux_{part}" for part in ("flux", "fluxSigma", "flag")]
        self.schema.require(fluxes, "calibrate.astrometry.matcher.sourceFluxType")

    @timed_method
    def run(self, exposure: Exposure, exposure_id: int, ic_sources: SourceCatalog) -> CalibrateResult:
        """Calibrate `exposure`, which must carry a WCS, PSF and aperture corrections; it is not modified.

        A fit that fails or misses its gate ends the calibration but loses nothing: its placeholder is removed, and the
        result holds what is valid together with the failure.

        Raises
        ------
        NoSourcesError
            Nothing is detected.
        MissingInputError
            The reference catalogue does not cover the exposure.
        """
        exposure = exposure.copy()
        result = CalibrateResult(exposure, *self._measure(exposure, exposure_id))
        self._copy_flags(ic_sources, result.sources)
        start, exposure.wcs, exposure.photo_calib = exposure.wcs, None, None
        # Until it is fitted, sky positions are placeholders too.
        result.sources["coord_ra"][:] = result.sources["coord_dec"][:] = np.nan
        try:
            self._calibrate(result, start)
        except DataError as error:
            result.failure = error
        return result

    def _calibrate(self, result: CalibrateResult, start: SkyWcs | None) -> None:
        """Fill `result` fit by fit."""
        exposure, sources = result.exposure, result.sources
        result.astrometry, result.references = self._solve(exposure, sources, start)
        exposure.wcs = result.astrometry.fit.wcs
        _set_coordinates(sources, exposure.wcs)
        result.matches = _match_list(sources, result.references, result.astrometry)
        result.zero_point = self.photo_cal.run(exposure, sources)
        exposure.photo_calib = PhotoCalib.from_zero_point(result.zero_point.value, result.zero_point.error)
        self.log.info("Photometric zero-point: %f", result.zero_point.value)
        self._write_metadata(exposure, result.zero_point)

    def _measure(self, exposure: Exposure, exposure_id: int) -> tuple[SourceCatalog, BackgroundModel | None]:
        """Detect, deblend and measure; the detection's background and masks go into `exposure`."""
        detection = self.detection.run(exposure)
        if not detection.footprints:
            raise NoSourcesError(
                f"No source above {self.config.detection.thresholdValue:g} sigma",
                remedy="Look at the flattened thumbnail, or lower calibrate.detection.thresholdValue",
            )
        sources = make_source_catalog(detection.footprints, self.schema, exposure_id)
        self.deblend.run(exposure, sources)
        self.measurement.run(catalog=sources, exposure=exposure, exposure_id=exposure_id)
        self.apply_ap_corr.run(catalog=sources, ap_corr=exposure.ap_corr or {})
        self.catalog_calculation.run(catalog=sources)
        return sources, detection.background

    def _copy_flags(self, ic_sources: SourceCatalog, sources: SourceCatalog) -> None:
        """Copy the PSF flags of the bright sources to the closest childless sources."""
        childless = np.flatnonzero((sources["deblend_nChild"] == 0) & np.isfinite(sources["slot_Centroid_x"]))
        tree = cKDTree(np.stack([sources["slot_Centroid_x"][childless], sources["slot_Centroid_y"][childless]], axis=1))
        finite = np.flatnonzero(np.isfinite(ic_sources["slot_Centroid_x"]))
        positions = np.stack([ic_sources["slot_Centroid_x"][finite], ic_sources["slot_Centroid_y"][finite]], axis=1)
        distance, nearest = tree.query(positions, distance_upper_bound=self.config.matchRadiusPix)
        # The closest comes last, so that its flags hold where two bright sources share a source.
        order = np.argsort(-distance, kind="stable")
        close = order[np.isfinite(distance[order])]
        rows = childless[nearest[close]]
        if len(np.unique(rows)) < len(rows):
            self.log.warning("%d bright sources share their closest source", len(rows) - len(np.unique(rows)))
        sources["calib_detected"][rows] = True
        for flag in _COPIED_FLAGS:
            sources[flag][rows] = ic_sources[flag][finite[close]]
        self.log.info("Copying flags from icSourceCat to sourceCat for %d sources", len(rows))

    def _solve(
        self, exposure: Exposure, sources: SourceCatalog, start: SkyWcs | None
    ) -> tuple[AstrometrySolution, ReferenceRegion]:
        if start is None or exposure.filter_name is None:
            raise AstrometryError("The exposure has no initial WCS or no filter")
        region = self.astrom_loader.load_pixel_box(exposure.width, exposure.height, start, exposure.filter_name)
        solution = self.astrometry.run(sources, region, start)
        sources["calib_astrometryUsed"][solution.match.source] = True
        return solution, region

    def _write_metadata(self, exposure: Exposure, point: ZeroPoint) -> None:
        assert exposure.visit_info is not None
        exposure_time = exposure.visit_info.exposure_time
        record(self.name, "MAGZERO", point.value - 2.5 * float(np.log10(exposure_time)))
        exposure.metadata["MAGZERO_RMS"] = point.error
        exposure.metadata["MAGZERO_NOBJ"] = point.n_good
        term = point.color_term
        for number, value in enumerate((term.c0, term.c1, term.c2) if term else (0.0, 0.0, 0.0), start=1):
            exposure.metadata[f"COLORTERM{number}"] = value


def _set_coordinates(sources: SourceCatalog, wcs: SkyWcs) -> None:
    ra, dec = wcs.pixel_to_sky(sources["slot_Centroid_x"], sources["slot_Centroid_y"])
    sources["coord_ra"][:], sources["coord_dec"][:] = np.deg2rad(ra), np.deg2rad(dec)


def _match_list(sources: SourceCatalog, region: ReferenceRegion, solution: AstrometrySolution) -> MatchList:
    match = solution.match
    return MatchList(
        ref_ids=region.catalog["id"][match.reference],
        source_ids=sources["id"][match.source],
        distance=np.deg2rad(solution.fit.distance / 3600),
        metadata=match_metadata(region.ra, region.dec, region.radius, region.filter_name),
    )
