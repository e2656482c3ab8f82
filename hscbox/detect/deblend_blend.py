"""Take one blend apart: from the footprint of a parent to the pixels of its children."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..catalog.footprint import Footprint, HeavyPixels
from ..image.exposure import Exposure
from ..image.psf import Psf
from ..numerics.arrays import BoolArray, ByteArray, FloatArray, IntArray
from ..numerics.median_filter import median_5x5
from .deblend_apportion import apportion, stamp_pixels, template_pixels
from .deblend_psf import PointSourceLimits, PointSources, fit_point_sources
from .deblend_templates import has_flux_at_border, make_monotonic, ramp_image, symmetric_template
from .footprints import disc_half_widths
from .runs import paint_disc, runs_of_pixels

__all__ = ["BlendSettings", "Child", "deblend_footprint"]

Pixels = tuple[IntArray, IntArray, FloatArray]


@dataclass(frozen=True)
class BlendSettings:
    """What the deblending of each blend needs to know."""

    psf: Psf
    fwhm: float
    """Of the PSF [px]."""
    sigma: float
    """Noise of a pixel of the sky [ADU]."""
    limits: PointSourceLimits
    ramp: bool = True
    """Let templates with flux at the border of the blend reach beyond it."""
    median: bool = True
    """Smooth templates by a median filter."""
    monotonic: bool = True
    """Make templates fall outwards."""
    tiny_size: int = 2
    """Blends of this width or height have no point sources."""

    @property
    def pad(self) -> int:
        """How far templates reach beyond the blend [px], odd."""
        return int((1.5 * self.fwhm + 0.5) / 2) * 2 + 1


@dataclass(frozen=True, eq=False)
class Child:
    """One object of a blend."""

    footprint: Footprint
    """Its pixels, with their shares of the flux, and one peak."""
    is_point_source: bool
    x: float
    """Centre of the fitted PSF [px], NaN if not a point source."""
    y: float
    flux: float
    """Flux of the fitted PSF [ADU], NaN if not a point source."""
    ramped: bool
    """Whether the template was extended beyond the blend."""


def deblend_footprint(
    exposure: Exposure, parent: Footprint, settings: BlendSettings, max_peaks: int = 0
) -> list[Child]:
    """Return the objects of a blend in the order of its peaks; peaks with an empty template give none.

    Parameters
    ----------
    exposure
        Not modified.
    parent
        A footprint with two or more peaks.
    settings
        PSF, noise and options.
    max_peaks
        Use only so many peaks, the brightest; 0: all.
    """
    cut = _CutOut(exposure, parent, settings.pad)
    peaks = parent.peaks[:max_peaks] if max_peaks else parent.peaks
    peak_x = peaks["i_x"].astype(np.int64) - cut.x0
    peak_y = peaks["i_y"].astype(np.int64) - cut.y0
    points = fit_point_sources(
        cut.image,
        cut.variance,
        cut.inside,
        peak_x,
        peak_y,
        (cut.x0, cut.y0),
        settings.psf,
        settings.fwhm,
        settings.limits,
        settings.tiny_size,
    )
    templates: list[Pixels] = []
    ramped = np.zeros(len(peaks), dtype=bool)
    for i in range(len(peaks)):
        if points.accepted[i]:
            templates.append(
                stamp_pixels(points.stamps[i], points.flux[i], cut.inside, points.x0[i] - cut.x0, points.y0[i] - cut.y0)
            )
        else:
            template, ramped[i] = _extended_template(cut, int(peak_x[i]), int(peak_y[i]), points.stamps[i], settings)
            templates.append(template)
    return _children(cut, peaks, points, templates, ramped)


class _CutOut:
    """The surroundings of a blend: views of the exposure and the footprint as images."""

    def __init__(self, exposure: Exposure, parent: Footprint, pad: int) -> None:
        box = parent.bbox
        self.x0, self.y0 = max(box.x0 - pad, 0), max(box.y0 - pad, 0)
        area = (
            slice(self.y0, min(box.y0 + box.height + pad, exposure.height)),
            slice(self.x0, min(box.x0 + box.width + pad, exposure.width)),
        )
        self.image = np.ascontiguousarray(exposure.image[area])
        self.mask = exposure.mask[area]
        self.variance = np.ascontiguousarray(exposure.variance[area])
        self.runs = parent.spans - np.array([self.y0, self.x0, self.x0], dtype=np.int32)
        self.inside = np.zeros(self.image.shape, dtype=np.uint8)
        paint_disc(self.inside, self.runs, np.zeros(1, dtype=np.int64))
        self._pad = pad

    @cached_property
    def grown(self) -> ByteArray:
        """The footprint grown by a disc; drawn when first needed."""
        grown = np.zeros(self.image.shape, dtype=np.uint8)
        paint_disc(grown, self.runs, disc_half_widths(self._pad))
        return grown


def _extended_template(cut: _CutOut, cx: int, cy: int, psf: FloatArray, settings: BlendSettings) -> tuple[Pixels, bool]:
    """Return the template of a peak that is no point source, and whether it reaches beyond the blend."""
    values, member = symmetric_template(cut.image, cut.inside, cx, cy)
    ramped = settings.ramp and has_flux_at_border(values, member, 3.0 * settings.sigma)
    if ramped:
        filled = ramp_image(cut.image, cut.inside, cut.grown, values, member, cx, cy, psf, settings.pad)
        values, member = symmetric_template(filled, cut.grown, cx, cy)
    if settings.median:
        values = median_5x5(values, member)
    if settings.monotonic:
        make_monotonic(values)
    height, width = values.shape
    return template_pixels(values, member, cx - width // 2, cy - height // 2), ramped


def _children(
    cut: _CutOut,
    peaks: NDArray[np.void],
    points: PointSources,
    templates: list[Pixels],
    ramped: BoolArray,
) -> list[Child]:
    ys, xs, values = (np.concatenate([template[k] for template in templates]) for k in range(3))
    flux = apportion(cut.image, ys, xs, values)
    mask, variance = cut.mask[ys, xs], cut.variance[ys, xs]
    children = []
    end = 0
    for i, template in enumerate(templates):
        start, end = end, end + len(template[0])
        if start == end:
            continue
        heavy = HeavyPixels(flux[start:end].copy(), mask[start:end].copy(), variance[start:end].copy())
        spans = runs_of_pixels(template[0] + cut.y0, template[1] + cut.x0)
        is_point = bool(points.accepted[i])
        children.append(
            Child(
                Footprint(spans, peaks[i : i + 1].copy(), heavy),
                is_point,
                float(points.x[i]) if is_point else np.nan,
                float(points.y[i]) if is_point else np.nan,
                float(points.flux[i]) if is_point else np.nan,
                bool(ramped[i]),
            )
        )
    return children
