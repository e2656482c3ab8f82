"""The instrument signature removal task: all corrections, in their order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..camera.boxes import Box
from ..camera.crosstalk import crosstalk_matrix
from ..camera.detector import Detector
from ..camera.filters import rough_zero_point
from ..camera.vignette import vignette_polygon
from ..camera.visit_info import VisitInfo
from ..errors import MissingInputError, SaturatedFrameError
from ..image.calib_image import CalibImage
from ..image.exposure import Exposure
from ..image.photo_calib import PhotoCalib
from ..image.thumbnail import make_thumbnail
from ..numerics.arrays import FloatArray
from ..task_metadata import record, timed, timed_method
from .amplifiers import AssembledFrame, assemble, detector_of_raw
from .bad_regions import fill_bad_regions
from .bias import subtract_bias
from .brighter_fatter import brighter_fatter_correction
from .calibs import fitting_calib
from .config import IsrConfig
from .crosstalk import subtract_crosstalk
from .dark import subtract_dark
from .defects import interpolate_defects
from .flat import divide_by_flat
from .fringe import subtract_fringes
from .gains import add_electrons, column_gains, electrons_of
from .header import raw_cards, record_master, record_numbers, record_step
from .linearity import linearize
from .nans import interpolate_nans
from .result import IsrResult, RawPixels
from .saturation import full_wells, interpolate_saturated, widen_trails
from .silent_amplifiers import mask_silent_amplifiers
from .sky_level import measure_sky_level
from .starting_wcs import starting_wcs
from .valid_polygon import valid_polygon
from .variance import set_variance

__all__ = ["IsrTask"]

_AMPLIFIERS = "amplifiers.ecsv"
"""The camera's table of gains, read noises, saturation levels and linearity coefficients."""


@dataclass
class _Work:
    """State of one run."""

    exposure: Exposure
    detector: Detector
    defects: Sequence[Box]
    dead: tuple[int, ...]
    exposure_id: int
    calibs: dict[str, CalibImage | None]
    kernel: FloatArray | None
    result: IsrResult

    def calib(self, kind: str) -> CalibImage:
        shape = (self.exposure.height, self.exposure.width)
        return fitting_calib(self.calibs[kind], kind, shape)


