"""Characterise an exposure: background, cosmic rays, PSF, aperture corrections, bright sources.

The order of steps is that of the HSC pipeline (Bosch et al. 2018, PASJ 70, S5, section 3.2; lsst/pipe_tasks 7b9181c1).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog, make_minimal_schema
from ..detect.background import BackgroundConfig, fit_background
from ..detect.detection import SourceDetectionConfig, SourceDetectionTask, make_source_catalog
from ..detect.repair import RepairConfig, RepairTask
from ..errors import ApCorrError, NoSourcesError
from ..image.background import BackgroundModel
from ..image.exposure import Exposure
from ..image.psf import GaussianPsf
from ..measure.apply_apcorr import ApplyApCorrConfig, ApplyApCorrTask
from ..measure.catalog_calculation import CatalogCalculationConfig, CatalogCalculationTask
from ..measure.task import SingleFrameMeasurementConfig, SingleFrameMeasurementTask
from ..numerics.constants import FWHM_PER_SIGMA
from ..task_metadata import Task, timed_method
from .measure_apcorr import MeasureApCorrConfig, MeasureApCorrTask
from .measure_psf import MeasurePsfConfig, MeasurePsfResult, MeasurePsfTask

__all__ = [
    "CharacterizeImageConfig",
    "CharacterizeImageTask",
    "CharacterizeNumbers",
    "CharacterizeResult",
    "InstallSimplePsfConfig",
]

_ICSRC_PLUGINS = [
    "base_CircularApertureFlux",
    "base_FPPosition",
    "base_GaussianFlux",
    "base_Jacobian",
    "base_PixelFlags",
    "base_PsfFlux",
    "base_SdssCentroid",
    "base_SdssShape",
    "ext_convolved_ConvolvedFlux",
    "ext_photometryKron_KronFlux",
    "ext_shapeHSM_HsmPsfMoments",
    "ext_shapeHSM_HsmShapeRegauss",
    "ext_shapeHSM_HsmSourceMoments",
    "modelfit_CModel",
    "modelfit_DoubleShapeletPsfApprox",
]
# The median background is for the log; every 16th pixel of a smooth surface gives it to 0.01 ADU.
_MEDIAN_STEP = 16


class InstallSimplePsfConfig(pex_config.Config):
    """The Gaussian that stands in until the PSF is measured."""

    fwhm = pex_config.RangeField("Full width at half maximum (px).", float, default=1.5 * FWHM_PER_SIGMA, min=0.5)
    width = pex_config.RangeField("Size of the stamp (px), odd.", int, default=11, min=1)

    def validate(self) -> None:
        """Refuse a stamp without a central pixel."""
        super().validate()
        if self.width % 2 == 0:
            raise ValueError(f"width {self.width} must be odd")


class CharacterizeImageConfig(pex_config.Config):
    """How an exposure is characterised."""

    doMeasurePsf = pex_config.ChoiceField(
        "Measure the PSF?", bool, default=True, allowed={True: "there is no other source of a PSF"}
    )
    psfIterations = pex_config.RangeField("Rounds of detection, measurement and PSF fit.", int, default=2, min=1)
    background = pex_config.ConfigField("First background.", BackgroundConfig)
    installSimplePsf = pex_config.ConfigField("Placeholder PSF.", InstallSimplePsfConfig)
    repair = pex_config.ConfigField("Cosmic rays.", RepairConfig)
    detection = pex_config.ConfigField("Detection.", SourceDetectionConfig)
    measurement = pex_config.ConfigField("Measurement.", SingleFrameMeasurementConfig)
    measurePsf = pex_config.ConfigField("PSF.", MeasurePsfConfig)
    doApCorr = pex_config.Field("Measure and apply aperture corrections?", bool, default=True)
    measureApCorr = pex_config.ConfigField("Aperture corrections.", MeasureApCorrConfig)
    applyApCorr = pex_config.ConfigField("Their application.", ApplyApCorrConfig)
    catalogCalculation = pex_config.ConfigField("Derived columns.", CatalogCalculationConfig)
    doWrite = pex_config.Field("Write the catalogue of bright sources?", bool, default=True)

    def setDefaults(self) -> None:  # noqa: N802
        """Detect at 5 sigma what reaches 50 sigma, and measure what this step's catalogue holds."""
        super().setDefaults()
        self.detection.thresholdValue = 5.0
        self.detection.includeThresholdMultiplier = 10.0
        self.detection.shoulderSignificance = 0.0
        self.measurement.plugins.names = _ICSRC_PLUGINS


