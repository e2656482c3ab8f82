"""Process one CCD: read its inputs, run the three steps, write the products.

This is the only place where pixels and files meet; the steps themselves never touch a file.
"""

from __future__ import annotations

import logging
import resource
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import lsst.pex.config as pex_config

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
from ..isr.task import IsrResult, IsrTask
from ..machine.files import output_failure
from ..numerics.constants import FWHM_PER_SIGMA
from ..products.matches import write_denormalized
from ..task_metadata import TaskMetadata, collecting, timed
from .inputs import Inputs, isr_inputs
from .provenance import this_process
from .record import CcdNumbers, CcdRecord, keep_record, now, signature, to_text
from .references import References

__all__ = ["ProcessCcdConfig", "ProcessCcdTask"]


class ProcessCcdConfig(pex_config.Config):
    """Configuration of everything that happens to one CCD."""

    isr = pex_config.ConfigField("Instrument signature removal.", IsrConfig)
    charImage = pex_config.ConfigField("Background, PSF and aperture corrections.", CharacterizeImageConfig)
    calibrate = pex_config.ConfigField("Deep catalogue, astrometry and zero point.", CalibrateConfig)
    doCalibrate = pex_config.Field("Go on after the characterization?", bool, default=True)


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
        self._inputs, self._references_sha256 = Inputs(), ""
        self._references = References(butler, lambda *noted: self._inputs.note(*noted))
        self.calibrate = CalibrateTask(config.calibrate, f"{self.name}.calibrate", *self._shards())

    def _shards(self) -> list[ReferenceShards]:
        """Return the catalogues for astrometry and photometry; without calibration neither needs to be there."""
        if not self.config.doCalibrate:
            return [ReferenceShards(lambda _: None, 0)] * 2
        config = self.config.calibrate
        loaders = (config.astromRefObjLoader, config.photoRefObjLoader)
        return [self._references.open(str(loader.ref_dataset_name)) for loader in loaders]

    def run(
        self, data_id: DataId, *, place: Path | None = None, tries: int = 1, raise_errors: bool = False
    ) -> CcdRecord:
        """Process the CCD of an expanded data id, write its products, and return the record of how it ended.

        What was valid before a failure stays written. The record is kept in any case: in the metadata file, and as a
        file of its own in `place`.

        Parameters
        ----------
        place
            Directory for the records of this run; None to keep them in the metadata files only.
        tries
            Which try of this CCD it is.
        raise_errors
            Raise the error that ends the CCD, after its record is written, instead of logging it.
        """
        begun = CcdRecord(data_id=dict(data_id), started=now(), run=place.name if place else "", tries=tries)
        wall, cpu = time.monotonic(), time.process_time()
        self._inputs, self._references_sha256 = Inputs(), ""
        self._references.forget()
        metadata = TaskMetadata()
        numbers, error = None, None
        try:
            with collecting(metadata):
                numbers = self._run(data_id)
        except (Exception, KeyboardInterrupt) as caught:
            error = _interrupt(caught) or caught
        record = replace(
            self._known(begun),
            ended=now(),
            numbers=numbers,
            wall_seconds=time.monotonic() - wall,
            cpu_seconds=time.process_time() - cpu,
            peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
        record = record if error is None else record.failed(error)
        metadata.set(f"{self.name}.provenance", to_text(record))
        try:
            self.butler.put(metadata, "processCcd_metadata", data_id)
        except HscboxError as unwritten:
            error, record = (unwritten, record.failed(unwritten)) if error is None else (error, record)
        if place is not None:
            keep_record(place, record)
        if error is not None:
            self._report(data_id, error, raise_errors)
        return record

    def _known(self, record: CcdRecord) -> CcdRecord:
        """Return a record with what is known by now of the maker and of the inputs."""
        return replace(
            record,
            **this_process(),
            inputs=dict(self._inputs.files),
            config_sha256=self.config_digest,
            references_sha256=self._references_sha256,
        )

    def _report(self, data_id: DataId, error: BaseException, raise_errors: bool) -> None:
        """Log the error that ended a CCD, or raise it."""
        meant = isinstance(error, HscboxError)
        if isinstance(error, KeyboardInterrupt) or (raise_errors and not meant):
            raise error
        if raise_errors:
            traceback.print_exception(error)
            raise error
        if meant:
            self.log.critical("Failed on dataId=%s: %s", data_id, error)
            if self.log.isEnabledFor(logging.DEBUG):
                traceback.print_exception(error)
        else:
            # A defect of the program on one CCD must not take the others with it: the run goes on, and ends with the
            # status of an unexpected error.
            self.log.critical("Failed on dataId=%s", data_id, exc_info=error)

    def _run(self, data_id: DataId) -> CcdNumbers:
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
                return _numbers(isr, characterized, None)
            logging.getLogger(self.calibrate.name).info("Processing %s", dict(data_id))
            calibrated = self.calibrate.run(characterized.exposure, exposure_id, characterized.catalog)
            self._write(data_id, characterized, calibrated)
            if calibrated.failure is not None:
                raise calibrated.failure
        return _numbers(isr, characterized, calibrated)

    def _isr(self, data_id: DataId) -> tuple[IsrResult, int]:
        """Return the corrected frame and its exposure id."""
        logging.getLogger(self.isr.name).info("Performing ISR on sensor %s", dict(data_id))
        inputs = isr_inputs(self.butler, data_id, self.config.isr, self._inputs)
        result = self.isr.run(inputs)
        self._sign(data_id, result.exposure)
        for dataset, thumbnail in result.thumbnails.items():
            self.butler.put(thumbnail, dataset, data_id)
        if self.config.isr.doWrite:
            self.butler.put(result.exposure, "postISRCCD", data_id)
        return result, inputs.exposure_id

    def _sign(self, data_id: DataId, exposure: Exposure) -> None:
        for keyword, value, comment in signature(self._known(CcdRecord(data_id=data_id))):
            exposure.metadata.set(keyword, value, comment)

    def _write(self, data_id: DataId, characterized: CharacterizeResult, calibrated: CalibrateResult) -> None:
        exposure = calibrated.exposure
        self._references_sha256 = self._inputs.shards_digest()
        self._sign(data_id, exposure)
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


def _interrupt(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interrupt behind an error: calls of compiled loops turn one that reaches them into a `SystemError`."""
    while isinstance(error, SystemError):
        error = error.__cause__ or error.__context__
    return error if isinstance(error, KeyboardInterrupt) else None


def _numbers(isr: IsrResult, characterized: CharacterizeResult, calibrated: CalibrateResult | None) -> CcdNumbers:
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
        return CcdNumbers(**common)
    return CcdNumbers(
        **common,
        sources=len(calibrated.sources),
        matches=len(calibrated.astrometry.match),
        astrometric_scatter_arcsec=calibrated.astrometry.scatter_mean,
        zero_point=calibrated.zero_point.value,
        zero_point_stars=calibrated.zero_point.n_good,
    )
