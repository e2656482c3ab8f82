"""Choose usable sources and match them to a reference region."""

from __future__ import annotations

import numpy as np

from ..camera.distortion import PIXEL_SCALE
from ..catalog.source_catalog import SourceCatalog
from ..errors import NoMatchError
from ..image.sky_wcs import SkyWcs, gnomonic
from ..numerics.arrays import FloatArray, IntArray
from ..numerics.constants import ARCSEC_PER_RADIAN
from ..task_metadata import Task, timed_as
from .matcher import Match, MatchOptimisticBConfig, find_pattern, match_under, start_map
from .ref_objects import ReferenceRegion

__all__ = ["SourceMatcher"]


_CHECK_POINTING = (
    "Check pointing (RA2000, DEC2000, INST-PA) and the reference catalogue, "
    "or raise calibrate.astrometry.matcher.maxOffsetPix"
)


class SourceMatcher(Task[MatchOptimisticBConfig]):
    """Choose usable sources and match them to a reference region."""

    @timed_as("matchObjectsToSources")
    def match_sources(
        self,
        sources: SourceCatalog,
        region: ReferenceRegion,
        wcs: SkyWcs,
        radius_arcsec: float,
        *,
        fitted: bool = False,
    ) -> Match:
        """Match `sources` to `region`; pairs with flagged sources are left out.

        Without a search for the pattern if `wcs` is `fitted` to these references already.

        Raises
        ------
        NoMatchError
            No usable sources or no matches.
        """
        if not len(region.catalog):
            raise NoMatchError(
                f"Unable to match {len(sources)} sources: the reference catalogue lists no object within "
                f"{region.radius:.3g} degrees of RA {region.ra:.4f}, Dec {region.dec:.4f}",
                remedy="Check that the reference catalogue covers the field",
                sources=len(sources),
                references=0,
            )
        usable = self._usable(sources)
        source_plane, reference_plane = _tangent_planes(sources, usable, region, wcs)
        radius = radius_arcsec / PIXEL_SCALE
        transform = start_map()
        if not fitted:
            transform = self._pattern(sources[self._flux][usable], source_plane, region, reference_plane, radius)
        match = match_under(transform, source_plane, reference_plane, radius=radius)
        flagged = np.zeros(len(usable), dtype=bool)
        for name in ("flag_edge", "flag_interpolatedCenter", "flag_saturated"):
            flagged |= sources[f"base_PixelFlags_{name}"][usable]
        keep = ~flagged[match.source]
        matched = Match(usable[match.source[keep]], match.reference[keep])
        self.log.info("Matched %d sources", len(matched))
        if not len(matched):
            raise NoMatchError(
                f"Unable to match {len(usable)} sources to {len(region.catalog)} reference objects: "
                f"{len(match)} sources lie within {radius_arcsec:.3g} arcsec of one, all saturated, "
                "interpolated or at the edge",
                remedy=_CHECK_POINTING,
                usable=len(usable),
                references=len(region.catalog),
            )
        wanted = min(
            self.config.minMatchedPairs,
            int(self.config.minFracMatchedPairs * min(len(usable), len(region.catalog))),
        )
        if len(matched) < wanted:
            self.log.warning("Number of matches is smaller than request: %d of %d", len(matched), wanted)
        return matched

    def _pattern(
        self,
        flux: FloatArray,
        source_plane: FloatArray,
        region: ReferenceRegion,
        reference_plane: FloatArray,
        radius: float,
    ) -> FloatArray:
        """Return the map from `source_plane` to `reference_plane` (pixel)."""
        reference_flux = region.catalog[region.flux_field]
        pattern = find_pattern(source_plane, flux, reference_plane, reference_flux, radius=radius, config=self.config)
        if not pattern.accepted:
            raise NoMatchError(
                f"Unable to match {len(source_plane)} sources to {len(reference_plane)} reference objects: the best "
                f"pattern has {pattern.pairs} pairs ({pattern.expected:.2g} by chance in one place, "
                f"{pattern.rival} elsewhere), within {self.config.maxOffsetPix:g} pixels and "
                f"{self.config.maxRotationDeg:.3g} degrees",
                remedy=_CHECK_POINTING,
                usable=len(source_plane),
                references=len(reference_plane),
                pairs=pattern.pairs,
                rival=pattern.rival,
            )
        return pattern.transform

    @property
    def _flux(self) -> str:
        return f"slot_{self.config.sourceFluxType}Flux_flux"

    def _usable(self, sources: SourceCatalog) -> IntArray:
        """Return the rows of the sources that may be matched."""
        flux = sources[self._flux]
        with np.errstate(invalid="ignore", divide="ignore"):
            bright = flux / sources[f"{self._flux}Sigma"] > self.config.minSnr
        usable = np.flatnonzero(
            bright
            # The centre of a blend is that of none of its objects.
            & (sources["deblend_nChild"] == 0)
            & np.isfinite(sources["slot_Centroid_x"])
            & np.isfinite(sources["slot_Centroid_y"])
            & ~sources["slot_Centroid_flag"]
            & ~sources[f"slot_{self.config.sourceFluxType}Flux_flag"]
        )
        self.log.info("Purged %d unusable sources, leaving %d usable sources", len(sources) - len(usable), len(usable))
        if not len(usable):
            raise NoMatchError(
                f"None of {len(sources)} sources is usable for matching "
                f"(no blends, unflagged, S/N of {self.config.sourceFluxType}Flux > {self.config.minSnr:g})",
                remedy="Lower calibrate.astrometry.matcher.minSnr, or check the raw frame",
                sources=len(sources),
                usable=0,
            )
        return usable


def _tangent_planes(
    sources: SourceCatalog, usable: IntArray, region: ReferenceRegion, wcs: SkyWcs
) -> tuple[FloatArray, FloatArray]:
    """Return source and reference positions on one undistorted plane (pixels)."""
    ra, dec = wcs.pixel_to_sky(sources["slot_Centroid_x"][usable], sources["slot_Centroid_y"][usable])
    planes = [
        np.stack(gnomonic(a, d, region.ra, region.dec), axis=1) * (ARCSEC_PER_RADIAN / PIXEL_SCALE)
        for a, d in ((ra, dec), region.sky)
    ]
    return planes[0], planes[1]
