"""Astrometric solution: match to reference objects, fit, tighten, repeat."""

from __future__ import annotations

from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.source_catalog import SourceCatalog
from ..errors import AstrometryError, WcsGateError
from ..image.sky_wcs import SkyWcs
from ..task_metadata import Task, timed, timed_method
from .fit_wcs import FitTanSipWcsConfig, WcsFit, fit_with_rejection
from .matcher import Match, MatchOptimisticBConfig
from .position_errors import LEAST_EXTRA_ARCSEC, extra_scatter, pair_errors
from .ref_objects import ReferenceRegion
from .source_matcher import SourceMatcher

__all__ = ["AstrometryConfig", "AstrometrySolution", "AstrometryTask"]


class AstrometryConfig(pex_config.Config):
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
    extra
        Scatter of the positions per axis beyond their known errors, arcsec.
    """

    fit: WcsFit
    match: Match
    scatter_mean: float
    scatter_std: float
    extra: float


class AstrometryTask(Task[AstrometryConfig]):
    """Match and fit until the match radius is tight."""

    def __init__(self, config: AstrometryConfig, name: str) -> None:
        super().__init__(config, name)
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
        extra = LEAST_EXTRA_ARCSEC
        rounds = 0
        for round_ in range(self.config.maxIter):
            try:
                solution = self._match_and_fit(sources, region, wcs, radius, camera, extra, fitted=round_ > 0)
            except AstrometryError:
                if solution is None:
                    raise
                break
            rounds += 1
            wcs, extra = solution.fit.wcs, solution.extra
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
        self.log.info("Positions scatter by %.1f mas per axis beyond their known errors", 1e3 * solution.extra)
        return solution

    def _match_and_fit(
        self,
        sources: SourceCatalog,
        region: ReferenceRegion,
        wcs: SkyWcs,
        radius: float,
        camera: SkyWcs | None,
        extra: float,
        *,
        fitted: bool,
    ) -> AstrometrySolution:
        match = self.matcher.match_sources(sources, region, wcs, radius, fitted=fitted)
        ra, dec = region.sky
        error = pair_errors(sources, region, match)
        with timed(f"{self.name}.wcsFitter", "fitWcs"):
            fit = fit_with_rejection(
                sources["slot_Centroid_x"][match.source],
                sources["slot_Centroid_y"][match.source],
                ra[match.reference],
                dec[match.reference],
                1 / np.hypot(error, extra),
                self.config.wcsFitter,
                camera,
            )
        mean, std = float(np.mean(fit.distance)), float(np.std(fit.distance))
        return AstrometrySolution(fit, match, mean, std, extra_scatter(fit.residual[fit.used], error[fit.used]))

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
