"""Repair an exposure: mark cosmic rays and, if asked to, replace their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lsst.pex.config import ChoiceField, Config, ConfigField, Field, RangeField

from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.statistics import median
from ..task_metadata import Task, timed_method
from .cosmic_ray_steepness import steepness_of
from .cosmic_ray_tracks import WIDEST
from .cosmic_ray_values import replace_pixels
from .cosmic_rays import CosmicRays, find_cosmic_rays

__all__ = ["CosmicRayConfig", "RepairConfig", "RepairResult", "RepairTask"]


class CosmicRayConfig(Config):
    """How cosmic rays are found (names of lsst/meas_algorithms, FindCosmicRaysConfig; trackFactor is our own)."""

    minSigma = RangeField(
        "Least height above the mean of two opposite neighbours [standard deviations]; larger finds fewer.",
        float,
        default=6.0,
        min=0.0,
    )
    min_DN = RangeField("Least sum of a cosmic ray [ADU]; larger finds fewer.", float, default=150.0, min=0.0)
    cond3_fac = RangeField(
        "Noise margin of the test against the PSF [standard deviations].", float, default=2.5, min=0.0
    )
    cond3_fac2 = RangeField(
        "Factor on the PSF's own ratio of neighbours to centre; smaller protects stars better.",
        float,
        default=0.4,
        min=0.0,
    )
    niteration = RangeField("Largest number of rounds of growth.", int, default=3, min=0)
    trackFactor = RangeField(
        "Like cond3_fac2, for following tracks after the growth; 0: tracks are not followed.",
        float,
        default=0.8,
        min=0.0,
        max=1.0,
    )
    nCrPixelMax = RangeField("More pixels of cosmic rays than this stop the CCD.", int, default=1_000_000, min=1)
    keepCRs = Field("Only set the mask; do not replace the pixels.", bool, default=False)


class RepairConfig(Config):
    """What is repaired."""

    doCosmicRay = Field("Find cosmic rays.", bool, default=True)
    doInterpolate = ChoiceField(
        "Kept for old override files: defects are interpolated by the instrument signature removal.",
        bool,
        default=True,
        allowed={True: "no effect", False: "no effect"},
    )
    cosmicray = ConfigField("How cosmic rays are found.", CosmicRayConfig)


@dataclass(frozen=True, eq=False)
class RepairResult:
    """What was repaired."""

    cosmic_rays: CosmicRays | None
    """The pixels found; None if not asked for."""


class RepairTask(Task[RepairConfig]):
    """Find cosmic rays in an exposure."""

    @timed_method
    def run(self, exposure: Exposure, *, keep_crs: bool | None = None) -> RepairResult:
        """Mark cosmic rays and replace their pixels unless they are kept.

        Modifies `exposure.mask` (CR set anew; INTRP too on replaced pixels) and, on replacement, `exposure.image`.

        Parameters
        ----------
        exposure
            Background-subtracted, with a PSF.
        keep_crs
            Only set the mask; left out: as configured (cosmicray.keepCRs).

        Raises
        ------
        TooManyCosmicRaysError
            If more pixels than cosmicray.nCrPixelMax look like cosmic rays.
        """
        if not self.config.doCosmicRay:
            return RepairResult(None)
        if exposure.psf is None:
            raise ValueError("The exposure has no PSF; cosmic rays are told from stars by it")
        config = self.config.cosmicray
        bit = np.int32(mask_bits("CR"))
        exposure.mask &= ~bit
        background = median(exposure.image)
        kernel = exposure.psf.kernel_image(*exposure.psf.average_position)
        rays = find_cosmic_rays(
            exposure.image,
            exposure.mask,
            exposure.variance,
            steepness=steepness_of(kernel, config.cond3_fac2),
            background=background,
            min_sigma=config.minSigma,
            min_counts=config.min_DN,
            cond3_fac=config.cond3_fac,
            n_iteration=config.niteration,
            track_steepness=steepness_of(kernel, config.trackFactor, largest=WIDEST) if config.trackFactor else None,
            n_pixel_max=config.nCrPixelMax,
        )
        exposure.mask[rays.y, rays.x] |= bit
        if not (config.keepCRs if keep_crs is None else keep_crs):
            lost = (exposure.mask & bit) != 0
            replace_pixels(exposure.image, exposure.variance, lost, rays.y, rays.x, background)
            exposure.mask[rays.y, rays.x] |= np.int32(mask_bits("INTRP"))
        self.log.info("Identified %d cosmic rays.", rays.n)
        return RepairResult(rays)