@dataclass
class CharacterizeNumbers:
    """Key numbers, one entry for each PSF iteration where they are lists."""

    n_cosmic_rays: list[int] = field(default_factory=list)
    """The last entry is that of the final repair."""
    n_detected: list[int] = field(default_factory=list)
    n_candidates: list[int] = field(default_factory=list)
    n_psf_stars: list[int] = field(default_factory=list)
    n_reserved: list[int] = field(default_factory=list)
    psf_sigma: list[float] = field(default_factory=list)
    """[px]"""
    median_background: list[float] = field(default_factory=list)
    """[ADU]"""


@dataclass(frozen=True)
class CharacterizeResult:
    """A characterised exposure.

    Attributes
    ----------
    exposure
        Background-subtracted, with PSF and aperture corrections.
    backgrounds
        What was subtracted, in order.
    catalog
        The bright sources (ICSRC).
    numbers
        Key numbers.
    failure
        Why the aperture corrections, the last step, are missing; the fluxes that need them are flagged then.
    """

    exposure: Exposure
    backgrounds: list[BackgroundModel]
    catalog: SourceCatalog
    numbers: CharacterizeNumbers
    failure: ApCorrError | None = None


class CharacterizeImageTask(Task[CharacterizeImageConfig]):
    """Characterise exposures.

    Parameters
    ----------
    config
        Parameters.
    name
        Dotted name of the task, e.g. "processCcd.charImage".
    """

    def __init__(self, config: CharacterizeImageConfig, name: str) -> None:
        super().__init__(config, name)
        self.schema: Schema = make_minimal_schema()
        self.measure_psf = MeasurePsfTask(config.measurePsf, f"{name}.measurePsf", self.schema)
        self.measurement = SingleFrameMeasurementTask(config.measurement, f"{name}.measurement", self.schema)
        fluxes = self.measurement.apcorr_names()
        self.measure_apcorr = MeasureApCorrTask(config.measureApCorr, f"{name}.measureApCorr", self.schema, fluxes)
        self.apply_apcorr = ApplyApCorrTask(config.applyApCorr, f"{name}.applyApCorr", self.schema, fluxes)
        self.catalog_calculation = CatalogCalculationTask(
            config.catalogCalculation, f"{name}.catalogCalculation", self.schema
        )
        self.repair = RepairTask(config.repair, f"{name}.repair")
        self.detection = SourceDetectionTask(config.detection, f"{name}.detection")
        self._check_columns()

    def _check_columns(self) -> None:
        selector, apcorr = self.config.measurePsf.starSelector, self.config.measureApCorr
        self.schema.require([selector.sourceFluxField], "charImage.measurePsf.starSelector.sourceFluxField")
        self.schema.require(selector.badFlags, "charImage.measurePsf.starSelector.badFlags")
        self.schema.require([f"{apcorr.refFluxName}_flux"], "charImage.measureApCorr.refFluxName")
        self.schema.require([apcorr.starFlag], "charImage.measureApCorr.starFlag")

    @timed_method
    def run(self, *, exposure: Exposure, exposure_id: int) -> CharacterizeResult:
        """Characterise an exposure.

        Parameters
        ----------
        exposure
            After instrument signature removal; not changed.
        exposure_id
            Enters source ids and seeds.

        Raises
        ------
        DataError
            One of its subclasses if a step fails; a failure of the aperture corrections is part of the result.
        """
        exposure = exposure.copy()
        numbers = CharacterizeNumbers()
        background = fit_background(exposure.image, exposure.mask, self.config.background, self.log)
        exposure.image -= background.evaluate()
        cells = background.stats[np.isfinite(background.stats)].astype(np.float64)
        exposure.metadata.set("BGMEAN", float(cells.mean()), "Mean of the initial background [ADU]")
        variance = float(cells.var(ddof=1)) if cells.size > 1 else 0.0
        exposure.metadata.set("BGVAR", variance, "Variance of its cells [ADU^2]")
        backgrounds = [background]
        for iteration in range(self.config.psfIterations):
            # Of all models but the last, only the size is used.
            draft = iteration < self.config.psfIterations - 1
            catalog, measured = self._estimate_psf(exposure, exposure_id, backgrounds, numbers, draft)
            exposure.psf = measured.psf
            numbers.median_background.append(_median_background(backgrounds))
            self.log.info(
                "iter %d; PSF sigma=%0.2f, dimensions=(%d, %d); median background=%0.2f",
                iteration + 1,
                measured.sigma,
                measured.psf.size,
                measured.psf.size,
                numbers.median_background[-1],
            )
        self._repair(exposure, numbers, keep=None)
        self.measurement.run(catalog=catalog, exposure=exposure, exposure_id=exposure_id)
        failure = None
        if self.config.doApCorr:
            try:
                exposure.ap_corr = self.measure_apcorr.run(exposure=exposure, catalog=catalog)
            except ApCorrError as error:
                failure = error
            self.apply_apcorr.run(catalog=catalog, ap_corr=exposure.ap_corr or {})
        self.catalog_calculation.run(catalog=catalog)
        return CharacterizeResult(exposure, backgrounds, catalog, numbers, failure)

    def _estimate_psf(
        self,
        exposure: Exposure,
        exposure_id: int,
        backgrounds: list[BackgroundModel],
        numbers: CharacterizeNumbers,
        draft: bool,
    ) -> tuple[SourceCatalog, MeasurePsfResult]:
        self._install_simple_psf(exposure)
        self.log.info("Source catalog detected and measured with placeholder or default PSF")
        self._repair(exposure, numbers, keep=True)
        detected = self.detection.run(exposure)
        if detected.background is not None:
            backgrounds.append(detected.background)
        numbers.n_detected.append(len(detected.footprints))
        if not detected.footprints:
            raise NoSourcesError(
                "No bright source was detected", remedy="Look at the image, or lower charImage.detection.thresholdValue"
            )
        catalog = make_source_catalog(detected.footprints, self.schema, exposure_id)
        self.measurement.run(catalog=catalog, exposure=exposure, exposure_id=exposure_id, only=self._plugins_for_psf())
        measured = self.measure_psf.run(exposure=exposure, catalog=catalog, draft=draft)
        numbers.n_candidates.append(measured.n_candidates)
        numbers.n_psf_stars.append(measured.n_used)
        numbers.n_reserved.append(measured.n_reserved)
        numbers.psf_sigma.append(measured.sigma)
        return catalog, measured

    def _install_simple_psf(self, exposure: Exposure) -> None:
        config = self.config.installSimplePsf
        if exposure.psf is None:
            exposure.psf = GaussianPsf(config.width, config.fwhm / FWHM_PER_SIGMA)
        else:
            exposure.psf = GaussianPsf(exposure.psf.size, exposure.psf.determinant_radius())

    def _repair(self, exposure: Exposure, numbers: CharacterizeNumbers, *, keep: bool | None) -> None:
        rays = self.repair.run(exposure, keep_crs=keep).cosmic_rays
        numbers.n_cosmic_rays.append(0 if rays is None else rays.n)

    def _plugins_for_psf(self) -> list[str]:
        """Return the plugins whose columns the PSF step reads: all others are measured once, with the real PSF."""
        selector, slots = self.config.measurePsf.starSelector, self.config.measurement.slots
        columns = [selector.sourceFluxField, *selector.badFlags, f"{slots.centroid}_x", f"{slots.shape}_xx"]
        fields = [self.schema.find(column).name for column in columns]
        names = [plugin.name for plugin in self.measurement.plugins]
        return [name for name in names if any(column.startswith(f"{name}_") for column in fields)]


def _median_background(backgrounds: list[BackgroundModel]) -> float:
    x = np.arange(_MEDIAN_STEP // 2, backgrounds[0].width, _MEDIAN_STEP, dtype=np.float64)[None, :]
    y = np.arange(_MEDIAN_STEP // 2, backgrounds[0].height, _MEDIAN_STEP, dtype=np.float64)[:, None]
    return float(np.median(sum(background.surface().evaluate(x, y) for background in backgrounds)))