class IsrTask:
    """Turn a raw frame into a flat-fielded exposure with mask and variance.

    Parameters
    ----------
    config
        Switches and parameters.
    name
        Task name; loggers are called after it.
    """

    def __init__(self, config: IsrConfig | None = None, name: str = "isr") -> None:
        self.config = IsrConfig() if config is None else config
        self.name = name
        self.log = logging.getLogger(name)

    @timed_method
    def run(
        self,
        *,
        raw: RawPixels,
        detector: Detector,
        visit_info: VisitInfo | None,
        filter_name: str,
        bias: CalibImage | None = None,
        dark: CalibImage | None = None,
        flat: CalibImage | None = None,
        fringe: CalibImage | None = None,
        bf_kernel: FloatArray | None = None,
        defects: Sequence[Box] = (),
        exposure_id: int = 0,
    ) -> IsrResult:
        """Apply all corrections that are switched on; no argument is changed.

        Parameters
        ----------
        raw
            Raw frame in the detector frame; a cut-out has fewer rows.
        detector
            The whole detector; it is cut to the rows of the frame.
        visit_info
            Needed for the dark and the rough zero point.
        filter_name
            Canonical name; decides about fringes.
        bias, dark, flat, fringe, bf_kernel
            Calibrations; masters with more rows are cut.
        defects
            Boxes on the trimmed image.
        exposure_id
            200 visit + ccd; seeds the fringe positions.

        Raises
        ------
        MissingInputError
            A calibration of a correction that is switched on is None.
        DamagedInputError
            Shapes do not fit.
        SaturatedFrameError
            No usable pixel is left.
        DataError
            All amplifiers are defects, or fringes cannot be measured.
        """
        detector = detector_of_raw(detector, raw.pixels.shape)
        frame = assemble(raw.pixels, detector, defects, self.config)
        exposure = Exposure(frame.image, frame.mask, np.ones_like(frame.image))
        exposure.wcs = starting_wcs(detector, visit_info, raw.header)
        exposure.visit_info, exposure.filter_name, exposure.detector = visit_info, filter_name, detector
        exposure.metadata = raw_cards(raw.header)
        work = _Work(
            exposure,
            detector,
            defects,
            frame.dead,
            exposure_id,
            {"bias": bias, "dark": dark, "flat": flat, "fringe": fringe},
            bf_kernel,
            IsrResult(exposure),
        )
        self._record_assembly(work, frame)
        self._correct_signal(work)
        self._correct_response(work)
        self._repair(work)
        self._finish(work)
        return work.result

    def _record_assembly(self, work: _Work, frame: AssembledFrame) -> None:
        metadata = work.exposure.metadata
        for index, level in frame.overscan_levels.items():
            metadata.set(f"OSLEVEL{index}", level, "[ADU] median of the overscan")
        for index, sigma in frame.overscan_sigmas.items():
            metadata.set(f"OSSIGMA{index}", sigma, "[ADU] clipped standard deviation of the overscan")
        record_step(metadata, "OSCN", self.config.doOverscan)
        record_step(metadata, "SUSP", self.config.doSuspect)
        if self.config.doSaturation or self.config.doSuspect:
            levels = [(amp.saturation, amp.suspect) for amp in work.detector.amplifiers]
            record_numbers(metadata, "SAT", _AMPLIFIERS, levels)
        if self.config.qa.doThumbnailOss:
            work.result.oss_thumbnail = make_thumbnail(work.exposure.image, work.exposure.mask)

    def _correct_signal(self, work: _Work) -> None:
        """Correct what happens between collection of the charge and the file."""
        config, exposure, metadata = self.config, work.exposure, work.exposure.metadata
        if config.doBias:
            subtract_bias(exposure, work.calib("bias"))
            record_master(metadata, "BIAS", work.calib("bias"))
        record_step(metadata, "BIAS", config.doBias)
        silent = mask_silent_amplifiers(exposure, work.detector)
        for number in silent:
            self.log.warning("Amplifier %d sees no sky although others do; setting it to BAD", number)
        work.dead = tuple(sorted({*work.dead, *silent}))
        metadata.set("DEADAMPS", " ".join(map(str, work.dead)), "amplifiers in the defect list, or without signal")
        if config.doVariance:
            set_variance(exposure, work.detector)
            record_numbers(
                metadata, "VAR", _AMPLIFIERS, [(amp.gain, amp.read_noise) for amp in work.detector.amplifiers]
            )
        record_step(metadata, "VAR", config.doVariance)
        is_linearized = config.doLinearize and linearize(exposure, work.detector)
        if is_linearized:
            record_numbers(metadata, "LIN", _AMPLIFIERS, [amp.linearity_c0 for amp in work.detector.amplifiers])
        record_step(metadata, "LIN", is_linearized)
        if config.doCrosstalk:
            logging.getLogger(f"{self.name}.crosstalk").info("Applying crosstalk correction")
            subtract_crosstalk(exposure, work.detector, crosstalk_matrix(), config.crosstalk.minPixelToMask)
            record_numbers(metadata, "XTLK", "crosstalk.ecsv", crosstalk_matrix())
        record_step(metadata, "XTLK", config.doCrosstalk)
        if config.doBrighterFatter:
            self._correct_brighter_fatter(work)
        record_step(metadata, "BF", config.doBrighterFatter)

    def _correct_brighter_fatter(self, work: _Work) -> None:
        if work.kernel is None:
            raise MissingInputError(
                "Unable to retrieve brighter-fatter kernel: the frame has none",
                remedy="Put it into the calibration repository, or switch doBrighterFatter off",
            )
        self.log.info("Applying brighter fatter correction")
        config, exposure = self.config, work.exposure
        gains = column_gains(work.detector) if config.brighterFatterApplyGain else np.ones(exposure.width, np.float32)
        fit = brighter_fatter_correction(
            electrons_of(exposure.image, gains),
            work.kernel,
            full_wells(exposure.mask),
            max_iter=config.brighterFatterMaxIter,
            threshold=config.brighterFatterThreshold,
            conserve=config.brighterFatterConserveCharge,
        )
        if not fit.converged:
            self.log.warning("Brighter fatter correction did not converge, final difference %f", fit.difference)
        add_electrons(exposure.image, fit.correction, gains)
        self.log.info("Finished brighter fatter in %d iterations", fit.iterations)
        record_numbers(exposure.metadata, "BFK", "brighter_fatter_kernel", work.kernel)
        exposure.metadata.set("BFITER", fit.iterations, "iterations of the brighter-fatter correction")
        work.result.numbers["brighter_fatter_iterations"] = fit.iterations

    def _correct_response(self, work: _Work) -> None:
        """Subtract dark current, divide by the flat."""
        config, exposure, metadata = self.config, work.exposure, work.exposure.metadata
        if config.doDark:
            if exposure.visit_info is None:
                raise MissingInputError("Unable to scale the dark: the frame has no visit information")
            subtract_dark(exposure, work.calib("dark"), exposure.visit_info.dark_time)
            record_master(metadata, "DARK", work.calib("dark"))
        record_step(metadata, "DARK", config.doDark)
        if config.doFlat:
            divide_by_flat(exposure, work.calib("flat"))
            record_master(metadata, "FLAT", work.calib("flat"))
        record_step(metadata, "FLAT", config.doFlat)

    def _repair(self, work: _Work) -> None:
        """Replace what cannot be trusted, and subtract fringes in between."""
        config, exposure, metadata = self.config, work.exposure, work.exposure.metadata
        numbers = work.result.numbers
        if config.doSetBadRegions and work.dead:
            # What is interpolated beside dead amplifiers looks at their pixels.
            fill_bad_regions(exposure, config.badStatistic)
        if config.doDefect:
            numbers["defect_pixels"] = interpolate_defects(exposure, work.defects, work.detector)
            record_numbers(metadata, "DEF", "defects.ecsv", [tuple(box) for box in work.defects])
        record_step(metadata, "DEF", config.doDefect)
        if config.doWidenSaturationTrails:
            widen_trails(exposure.mask)
        record_step(metadata, "TRL", config.doWidenSaturationTrails)
        if config.doSaturation:
            numbers["saturated_pixels"] = interpolate_saturated(exposure, config.growSaturationFootprintSize)
        record_step(metadata, "SAT", config.doSaturation)
        has_fringes = config.doFringe and exposure.filter_name in config.fringe.filters
        if has_fringes:
            self._subtract_fringes(work)
        record_step(metadata, "FRNG", has_fringes)
        if config.doSetBadRegions:
            number, value = fill_bad_regions(exposure, config.badStatistic)
            self.log.info("Set %d BAD pixels to %.2f", number, value)
        numbers["nan_pixels"] = interpolate_nans(exposure)
        record(self.name, "NUMNANS", int(numbers["nan_pixels"]))
        if numbers["nan_pixels"]:
            self.log.warning("There were %d unmasked NaNs", numbers["nan_pixels"])

    def _subtract_fringes(self, work: _Work) -> None:
        config, fringe = self.config.fringe, work.calib("fringe")
        with timed(f"{self.name}.fringe", "run"):
            fit = subtract_fringes(
                work.exposure,
                fringe,
                work.exposure_id,
                num=config.num,
                small=config.small,
                large=config.large,
                iterations=config.iterations,
                clip=config.clip,
                pedestal=config.pedestal,
                ignored_planes=tuple(config.stats.badMaskPlanes),
            )
        logging.getLogger(f"{self.name}.fringe").info(
            "Fringe scale %f, residual %f, from %d of %d positions", fit.scale, fit.rms, fit.n_used, fit.n_positions
        )
        record_master(work.exposure.metadata, "FRNG", fringe)
        work.exposure.metadata.set("FRSCALE", fit.scale, "[ADU] factor of the fringe frame")
        work.result.numbers["fringe_scale"] = fit.scale

    def _finish(self, work: _Work) -> None:
        """Make the thumbnail, measure the sky, attach rough zero point and valid polygon."""
        config, exposure = self.config, work.exposure
        if config.qa.doThumbnailFlattened:
            work.result.flattened_thumbnail = make_thumbnail(exposure.image, exposure.mask)
        self._measure_sky(work)
        seconds = float("nan") if exposure.visit_info is None else exposure.visit_info.exposure_time
        if seconds > 0:
            calib = PhotoCalib.from_zero_point(rough_zero_point(exposure.filter_name or "") + 2.5 * np.log10(seconds))
            self.log.info("Setting rough magnitude zero point: %f", calib.zero_point)
            exposure.photo_calib = calib
        else:
            self.log.warning("Non-positive exposure time %s s; skipping rough zero point", seconds)
        if config.doWriteVignettePolygon:
            exposure.valid_polygon = valid_polygon(work.detector, vignette_polygon())
            record_numbers(exposure.metadata, "POLY", "vignette.ecsv", vignette_polygon())

    def _measure_sky(self, work: _Work) -> None:
        mesh, metadata = self.config.qa.flatness, work.exposure.metadata
        sky = measure_sky_level(work.exposure, mesh.meshX, mesh.meshY, n_sigma=mesh.clipSigma, n_iter=mesh.nIter)
        if not (np.isfinite(sky.level) and np.isfinite(sky.sigma) and np.isfinite(sky.flatness_rms)):
            raise SaturatedFrameError(
                f"CCD {work.detector.id} has no usable sky: level {sky.level}, sigma {sky.sigma}",
                remedy="All pixels are bad or saturated, or the sky level is zero",
                ccd=work.detector.id,
            )
        grid = f"{sky.n_x}x{sky.n_y}"
        self.log.info("Flattened sky level: %f +/- %f", sky.level, sky.sigma)
        self.log.info("Measuring sky levels in %s grids: %f", grid, sky.mesh_level)
        self.log.info("Sky flatness in %s grids - pp: %f rms: %f", grid, sky.flatness_pp, sky.flatness_rms)
        metadata.set("SKYLEVEL", sky.level, "[ADU] median sky")
        metadata.set("SKYSIGMA", sky.sigma, "[ADU] clipped standard deviation of the sky")
        metadata.set("FLATNESS_PP", sky.flatness_pp)
        metadata.set("FLATNESS_RMS", sky.flatness_rms)
        metadata.set("FLATNESS_NGRIDS", grid)
        metadata.set("FLATNESS_MESHX", int(mesh.meshX))
        metadata.set("FLATNESS_MESHY", int(mesh.meshY))
        work.result.numbers |= {"sky_level": sky.level, "sky_sigma": sky.sigma}
