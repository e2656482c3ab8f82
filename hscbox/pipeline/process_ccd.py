"""Process one CCD: read its inputs, run the three steps, write the products.

This is the only place where pixels and files meet; the steps themselves never touch a file.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lsst.pex.config as pex_config

from .. import __version__
from ..butler.butler import Butler
from ..calibrate.ref_objects import ReferenceShards
from ..calibrate.task import CalibrateConfig, CalibrateResult, CalibrateTask
from ..camera.camera import load_camera
from ..camera.detector import Detector
from ..camera.distortion import PIXEL_SCALE
from ..camera.filters import canonical_name
from ..camera.visit_info import visit_info_from_header
from ..catalog.matches import write_denormalized
from ..characterize.task import CharacterizeImageConfig, CharacterizeImageTask, CharacterizeResult
from ..errors import FocusCcdError, HscboxError
from ..files import sha256_file
from ..image.exposure import Exposure
from ..isr.task import IsrConfig, IsrResult, IsrTask
from ..task_metadata import TaskMetadata, collecting, timed
from .provenance import run_record
from .references import References

__all__ = ["CcdSummary", "ProcessCcdConfig", "ProcessCcdTask"]

DataId = Mapping[str, int | str | float]
_CCDS_PER_VISIT = 200
# Full width at half maximum of a Gaussian in units of its sigma.
_FWHM = 2.3548


class ProcessCcdConfig(pex_config.Config):  # type: ignore[misc]
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


@dataclass
class _Inputs:
    """Files read for one CCD: path and SHA-256 by dataset name."""

    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, name: str, path: Path) -> str:
        digest = sha256_file(path)
        self.note(name, path, digest)
        return digest

    def note(self, name: str, path: Path, digest: str) -> None:
        self.files[name] = {"path": str(path), "sha256": digest}

    def shards_digest(self) -> str:
        """Return one digest for all reference shards that were read."""
        shards = sorted((n, f["sha256"]) for n, f in self.files.items() if n.startswith("ref_cat:"))
        return hashlib.sha256(repr(shards).encode()).hexdigest()


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
        self._inputs = _Inputs()
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
        self._inputs = _Inputs()
        metadata = TaskMetadata()
        status = "unexpected"
        try:
            with collecting(metadata):
                summary = self._run(data_id)
            status = "done"
        except HscboxError as error:
            status = error.code
            raise
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            metadata.set(
                f"{self.name}.provenance",
                run_record(data_id, self._inputs.files, self.config_digest, status, started),
            )
            self.butler.put(metadata, "processCcd_metadata", data_id)
        return summary

    def _run(self, data_id: DataId) -> CcdSummary:
        self.log.info("Processing %s", dict(data_id))
        with timed(self.name, "run"):
            detector = science_detector(int(data_id["ccd"]))
            isr = self._isr(data_id, detector)
            exposure_id = int(data_id["visit"]) * _CCDS_PER_VISIT + detector.id
            logging.getLogger(self.char_image.name).info("Processing %s", dict(data_id))
            characterized = self.char_image.run(exposure=isr.exposure, exposure_id=exposure_id)
            if self.config.charImage.doWrite:
                self.butler.put(characterized.catalog, "icSrc", data_id)
            if not self.config.doCalibrate:
                return _summary(isr, characterized, None)
            logging.getLogger(self.calibrate.name).info("Processing %s", dict(data_id))
            calibrated = self.calibrate.run(characterized.exposure, exposure_id, characterized.catalog)
            self._write(data_id, characterized, calibrated)
            if calibrated.failure is not None:
                raise calibrated.failure
        return _summary(isr, characterized, calibrated)

    def _isr(self, data_id: DataId, detector: Detector) -> IsrResult:
        logging.getLogger(self.isr.name).info("Performing ISR on sensor %s", dict(data_id))
        raw_path = self.butler.path("raw", data_id)
        digest = self._inputs.add("raw", raw_path)
        raw = self.butler.get("raw", data_id)
        visit_info = visit_info_from_header(raw.header)
        filter_name = canonical_name(str(data_id["filter"]))
        result = self.isr.run(
            raw=raw,
            detector=detector,
            visit_info=visit_info,
            filter_name=filter_name,
            exposure_id=int(data_id["visit"]) * _CCDS_PER_VISIT + detector.id,
            defects=self.butler.get("defects", data_id) if self.config.isr.doDefect else (),
            **self._calibs(data_id, filter_name),
        )
        self._sign(result.exposure, digest)
        if result.oss_thumbnail is not None:
            self.butler.put(result.oss_thumbnail, "ossThumb", data_id)
        if result.flattened_thumbnail is not None:
            self.butler.put(result.flattened_thumbnail, "flattenedThumb", data_id)
        if self.config.isr.doWrite:
            self.butler.put(result.exposure, "postISRCCD", data_id)
        return result

    def _calibs(self, data_id: DataId, filter_name: str) -> dict[str, Any]:
        """Read the master calibrations that the configuration asks for; the others are None."""
        config = self.config.isr
        wanted = {
            "bias": config.doBias,
            "dark": config.doDark,
            "flat": config.doFlat,
            "fringe": config.doFringe and filter_name in config.fringe.filters,
        }
        calibs: dict[str, Any] = dict.fromkeys(wanted)
        for name in (name for name, on in wanted.items() if on):
            calibs[name] = self.butler.get(name, data_id)
            path = self.butler.path(name, data_id)
            self._inputs.note(name, path, calibs[name].sha256)
        calibs["bf_kernel"] = None
        if config.doBrighterFatter:
            calibs["bf_kernel"] = self.butler.get("bfKernel", data_id)
            self._inputs.add("bfKernel", self.butler.path("bfKernel", data_id))
        return calibs

    def _sign(self, exposure: Exposure, raw_digest: str) -> None:
        exposure.metadata.set("HSCBOX", __version__, "version of hscbox")
        exposure.metadata.set("RAWSHA", raw_digest, "SHA-256 of the raw file")
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
        self.butler.put(exposure, "calexp", data_id)
        self.butler.put(backgrounds, "calexpBackground", data_id)


def science_detector(ccd: int) -> Detector:
    """Return the detector of a CCD number.

    Raises
    ------
    FocusCcdError
        It is one of the focus CCDs.
    """
    detector = load_camera()[ccd]
    if not detector.is_science:
        raise FocusCcdError(
            f"CCD {ccd} ({detector.name}) is a focus CCD and cannot be processed; science CCDs are 0 to 103",
            remedy="Leave it out of --id",
            ccd=ccd,
        )
    return detector


def _summary(isr: IsrResult, characterized: CharacterizeResult, calibrated: CalibrateResult | None) -> CcdSummary:
    metadata = isr.exposure.metadata
    common: dict[str, Any] = {
        "sky": float(metadata["SKYLEVEL"]),  # type: ignore[arg-type]
        "sky_sigma": float(metadata["SKYSIGMA"]),  # type: ignore[arg-type]
        "seeing_arcsec": characterized.numbers.psf_sigma[-1] * _FWHM * PIXEL_SCALE,
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
