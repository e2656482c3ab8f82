"""From calibrated positions to the photometric zero point: match, select, convert to the camera's band, average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..camera.colorterms import ColorTerm, color_term, require_color_terms
from ..camera.filters import filter_by_canonical_name
from ..catalog.source_catalog import SourceCatalog
from ..errors import MissingInputError, NoMatchError, NoPhotometryMatchError
from ..image.exposure import Exposure
from ..numerics.arrays import BoolArray
from ..task_metadata import Task, timed_method
from .matcher import Match, MatchOptimisticBConfig
from .photo_selection import PhotoCalConfig, select_matches
from .photocal import ReferenceMagnitudes, ZeroPoint, reference_magnitudes, zero_point
from .ref_objects import ReferenceRegion, RefObjLoader
from .source_matcher import SourceMatcher

__all__ = ["PhotoCalTask"]

_PHOTOMETRIC = "photometric"


class PhotoCalTask(Task[PhotoCalConfig]):
    """Determine the zero point of an exposure that has a WCS.

    Parameters
    ----------
    config, matcher_config
        The configuration, and that of the matching.
    name
        Dotted task name, for log and metadata.
    loader
        Gives the photometric references.

    Raises
    ------
    ConfigError
        No colour terms are known for the catalogue.
    """

    def __init__(
        self, config: PhotoCalConfig, name: str, loader: RefObjLoader, matcher_config: MatchOptimisticBConfig
    ) -> None:
        super().__init__(config, name)
        self.loader = loader
        if config.applyColorTerms:
            require_color_terms(self._catalogue, config.colorTermVersion)
        self.matcher = SourceMatcher(matcher_config, f"{name}.matcher")

    @timed_method
    def run(self, exposure: Exposure, sources: SourceCatalog) -> ZeroPoint:
        """Return the zero point; the candidates and the stars used are flagged in `sources`.

        Raises
        ------
        PhotometryError
            A subclass that says why there is none.
        ConfigError
            No colour term is known for the catalogue and the filter.
        MissingInputError
            The catalogue lacks a band that the colour term needs.
        """
        assert exposure.wcs is not None and exposure.filter_name is not None
        config = self.config
        region = self.loader.load_pixel_box(exposure.width, exposure.height, exposure.wcs, exposure.filter_name)
        radius = self.matcher.config.maxMatchDistArcSec
        try:
            match = self.matcher.match_sources(sources, region, exposure.wcs, radius, fitted=True)
        except NoMatchError as failure:
            # The WCS is good: it is this catalogue that has nothing there.
            raise NoPhotometryMatchError(
                f"No input matches in {self.loader.config.ref_dataset_name}: {failure}",
                remedy="Check that the photometric catalogue covers the field",
                matches=0,
                **failure.numbers,
            ) from failure
        self.log.info("Found %d matches", len(match))
        sources["calib_photometryCandidate"][match.source] = True
        reference, term = self._reference_magnitudes(region, exposure.filter_name)
        flux = sources[config.fluxField][match.source]
        chosen = select_matches(
            self._bad(sources, region, match),
            sources["base_ClassificationExtendedness_value"][match.source],
            reference.value[match.reference],
            flux,
            config,
        )
        sources["calib_photometryUsed"][match.source[chosen]] = True
        error = sources[f"{config.fluxField}Sigma"][match.source]
        used = match.reference[chosen]
        stars = ReferenceMagnitudes(reference.value[used], reference.error[used])
        point = zero_point(stars, flux[chosen], error[chosen], config, self.log, _typical_zero_point(exposure))
        return replace(point, color_term=term)

    def _bad(self, sources: SourceCatalog, region: ReferenceRegion, match: Match) -> BoolArray:
        """Return which matches (n,) have a flagged source, or a reference that is not photometric."""
        # The deblender's division of light has errors that no weight contains.
        bad: BoolArray = sources["parent"][match.source] != 0
        bad |= ~(sources["slot_PsfFlux_flux"][match.source] > 0)
        for flag in self.config.badFlags:
            bad |= sources[flag][match.source]
        if _PHOTOMETRIC in region.catalog:
            bad |= ~region.catalog[_PHOTOMETRIC][match.reference]
        else:
            self.log.debug("No '%s' flag in the reference catalogue", _PHOTOMETRIC)
        return bad

    @property
    def _catalogue(self) -> str:
        return self.config.photoCatName or str(self.loader.config.ref_dataset_name)

    def _reference_magnitudes(
        self, region: ReferenceRegion, filter_name: str
    ) -> tuple[ReferenceMagnitudes, ColorTerm | None]:
        config, catalog = self.config, region.catalog
        if not config.applyColorTerms:
            flux = (catalog[region.flux_field], catalog[f"{region.flux_field}Sigma"])
            return reference_magnitudes(flux, flux, None), None
        name = self._catalogue
        self.log.info(
            "Applying color terms for filterName='%s', config.photoCatName=%s because config.applyColorTerms is True",
            filter_name,
            name,
        )
        term = color_term(name, filter_name, config.colorTermVersion)
        missing = [f"{band}_flux" for band in (term.primary, term.secondary) if f"{band}_flux" not in catalog]
        if missing:
            raise MissingInputError(
                f"Reference catalogue {self.loader.config.ref_dataset_name} lacks {', '.join(missing)}, which the "
                f"colour term of {filter_name!r} for {name!r} needs",
                remedy="Use a catalogue with these bands, or set calibrate.photoCal.applyColorTerms=False",
            )
        primary, secondary = (
            (catalog[f"{band}_flux"], catalog[f"{band}_fluxSigma"]) for band in (term.primary, term.secondary)
        )
        return reference_magnitudes(primary, secondary, term), term


def _typical_zero_point(exposure: Exposure) -> float:
    """Return the AB magnitude of one ADU in the exposure that the filter usually gives; nan if nobody measured it."""
    assert exposure.filter_name is not None
    if exposure.visit_info is None or not exposure.visit_info.exposure_time > 0:
        return float("nan")
    per_second = filter_by_canonical_name(exposure.filter_name).fiducial_zero_point
    return per_second + 2.5 * float(np.log10(exposure.visit_info.exposure_time))
