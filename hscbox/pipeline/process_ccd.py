"""Process one CCD: read its inputs, run the three steps, write the products.

This is the only place where pixels and files meet; the steps themselves never touch a file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import lsst.pex.config as pex_config

from .. import __version__
from ..butler.butler import Butler
from ..butler.data_id import DataId
from ..calibrate.ref_objects import ReferenceShards
from ..calibrate.task import CalibrateConfig, CalibrateResult, CalibrateTask
from ..camera.distortion import PIXEL_SCALE
from ..characterize.task import CharacterizeImageConfig, CharacterizeImageTask, CharacterizeResult
from ..errors import HscboxError
from ..image.background import BackgroundModel
from ..image.exposure import Exposure
from ..isr.config import IsrConfig
from ..isr.result import IsrResult
from ..isr.task import IsrTask
from ..machine.files import output_failure, sha256_file
from ..numerics.constants import FWHM_PER_SIGMA
from ..products.matches import write_denormalized
from ..task_metadata import TaskMetadata, collecting, timed
from .inputs import Inputs, isr_inputs
from .provenance import run_record
from .references import References

__all__ = ["CcdSummary", "ProcessCcdConfig", "ProcessCcdTask"]

# Full width at half maximum of a Gaussian in units of its sigma.


class ProcessCcdConfig(pex_config.Config):
    """Configuration of everything that happens to one CCD."""

    isr = pex_config.ConfigField("Instrument signature removal.", IsrConfig)
    charImage = pex_config.ConfigField("Background, PSF and aperture corrections.", CharacterizeImageConfig)
    calibrate = pex_config.ConfigField("Deep catalogue, astrometry and zero point.", CalibrateConfig)
    doCalibrate = pex_config.Field("Go on after the characterization?", bool, default=True)


@dataclass(frozen=True)
class CcdSummary:
    """The key numbers of one processed CCD."""

    sky: float
    sky_sigma: float
    seeing_arcsec: float
    psf_stars: int
    cosmic_rays: int
    bright_sources: int
    sources: int = 0
    matches: int = 0
    astrometric_scatter_arcsec: float = float("nan")
    zero_point: float = float("nan")
    zero_point_stars: int = 0
    cpu_seconds: float = float("nan")
    peak_memory_mib: float = float("nan")


class ProcessCcdTask:
    """Process CCDs of one repository with one configuration.

    Parameters
    ----------
    config
        The configuration.
    butler
        Open on the input and the output repository.
    config_digest
        SHA-256 of the configuration, for the products' headers.
    """

    name = "processCcd"

    def __init__(self, config: ProcessCcdConfig, butler: Butler, config_digest: str) -> None:
        self.config = config
        self.butler = butler
        self.config_digest = config_digest
        self.log = logging.getLogger(self.name)
        self.isr = IsrTask(config.isr, f"{self.name}.isr")
        self.char_image = CharacterizeImageTask(config.charImage, f"{self.name}.charImage")
        self._inputs = Inputs()
        self.calibrate = CalibrateTask(config.calibrate, f"{self.name}.calibrate", *self._references())

    def _references(self) -> list[ReferenceShards]:
        """Return the catalogues for astrometry and photometry; without calibration neither needs to be there."""
        if not self.config.doCalibrate:
            return [ReferenceShards(lambda _: None, 0)] * 2
        references = References(self.butler, sha256_file, lambda *noted: self._inputs.note(*noted))
        config = self.config.calibrate
        loaders = (config.astromRefObjLoader, config.photoRefObjLoader)
        return [references.open(str(loader.ref_dataset_name)) for loader in loaders]

    def run(self, data_id: DataId) -> CcdSummary:
        """Process the CCD of an expanded data id and write its products.

        What was valid before a failure stays written; the metadata file is written in any case.

        Raises
        ------
        HscboxError
            A subclass that says what failed.
        """
        started = datetime.now(UTC)
        self._inputs = Inputs()
        metadata = TaskMetadata()
        status, failure = "unexpected", None
        try:
            with collecting(metadata):
                summary = self._run(data_id)
            status = "done"
        except HscboxError as error:
            status, failure = error.code, error
            raise
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            metadata.set(
                f"{self.name}.provenance",
                run_record(data_id, self._inputs.files, self.config_digest, status, started, failure),
            )
            self.butler.put(metadata, "processCcd_metadata", data_id)
        return summary

    def _run(self, data_id: DataId) -> CcdSummary:
        self.log.info("Processing %s", dict(data_id))
        with timed(self.name, "run"):
            isr, exposure_id = self._isr(data_id)
            logging.getLogger(self.char_image.name).info("Processing %s", dict(data_id))
            characterized = self.char_image.run(exposure=isr.exposure, exposure_id=exposure_id)
            if self.config.charImage.doWrite:
                self.butler.put(characterized.catalog, "icSrc", data_id)
            if characterized.failure is not None:
                # WCS and zero point are placeholders until they are fitted.
                exposure = replace(characterized.exposure, wcs=None, photo_calib=None)
                self._discard(data_id, "src", "srcMatch", "srcMatchFull")
                self._write_exposure(data_id, exposure, characterized.backgrounds)
                raise characterized.failure
            if not self.config.doCalibrate:
                return _summary(isr, characterized, None)
            logging.getLogger(self.calibrate.name).info("Processing %s", dict(data_id))
            calibrated = self.calibrate.run(characterized.exposure, exposure_id, characterized.catalog)
            self._write(data_id, characterized, calibrated)
            if calibrated.failure is not None:
                raise calibrated.failure
        return _summary(isr, characterized, calibrated)

    def _isr(self, data_id: DataId) -> tuple[IsrResult, int]:
        """Return the corrected frame and its exposure id."""
        logging.getLogger(self.isr.name).info("Performing ISR on sensor %s", dict(data_id))
        arguments = isr_inputs(self.butler, data_id, self.config.isr, self._inputs)
        result = self.isr.run(**arguments)
        self._sign(result.exposure)
        if result.oss_thumbnail is not None:
            self.butler.put(result.oss_thumbnail, "ossThumb", data_id)
        if result.flattened_thumbnail is not None:
            self.butler.put(result.flattened_thumbnail, "flattenedThumb", data_id)
        if self.config.isr.doWrite:
            self.butler.put(result.exposure, "postISRCCD", data_id)
        return result, int(arguments["exposure_id"])

    def _sign(self, exposure: Exposure) -> None:
        exposure.metadata.set("HSCBOX", __version__, "version of hscbox")
        exposure.metadata.set("RAWSHA", self._inputs.files["raw"]["sha256"], "SHA-256 of the raw file")
        exposure.metadata.set("CFGSHA", self.config_digest, "SHA-256 of the configuration")

    def _write(self, data_id: DataId, characterized: CharacterizeResult, calibrated: CalibrateResult) -> None:
        exposure = calibrated.exposure
        exposure.metadata.set("REFSHA", self._inputs.shards_digest(), "SHA-256 over the reference shards")
        backgrounds = list(characterized.backgrounds)
        if calibrated.background is not None:
            backgrounds.append(calibrated.background)
        self.butler.put(calibrated.sources, "src", data_id)
        if calibrated.matches is not None and calibrated.references is not None:
            self.butler.put(calibrated.matches, "srcMatch", data_id)
            write_denormalized(
                self.butler.write_path("srcMatchFull", data_id),
                calibrated.references.catalog,
                calibrated.sources,
                calibrated.matches,
            )
        else:
            self._discard(data_id, "srcMatch", "srcMatchFull")
        self._write_exposure(data_id, exposure, backgrounds)

    def _discard(self, data_id: DataId, *datasets: str) -> None:
        """Remove what an earlier run left: it does not belong to the products of this one."""
        for dataset in datasets:
            path = self.butler.write_path(dataset, data_id)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise output_failure(path, error) from error

    def _write_exposure(self, data_id: DataId, exposure: Exposure, backgrounds: list[BackgroundModel]) -> None:
        self.butler.put(exposure, "calexp", data_id)
        self.butler.put(backgrounds, "calexpBackground", data_id)


def _summary(isr: IsrResult, characterized: CharacterizeResult, calibrated: CalibrateResult | None) -> CcdSummary:
    metadata = isr.exposure.metadata
    common: dict[str, Any] = {
        "sky": float(metadata["SKYLEVEL"]),  # type: ignore[arg-type]
        "sky_sigma": float(metadata["SKYSIGMA"]),  # type: ignore[arg-type]
        "seeing_arcsec": characterized.numbers.psf_sigma[-1] * FWHM_PER_SIGMA * PIXEL_SCALE,
        "psf_stars": characterized.numbers.n_psf_stars[-1],
        "cosmic_rays": characterized.numbers.n_cosmic_rays[-1],
        "bright_sources": len(characterized.catalog),
    }
    if calibrated is None or calibrated.astrometry is None or calibrated.zero_point is None:
        return CcdSummary(**common)
    return CcdSummary(
        **common,
        sources=len(calibrated.sources),
        matches=len(calibrated.astrometry.match),
        astrometric_scatter_arcsec=calibrated.astrometry.scatter_mean,
        zero_point=calibrated.zero_point.value,
        zero_point_stars=calibrated.zero_point.n_good,
    )
