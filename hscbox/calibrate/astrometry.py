"""Astrometric solution: match to reference objects, fit, tighten, repeat."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np
import numpy.typing as npt

from ..camera.distortion import PIXEL_SCALE
from ..catalog.source_catalog import SourceCatalog
from ..errors import AstrometryError, WcsGateError
from ..image.wcs import SkyWcs
from ..task_metadata import timed, timed_method
from .fit_wcs import FitTanSipWcsConfig, WcsFit, fit_with_rejection
from .matcher import Match, MatchOptimisticBConfig
from .ref_objects import ReferenceRegion
from .source_matcher import SourceMatcher

__all__ = ["AstrometryConfig", "AstrometrySolution", "AstrometryTask"]

FloatArray = npt.NDArray[np.float64]

# Beyond photon noise, positions have errors of this order: atmosphere and centroid systematics (Bosch et al.
# 2018). Without it a handful of bright stars would carry the whole fit.
_FLOOR_ARCSEC = 0.005
# Reference catalogues of 2017 state no position errors: those of PS1 are this fraction of its seeing (sigma, arcsec)
# divided by the signal to noise, on top of a floor.
_REFERENCE_SEEING_ARCSEC = 0.47
_REFERENCE_FLOOR_ARCSEC = 0.006


class AstrometryConfig(pex_config.Config):  # type: ignore[misc]
    """Parameters of the match-and-fit loop."""

    matcher = pex_config.ConfigField("Pattern matcher.", MatchOptimisticBConfig)
    wcsFitter = pex_config.ConfigField("Fit of the TAN-SIP WCS.", FitTanSipWcsConfig)
    maxIter = pex_config.RangeField("Rounds of matching and fitting.", int, default=3, min=1)
    matchDistanceSigma = pex_config.RangeField(
        "The next match radius is the mean distance plus this many standard deviations.", float, default=2.0, min=0
    )
    minMatchDistanceArcSec = pex_config.RangeField(
        "Stop when the match radius falls below this (arcsec).", float, default=0.001, min=0
    )


@dataclass(frozen=True)
class AstrometrySolution:
    """A fitted WCS and the pairs behind it.

    Attributes
    ----------
    fit
        The solution; its distances belong to the pairs.
    match
        Indices into the source catalogue and the reference catalogue.
    scatter_mean, scatter_std
        Mean and standard deviation of the on-sky distances, arcsec.
    """

    fit: WcsFit
    match: Match
    scatter_mean: float
    scatter_std: float


class AstrometryTask:
    """Match and fit until the match radius is tight."""

    def __init__(self, config: AstrometryConfig, name: str) -> None:
        self.config = config
        self.name = name
        self.log = logging.getLogger(name)
        self.matcher = SourceMatcher(config.matcher, f"{name}.matcher")

    @timed_method
    def run(self, sources: SourceCatalog, region: ReferenceRegion, wcs: SkyWcs) -> AstrometrySolution:
        """Return the solution that starts from `wcs`; nothing is modified.

        Raises
        ------
        AstrometryError
            The first round cannot match or fit, or the solution fails its gate.
        """
        radius = self.config.matcher.maxMatchDistArcSec
        # The WCS of a raw header has no distortion to hold on to.
        camera = wcs if wcs.sip_order else None
        solution: AstrometrySolution | None = None
        rounds = 0
        for round_ in range(self.config.maxIter):
            try:
                solution = self._match_and_fit(sources, region, wcs, radius, camera, fitted=round_ > 0)
            except AstrometryError:
                if solution is None:
                    raise
                break
            rounds += 1
            wcs = solution.fit.wcs
            radius = min(
                solution.scatter_mean + self.config.matchDistanceSigma * solution.scatter_std,
                self.config.matcher.maxMatchDistArcSec,
            )
            if radius < self.config.minMatchDistanceArcSec:
                break
        assert solution is not None
        self._gate(solution)
        self.log.info(
            "Matched and fit WCS in %d iterations; found %d matches with scatter = %.3f +- %.3f arcsec",
            rounds,
            len(solution.match),
            solution.scatter_mean,
            solution.scatter_std,
        )
        return solution

    def _match_and_fit(
        self,
        sources: SourceCatalog,
        region: ReferenceRegion,
        wcs: SkyWcs,
        radius: float,
        camera: SkyWcs | None,
        *,
        fitted: bool,
    ) -> AstrometrySolution:
        match = self.matcher.match_sources(sources, region, wcs, radius, fitted=fitted)
        ra, dec = region.sky
        with timed(f"{self.name}.wcsFitter", "fitWcs"):
            fit = fit_with_rejection(
                sources["slot_Centroid_x"][match.source],
                sources["slot_Centroid_y"][match.source],
                ra[match.reference],
                dec[match.reference],
                1 / _position_error(sources, region, match),
                self.config.wcsFitter,
                camera,
            )
        return AstrometrySolution(fit, match, float(np.mean(fit.distance)), float(np.std(fit.distance)))

    def _gate(self, solution: AstrometrySolution) -> None:
        scatter = float(np.median(solution.fit.distance))
        fitter = self.config.wcsFitter
        if not fitter.minScatterArcsec <= scatter <= fitter.maxScatterArcsec:
            raise WcsGateError(
                f"Median distance of {len(solution.match)} matches is {scatter:.3f} arcsec, "
                f"allowed is {fitter.minScatterArcsec:g} to {fitter.maxScatterArcsec:g}",
                remedy="Check that the reference catalogue belongs to this field",
                scatter=scatter,
                matches=len(solution.match),
            )


def _position_error(sources: SourceCatalog, region: ReferenceRegion, match: Match) -> FloatArray:
    """Return the expected error per axis of each pair, arcsec: source, reference and floor in quadrature."""
    with np.errstate(invalid="ignore", divide="ignore"):
        # An extended source has an error of its own size over the signal to noise.
        size = np.sqrt((sources["slot_Shape_xx"] + sources["slot_Shape_yy"])[match.source] / 2)
        noise = sources["slot_PsfFlux_fluxSigma"][match.source] / sources["slot_PsfFlux_flux"][match.source]
    source_error = np.nan_to_num(size * noise, nan=1.0, posinf=1.0) * PIXEL_SCALE
    reference_error = np.hypot(
        _REFERENCE_SEEING_ARCSEC * _least_relative_error(region.catalog)[match.reference],
        _REFERENCE_FLOOR_ARCSEC,
    )
    if "coord_ra_err" in region.catalog.schema.names():
        stated = np.rad2deg(region.catalog["coord_ra_err"][match.reference].astype(np.float64)) * 3600
        reference_error = np.where(np.isfinite(stated) & (stated > 0), stated, reference_error)
    error: FloatArray = np.sqrt(source_error**2 + reference_error**2 + _FLOOR_ARCSEC**2)
    return error


def _least_relative_error(catalog: SourceCatalog) -> FloatArray:
    """Return the relative flux error (n,) of the best band: positions come from all bands. 0.1 where there is none."""
    bands = [name for name in catalog.schema.names() if name.endswith("_flux") and f"{name}Sigma" in catalog]
    least = np.full(len(catalog), np.inf)
    for name in bands:
        flux, error = catalog[name], catalog[f"{name}Sigma"]
        known = (flux > 0) & (error > 0)
        least[known] = np.minimum(least[known], error[known] / flux[known])
    return np.where(np.isfinite(least), least, 0.1)
