"""Detect sources: smooth, threshold, grow, and fit the background again without them.

The method of the HSC pipeline (Bosch et al. 2018, PASJ 70, S5, section 4.7; configuration names of
lsst/meas_algorithms b99accf8, python/lsst/meas/algorithms/detection.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from lsst.pex.config import ChoiceField, Config, ConfigField, Field, ListField, RangeField

from ..catalog.footprint import Footprint
from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import DataError
from ..image.background import BackgroundModel
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import Float32Array, Int32Array
from ..numerics.convolve import kernel_width, smooth
from ..numerics.statistics import clipped_mean
from ..task_metadata import Task, timed_method
from .background import BackgroundConfig, fit_background
from .footprints import Detections, find_footprints, grow_footprints
from .shoulders import add_shoulder_peaks
from .unknown_pixels import blank_unknown, unknown_pixels

__all__ = ["DetectionResult", "SourceDetectionConfig", "SourceDetectionTask", "make_source_catalog"]


class SourceDetectionConfig(Config):
    """How sources are detected."""

    thresholdType = ChoiceField(
        "Unit of thresholdValue.",
        str,
        default="stdev",
        allowed={
            "stdev": "clipped standard deviation of the smoothed image",
            "value": "counts of the smoothed image",
        },
    )
    thresholdValue = RangeField("Threshold; larger finds fewer sources.", float, default=5.0, min=0.0)
    includeThresholdMultiplier = RangeField(
        "A footprint counts only if a pixel reaches this times the threshold.", float, default=1.0, min=1.0
    )
    thresholdPolarity = ChoiceField(
        "Which pixels make sources.",
        str,
        default="positive",
        allowed={"positive": "bright ones; dark ones only protect the background"},
    )
    minPixels = RangeField("Smallest footprint before growth [px].", int, default=1, min=1)
    nSigmaToGrow = RangeField("Growth of footprints in units of the sigma of the PSF.", float, default=2.4, min=0.0)
    isotropicGrow = Field("Grow by a disc; otherwise by a diamond.", bool, default=True)
    returnOriginalFootprints = Field("Give the catalogue footprints as they are before growth.", bool, default=False)
    reEstimateBackground = Field("Fit the background again without the sources and subtract it.", bool, default=True)
    adjustBackground = Field("Level added to the background fitted again [ADU].", float, default=0.0)
    background = ConfigField("The background fitted again.", BackgroundConfig)
    statsMask = ListField(
        "Mask planes left out of the standard deviation.", str, default=["BAD", "SAT", "EDGE", "NO_DATA"]
    )
    shoulderSignificance = RangeField(
        "Least height of a source on the shoulder of a brighter one, in the difference of Gaussians "
        "[standard deviations]; larger finds fewer, 0 looks for none.",
        float,
        default=4.0,
        min=0.0,
    )


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """What a detection found."""

    footprints: list[Footprint]
    """Positive sources in catalogue order: lowest row first."""
    background: BackgroundModel | None
    """Background subtracted from the exposure, None if it was not fitted again."""
    n_negative: int
    """Number of footprints of dark pixels."""
    sigma: float
    """Sigma of the smoothing Gaussian [px]."""
    n_grow: int
    """Growth of footprints [px]."""
    kernel_width: int
    """Width of the smoothing kernel [px]."""
    threshold: float
    """Threshold in the smoothed image [ADU]."""


class SourceDetectionTask(Task[SourceDetectionConfig]):
    """Find the sources of an exposure."""

    @timed_method
    def run(self, exposure: Exposure, *, sigma: float | None = None) -> DetectionResult:
        """Detect sources and fit the background again.

        Modifies `exposure.mask` (DETECTED set anew, EDGE added, DETECTED_NEGATIVE cleared) and, if
        reEstimateBackground, subtracts the new background from `exposure.image`.

        Parameters
        ----------
        exposure
            Background-subtracted; needs a PSF unless `sigma` is given.
        sigma
            Of the smoothing Gaussian [px]; left out: the determinant radius of the PSF at its average position.

        Raises
        ------
        DataError
            If the image has no pixels to take a standard deviation of.
        BackgroundError
            If the background cannot be fitted again.
        """
        sigma = _psf_sigma(exposure) if sigma is None else sigma
        exposure.mask &= ~np.int32(mask_bits("DETECTED", "DETECTED_NEGATIVE"))
        unknown = unknown_pixels(exposure.mask)
        # They make no sources, nor lend they any light to their neighbours.
        image = blank_unknown(exposure.image, unknown)
        smoothed, border = smooth(image, sigma)
        np.copyto(smoothed, np.float32(0.0), where=unknown)
        _set_edge(exposure.mask, border)
        n_grow = int(self.config.nSigmaToGrow * sigma + 0.5)
        threshold = self._threshold(smoothed, exposure.mask)
        find = partial(
            find_footprints,
            smoothed,
            threshold,
            include_multiplier=self.config.includeThresholdMultiplier,
            min_pixels=self.config.minPixels,
            border=border,
        )
        significance = self.config.shoulderSignificance
        positive = add_shoulder_peaks(find(), image, smoothed, exposure.variance, exposure.mask, sigma, significance)
        negative = find(negative=True)
        grown = self._grow(positive, n_grow, exposure.mask, "DETECTED")
        self._grow(negative, n_grow, exposure.mask, "DETECTED_NEGATIVE")
        chosen = positive if self.config.returnOriginalFootprints else grown
        self.log.info(
            "Detected %d positive source%s to %g %s.",
            chosen.n,
            "" if chosen.n == 1 else "s",
            self.config.thresholdValue * self.config.includeThresholdMultiplier,
            "sigma" if self.config.thresholdType == "stdev" else "DN",
        )
        background = self._fit_background_again(exposure) if self.config.reEstimateBackground else None
        exposure.mask &= ~np.int32(mask_bits("DETECTED_NEGATIVE"))
        return DetectionResult(
            chosen.footprints(), background, negative.n, sigma, n_grow, kernel_width(sigma), threshold
        )

    def _threshold(self, smoothed: Float32Array, mask: Int32Array) -> float:
        if self.config.thresholdType == "value":
            return float(self.config.thresholdValue)
        _, std, kept = clipped_mean(smoothed, mask, mask_bits(*self.config.statsMask))
        if not std > 0:
            raise DataError(
                f"the standard deviation of the smoothed image is {std} over {kept} pixels without "
                f"{', '.join(self.config.statsMask)}; a positive number is needed to detect sources",
                remedy="Look at the image and mask planes of the exposure",
                pixels=kept,
            )
        return float(self.config.thresholdValue) * std

    def _grow(self, found: Detections, n_grow: int, mask: Int32Array, plane: str) -> Detections:
        shape = (mask.shape[0], mask.shape[1])
        grown = grow_footprints(found, n_grow, shape, isotropic=self.config.isotropicGrow)
        grown.set_bits(mask, mask_bits(plane))
        return grown

    def _fit_background_again(self, exposure: Exposure) -> BackgroundModel:
        self.log.info("Resubtracting the background after object detection")
        background = fit_background(exposure.image, exposure.mask, self.config.background, self.log)
        if self.config.adjustBackground:
            background = replace(background, stats=background.stats + np.float32(self.config.adjustBackground))
        exposure.image -= background.evaluate()
        return background


def make_source_catalog(footprints: list[Footprint], schema: Schema, exposure_id: int) -> SourceCatalog:
    """Make a catalogue with one row for each footprint.

    Ids are (exposure_id << 32) | n with n = 1, 2, ... in the order given.
    """
    catalog = SourceCatalog(schema, len(footprints))
    catalog["id"] = (np.int64(exposure_id) << 32) | np.arange(1, len(footprints) + 1, dtype=np.int64)
    catalog.footprints = list(footprints)
    return catalog


def _psf_sigma(exposure: Exposure) -> float:
    if exposure.psf is None:
        raise ValueError("The exposure has no PSF; detection needs one, or a sigma")
    return float(exposure.psf.determinant_radius(*exposure.psf.average_position))


def _set_edge(mask: Int32Array, border: int) -> None:
    edge = np.int32(mask_bits("EDGE"))
    if border == 0:
        return
    mask[:border] |= edge
    mask[-border:] |= edge
    mask[border:-border, :border] |= edge
    mask[border:-border, -border:] |= edge
