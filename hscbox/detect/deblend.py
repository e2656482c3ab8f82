"""Deblend the sources of an exposure: blends become parents, their objects new rows of the catalogue.

Configuration and column names are those of lsst/meas_deblender 8b7e8552 (python/lsst/meas/deblender/deblend.py);
the method is that of SDSS (Lupton 2005, draft "SDSS image processing I: the deblender"; Bosch et al. 2018, PASJ 70,
S5, section 4.8).
"""

from __future__ import annotations

import math

import numpy as np
from lsst.pex.config import ChoiceField, Config, DictField, Field, ListField, RangeField

from ..catalog.footprint import Footprint
from ..catalog.schema import Field as Column
from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import Float32Array, FloatArray
from ..numerics.constants import FWHM_PER_SIGMA
from ..numerics.statistics import median
from ..task_metadata import Task, timed_method
from .deblend_blend import BlendSettings, Child, deblend_footprint
from .deblend_peaks import contrast_kernel, join_saturated_peaks, significant_peaks
from .deblend_psf import PointSourceLimits
from .runs import count_run_bits, set_run_bits
from .unknown_pixels import blank_unknown, unknown_pixels

__all__ = ["SourceDeblendConfig", "SourceDeblendTask"]


_COLUMNS = (
    Column("deblend_nChild", "I", "number of deblended children"),
    Column("deblend_deblendedAsPsf", "Flag", "child modelled as a point source"),
    Column("deblend_psfCenter_x", "D", "PSF-fit centre x if so", "pixel"),
    Column("deblend_psfCenter_y", "D", "PSF-fit centre y if so", "pixel"),
    Column("deblend_psfFlux", "D", "PSF-fit flux"),
    Column("deblend_tooManyPeaks", "Flag", "peak list truncated"),
    Column("deblend_parentTooBig", "Flag", "footprint over the area limit"),
    Column("deblend_masked", "Flag", "footprint mostly masked"),
    Column("deblend_skipped", "Flag", "deblender skipped the parent"),
    Column("deblend_rampedTemplate", "Flag", "edge ramp applied"),
    Column("deblend_patchedTemplate", "Flag", "edge patch applied"),
    Column("deblend_hasStrayFlux", "Flag", "got stray flux"),
)


class SourceDeblendConfig(Config):
    """How blends are taken apart."""

    edgeHandling = ChoiceField(
        "Templates with flux at the border of the blend.",
        str,
        default="ramp",
        allowed={"ramp": "extended by the wings of the PSF", "clip": "cut at the border"},
    )
    strayFluxRule = ChoiceField(
        "Flux of pixels without template.", str, default="trim", allowed={"trim": "belongs to no child"}
    )
    psfChisq1 = RangeField("Largest chi^2 per degree of freedom of a PSF at the peak.", float, default=1.5, min=0.0)
    psfChisq2 = RangeField("The same with the PSF's derivatives fitted too.", float, default=1.5, min=0.0)
    psfChisq2b = RangeField("The same with the PSF moved by what its derivatives say.", float, default=1.5, min=0.0)
    maxNumberOfPeaks = RangeField("Use only so many peaks of a blend, the brightest; 0: all.", int, default=0, min=0)
    maxFootprintArea = RangeField("Leave larger blends alone [px]; 0: no limit.", int, default=10000, min=0)
    maxFootprintSize = RangeField("Leave wider or higher blends alone [px]; 0: no limit.", int, default=0, min=0)
    maskLimits = DictField(
        keytype=str,
        itemtype=float,
        default={"NO_DATA": 0.25},
        doc="Leave blends alone of which more than this fraction has the mask plane.",
    )
    maskPlanes = ListField("Mask planes left out of the noise estimate.", str, default=["SAT", "INTRP", "NO_DATA"])
    notDeblendedMask = Field("Mask plane set on blends left alone; empty: none.", str, default="NOT_DEBLENDED")
    tinyFootprintSize = RangeField("Blends of this width or height have no point sources [px].", int, default=2, min=0)
    medianSmoothTemplate = Field("Smooth templates by a median filter.", bool, default=True)
    monotonicTemplate = Field("Make templates fall outwards.", bool, default=True)
    minPeakSignificance = RangeField(
        "Least height of a peak above its surroundings, in the difference of Gaussians of sigma and 1.5 sigma "
        "[standard deviations]; the brightest peak of a blend always counts; 0: all do. Lower it along with "
        "detection.thresholdValue (0.8 of it by default).",
        float,
        default=4.0,
        min=0.0,
    )
    joinSaturatedPeaks = Field("Make one object of the peaks about a saturated core and its trail.", bool, default=True)


