"""Aperture corrections: what a flux must be multiplied by to equal that of the calibration aperture, over the CCD."""

from __future__ import annotations

from collections.abc import Sequence

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import ApCorrError
from ..image.bounded_field import ApCorrMap, ChebyshevField
from ..image.exposure import Exposure
from ..numerics.arrays import BoolArray, FloatArray
from ..numerics.constants import SIGMA_PER_IQR
from ..task_metadata import Task, timed_method

__all__ = ["ApCorrFieldConfig", "MeasureApCorrConfig", "MeasureApCorrTask", "fit_correction"]


_CONVOLVED = [f"ext_convolved_ConvolvedFlux_{k}_{label}" for k in range(4) for label in ("3_3", "4_5", "6_0", "kron")]
# Not fitted: flagged everywhere.
_CMODEL = ["modelfit_CModel", "modelfit_CModel_dev", "modelfit_CModel_exp", "modelfit_CModel_initial"]
_FEWEST_STARS = 2
# Relative error that even the brightest star has, from the PSF model; it keeps one star from carrying the fit.
_ERROR_FLOOR = 0.003
# The PSF model follows the PSF over the CCD, so that what remains of a correction varies by about the first of these. A
# looser limit lets neighbours in the apertures of a few stars tilt the field, which adds more to the scatter of all
# fluxes than it takes away; it is for corrections whose variation is beyond doubt.
_VARIATION, _LARGE_VARIATION = 0.0005, 0.02
# chi^2 that the larger variation must save: less than one in a thousand by chance with the five terms of order 2.
_BEYOND_DOUBT = 20.0


class ApCorrFieldConfig(pex_config.Config):
    """The surface that describes a correction."""

    orderX = pex_config.RangeField("Chebyshev order in x.", int, default=2, min=0)
    orderY = pex_config.RangeField("Chebyshev order in y; must equal orderX.", int, default=2, min=0)
    triangular = pex_config.Field("Limit the sum of the orders too?", bool, default=True)

    def validate(self) -> None:
        """Refuse different orders."""
        super().validate()
        if self.orderX != self.orderY:
            raise ValueError(f"orderX {self.orderX} and orderY {self.orderY} must be equal")


class MeasureApCorrConfig(pex_config.Config):
    """How aperture corrections are measured."""

    refFluxName = pex_config.Field("Flux that corrected fluxes agree with.", str, default="slot_CalibFlux")
    starFlag = pex_config.Field("Only sources with this flag are used.", str, default="calib_psfUsed")
    minDegreesOfFreedom = pex_config.RangeField(
        "The order is lowered until stars exceed terms by this number.", int, default=1, min=1
    )
    fitConfig = pex_config.ConfigField("The surface.", ApCorrFieldConfig)
    numIter = pex_config.RangeField("Rounds of clipping.", int, default=4, min=0)
    numSigmaClip = pex_config.RangeField("Clip beyond this many times the rms.", float, default=3.0, min=0)
    allowFailure = pex_config.ListField("Fluxes whose correction may be missing.", str, default=[*_CONVOLVED, *_CMODEL])
    maxScatter = pex_config.RangeField("Largest rms of the ratios about the surface.", float, default=0.5, min=0)


class MeasureApCorrTask(Task[MeasureApCorrConfig]):
    """Measure aperture corrections.

    Parameters
    ----------
    config
        Parameters.
    name
        Dotted name of the task.
    schema
        Gets a flag for every flux.
    flux_names
        Fluxes to correct, without the ending ``_flux``.
    """

    def __init__(self, config: MeasureApCorrConfig, name: str, schema: Schema, flux_names: Sequence[str]) -> None:
        super().__init__(config, name)
        self.flux_names = sorted(flux_names)
        schema.add_field(
            f"apcorr_{config.refFluxName}_used", "Flag", "used for the reference flux of the aperture-correction fit"
        )
        for flux in self.flux_names:
            schema.add_field(f"apcorr_{flux}_used", "Flag", "used in this aperture-correction fit")

    @timed_method
    def run(self, *, exposure: Exposure, catalog: SourceCatalog) -> ApCorrMap:
        """Return the corrections of all fluxes, and flag the stars that were used in `catalog`.

        Raises
        ------
        ApCorrError
            A flux that is not in ``allowFailure`` has too few stars or too large a scatter.
        """
        self.log.info("Measuring aperture corrections for %d flux fields", len(self.flux_names))
        config = self.config
        bbox = (0, 0, exposure.width - 1, exposure.height - 1)
        reference = catalog[f"{config.refFluxName}_flux"]
        stars = catalog[config.starFlag] & ~catalog[f"{config.refFluxName}_flag"] & np.isfinite(reference)
        x, y = catalog["slot_Centroid_x"], catalog["slot_Centroid_y"]
        corrections: ApCorrMap = {}
        for name in self.flux_names:
            if name in config.allowFailure and catalog[f"{name}_flag"].all():
                self.log.debug("'%s' is not measured", name)
                continue
            flux = catalog[f"{name}_flux"]
            with np.errstate(invalid="ignore"):
                rows = np.flatnonzero(stars & ~catalog[f"{name}_flag"] & (flux > 0) & (reference > 0))
            if len(rows) < _FEWEST_STARS:
                self._fail(
                    name,
                    f"only {len(rows)} sources of {int(stars.sum())} stars, need at least {_FEWEST_STARS}",
                    sources=len(rows),
                    stars=int(stars.sum()),
                    needed=_FEWEST_STARS,
                )
                continue
            error = np.hypot(catalog[f"{config.refFluxName}_fluxSigma"][rows] / reference[rows], _ERROR_FLOOR)
            ratio = reference[rows] / flux[rows]
            field, rms, kept = fit_correction(x[rows], y[rows], ratio, error * ratio, bbox, config)
            if not rms <= config.maxScatter:
                self._fail(
                    name,
                    f"the ratios of {len(rows)} sources scatter by {rms:.3g}, allowed is {config.maxScatter:g}",
                    sources=len(rows),
                    rms=rms,
                    allowed=float(config.maxScatter),
                )
                continue
            self.log.info("Aperture correction for %s: RMS %f from %d", name, rms, int(kept.sum()))
            corrections[f"{name}_flux"] = field
            corrections[f"{name}_fluxSigma"] = ChebyshevField.constant(rms, bbox)
            catalog[f"apcorr_{name}_used"][rows[kept]] = True
        return corrections

    def _fail(self, name: str, reason: str, **numbers: object) -> None:
        if name in self.config.allowFailure:
            self.log.warning("Unable to measure aperture correction for '%s': %s", name, reason)
            return
        raise ApCorrError(
            f"Unable to measure aperture correction for required algorithm '{name}': {reason}",
            remedy="Look at the PSF stars in ICSRC; charImage.measureApCorr.allowFailure lists fluxes that may fail",
            flux=name,
            **numbers,
        )