class SourceDeblendTask(Task[SourceDeblendConfig]):
    """Take blends apart.

    Parameters
    ----------
    config, name
        Configuration and logger name.
    schema
        Gets the columns deblend_*, unless it has them.
    """

    def __init__(self, config: SourceDeblendConfig, name: str, schema: Schema) -> None:
        super().__init__(config, name)
        for column in _COLUMNS:
            if column.name not in schema:
                schema.add(column)

    @timed_method
    def run(self, exposure: Exposure, catalog: SourceCatalog) -> None:
        """Deblend every source with two or more peaks.

        Modifies `catalog`: children are appended in the order of their parents, with ids that continue the highest
        one and heavy footprints; parents get deblend_nChild and a footprint that covers their children. Sets
        NOT_DEBLENDED in `exposure.mask` on blends that are left alone.

        Parameters
        ----------
        exposure
            Background-subtracted, with a PSF.
        catalog
            Sources with footprints.
        """
        n_sources = len(catalog)
        self.log.info("Deblending %d sources", n_sources)
        settings = self._settings(exposure)
        max_peaks = self.config.maxNumberOfPeaks
        mask_limits = [(mask_bits(plane), limit) for plane, limit in sorted(self.config.maskLimits.items())]
        kernel = contrast_kernel(settings.fwhm / FWHM_PER_SIGMA)
        known = blank_unknown(exposure.image, unknown_pixels(exposure.mask))
        parents: list[int] = []
        children: list[Child] = []
        n_deblended = 0
        for row in range(n_sources):
            footprint = catalog.footprints[row]
            if footprint is None or len(footprint.peaks) < 2:
                continue
            if self._leave_alone(exposure, catalog, row, footprint, mask_limits):
                continue
            footprint = self._choose_peaks(exposure, known, footprint, kernel)
            catalog.footprints[row] = footprint
            if len(footprint.peaks) < 2:
                continue
            catalog["deblend_tooManyPeaks"][row] = 0 < max_peaks < len(footprint.peaks)
            found = deblend_footprint(exposure, footprint, settings, max_peaks)
            catalog["deblend_nChild"][row] = len(found)
            catalog.footprints[row] = _covering(footprint, found)
            children.extend(found)
            parents.extend([row] * len(found))
            n_deblended += 1
        _append(catalog, parents, children)
        self.log.info(
            "Deblended: of %d sources, %d were deblended, creating %d children, total %d sources",
            n_sources,
            n_deblended,
            len(children),
            len(catalog),
        )

    def _settings(self, exposure: Exposure) -> BlendSettings:
        if exposure.psf is None:
            raise ValueError("The exposure has no PSF; blends cannot be taken apart without")
        config = self.config
        sigma = exposure.psf.determinant_radius(*exposure.psf.average_position)
        variance = median(exposure.variance, exposure.mask, mask_bits(*config.maskPlanes))
        return BlendSettings(
            psf=exposure.psf,
            fwhm=FWHM_PER_SIGMA * float(sigma),
            sigma=math.sqrt(max(variance, 0.0)),
            limits=PointSourceLimits(config.psfChisq1, config.psfChisq2, config.psfChisq2b),
            ramp=config.edgeHandling == "ramp",
            median=config.medianSmoothTemplate,
            monotonic=config.monotonicTemplate,
            tiny_size=config.tinyFootprintSize,
        )

    def _choose_peaks(
        self, exposure: Exposure, known: Float32Array, footprint: Footprint, kernel: FloatArray
    ) -> Footprint:
        """Return the footprint with the peaks that are objects; `known` is the image, 0 in unknown pixels."""
        if self.config.joinSaturatedPeaks:
            footprint = join_saturated_peaks(exposure.mask, footprint, mask_bits("SAT"))
        least = self.config.minPeakSignificance
        if least > 0 and len(footprint.peaks) > 1:
            footprint = significant_peaks(known, exposure.variance, footprint, kernel, least)
        return footprint

    def _leave_alone(
        self,
        exposure: Exposure,
        catalog: SourceCatalog,
        row: int,
        footprint: Footprint,
        mask_limits: list[tuple[int, float]],
    ) -> bool:
        """Return whether a blend is too big or masked, and record so."""
        box, area = footprint.bbox, footprint.area
        config = self.config
        too_big = 0 < config.maxFootprintArea < area
        too_big |= 0 < config.maxFootprintSize < max(box.width, box.height)
        masked = not too_big and any(
            count_run_bits(exposure.mask, footprint.spans, bits) > limit * area for bits, limit in mask_limits
        )
        if not (too_big or masked):
            return False
        catalog["deblend_parentTooBig"][row] = too_big
        catalog["deblend_masked"][row] = masked
        catalog["deblend_skipped"][row] = True
        catalog["deblend_nChild"][row] = len(footprint.peaks)
        if config.notDeblendedMask:
            set_run_bits(exposure.mask, footprint.spans, mask_bits(config.notDeblendedMask))
        return True


def _covering(parent: Footprint, children: list[Child]) -> Footprint:
    """Return the parent's footprint with the pixels that ramped templates of its children have beyond it."""
    covering = parent
    for child in children:
        if child.ramped:
            spans_only = Footprint(child.footprint.spans)
            covering = covering.union(spans_only)
    return covering


def _append(catalog: SourceCatalog, parents: list[int], children: list[Child]) -> None:
    if not children:
        return
    ids = catalog["id"]
    parent_ids = ids[parents]
    first = int(ids.max()) + 1
    rows = catalog.extend(len(children))
    catalog["id"][rows] = np.arange(first, first + len(children))
    catalog["parent"][rows] = parent_ids
    catalog["deblend_deblendedAsPsf"][rows] = [child.is_point_source for child in children]
    catalog["deblend_psfCenter_x"][rows] = [child.x for child in children]
    catalog["deblend_psfCenter_y"][rows] = [child.y for child in children]
    catalog["deblend_psfFlux"][rows] = [child.flux for child in children]
    catalog["deblend_rampedTemplate"][rows] = [child.ramped for child in children]
    catalog.footprints[rows] = [child.footprint for child in children]