def fit_correction(
    x: FloatArray,
    y: FloatArray,
    ratio: FloatArray,
    error: FloatArray,
    bbox: tuple[int, int, int, int],
    config: MeasureApCorrConfig,
) -> tuple[ChebyshevField, float, BoolArray]:
    """Fit a surface to ratios of fluxes, weighted by their errors, with clipping.

    The noise of the reference aperture differs by a factor of a hundred between the stars of a frame: without weights
    the faint half would decide, with percents of scatter in all corrected fluxes. How much the surface may vary is
    decided by the ratios themselves.

    Parameters
    ----------
    x, y
        (n,) positions [px].
    ratio, error
        (n,) reference flux / flux, and its standard error.
    bbox
        (x0, y0, x1, y1) of the exposure, inclusive.

    Returns
    -------
    The surface, the weighted rms of the residuals of those kept, and which ratios were kept (n,).
    """
    weight = 1 / error
    fits = [_clipped_fit(x, y, ratio, weight, bbox, config, limit) for limit in (_VARIATION, _LARGE_VARIATION)]
    pulls = [(ratio - field.evaluate(x, y)) * weight for field, _ in fits]
    sigma = _sigma(pulls[1][fits[1][1]])
    small, large = (float(np.sum(np.minimum(np.abs(pull / sigma), config.numSigmaClip) ** 2)) for pull in pulls)
    field, kept = fits[small - large > _BEYOND_DOUBT]
    return field, _weighted_rms((ratio - field.evaluate(x, y))[kept], weight[kept]), kept


def _clipped_fit(
    x: FloatArray,
    y: FloatArray,
    ratio: FloatArray,
    weight: FloatArray,
    bbox: tuple[int, int, int, int],
    config: MeasureApCorrConfig,
    variation: float,
) -> tuple[ChebyshevField, BoolArray]:
    """Return the surface whose variation is expected to be `variation`, and which ratios were kept (n,)."""
    kept = np.ones(len(ratio), dtype=np.bool_)
    centre = np.full(len(ratio), np.median(ratio))
    for _ in range(config.numIter):
        pull = (ratio - centre) * weight
        again = np.abs(pull) <= config.numSigmaClip * _sigma(pull[kept])
        if again.sum() < _FEWEST_STARS:
            break
        kept = again
        centre = _fit(x[kept], y[kept], ratio[kept], weight[kept], bbox, config, variation).evaluate(x, y)
    return _fit(x[kept], y[kept], ratio[kept], weight[kept], bbox, config, variation), kept


def _sigma(pull: FloatArray) -> float:
    """Return the scatter of pulls, at least the expected one.

    A contaminated bright star would hide itself in the rms of all pulls; the quartiles do not know it.
    """
    return max(1.0, SIGMA_PER_IQR * float(np.subtract(*np.quantile(pull, [0.75, 0.25]))))


def _weighted_rms(residual: FloatArray, weight: FloatArray) -> float:
    return float(np.sqrt(np.sum((weight * residual) ** 2) / np.sum(weight**2)))


def _fit(
    x: FloatArray,
    y: FloatArray,
    ratio: FloatArray,
    weight: FloatArray,
    bbox: tuple[int, int, int, int],
    config: MeasureApCorrConfig,
    variation: float,
) -> ChebyshevField:
    order, triangular = config.fitConfig.orderX, config.fitConfig.triangular
    while order > 0:
        terms = (order + 1) * (order + 2) // 2 if triangular else (order + 1) ** 2
        if len(ratio) - terms >= config.minDegreesOfFreedom:
            break
        order -= 1
    return ChebyshevField.fit(x, y, ratio, order, bbox, triangular, weight, variation)
