"""The PSF model of an exposure from its stars.

The model is that of PSFEx (Bertin 2011, ASP Conf. 442, 435), `hscbox.image.psf.PsfexPsf`; how it is fitted is told in
`psf_fit`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np
from numpy.typing import NDArray

from hscbox.errors import NoPsfStarsError, PsfFitError
from hscbox.image.psf import PsfexPsf, polynomial_basis

from .psf_candidates import PsfCandidates
from .psf_fit import Stars, correction, fit_profile, fluxes_and_models, profile_components, stamp_weights
from .psf_profile import Profile

__all__ = ["PsfDetermination", "PsfDeterminerConfig", "determine_psf", "polynomial_degree"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_HWHM_PER_SIGMA = 1.17741
# Expected size of what the profile does not describe: this fraction of the peak where the profile is at its peak, and
# in proportion to the square root of the profile elsewhere, so that relative freedom grows into the wings.
_CORRECTION_AMPLITUDE = 0.05
_CORRECTION_POWER = 0.5
_TAPER = 2.0


class PsfDeterminerConfig(pex_config.Config):  # type: ignore[misc]
    """How the PSF model is fitted."""

    spatialOrder = pex_config.RangeField(
        "Degree of the polynomial in position.", int, default=2, min=0, max=4, inclusiveMax=True
    )
    kernelSize = pex_config.RangeField("Samples of the model in x and y; odd.", int, default=81, min=21)
    samplingSize = pex_config.RangeField("Sampling step (px).", float, default=0.5, min=0.1, max=1.0, inclusiveMax=True)
    psfAccuracy = pex_config.RangeField(
        "Accuracy assumed for the profile; larger weights bright and faint stars more alike.",
        float,
        default=0.01,
        min=0,
    )
    reducedChi2Clip = pex_config.RangeField(
        "Stars whose residual exceeds the others' by this many sigma are left out.", float, default=3.0, min=1
    )
    smoothing = pex_config.RangeField(
        "Smoothness of what is added to the Moffat profile (samples); larger is smoother.", float, default=1.5, min=0.3
    )
    iterations = pex_config.RangeField("Steps of the solver in each of two passes.", int, default=25, min=1)
    minGoodStars = pex_config.RangeField("Fewest stars for a model.", int, default=3, min=1)
    minSigma = pex_config.RangeField("Least sigma of the model (px).", float, default=0.5, min=0)
    maxSigma = pex_config.RangeField("Largest sigma of the model (px).", float, default=8.0, min=0)
    maxReducedChi2 = pex_config.RangeField("Largest median reduced chi^2 of the stars.", float, default=10.0, min=0)

    def validate(self) -> None:
        """Refuse even sizes and empty ranges."""
        super().validate()
        if self.kernelSize % 2 == 0:
            raise ValueError(f"kernelSize must be odd, not {self.kernelSize}")
        if self.minSigma >= self.maxSigma:
            raise ValueError(f"minSigma {self.minSigma} is not below maxSigma {self.maxSigma}")

    @property
    def stamp_size(self) -> int:
        """Size of the stamps of stars that the model describes [px]."""
        return 2 * int(self.kernelSize // 2 * self.samplingSize + 1e-6) + 1


@dataclass(frozen=True)
class PsfDetermination:
    """A fitted PSF.

    Attributes
    ----------
    psf
        The model.
    used
        (n,) which candidates were used.
    reduced_chi2
        (n,) of all candidates.
    sigma
        Determinant radius at the average position [px].
    """

    psf: PsfexPsf
    used: BoolArray
    reduced_chi2: FloatArray
    sigma: float


def polynomial_degree(n_stars: int, wanted: int) -> int:
    """Return the highest degree up to `wanted` that `n_stars` stars can determine."""
    degree = wanted
    while degree > 0 and 1.1 * ((degree + 1) * (degree + 2) // 2) + 0.499 > n_stars:
        degree -= 1
    return degree


def determine_psf(
    candidates: PsfCandidates,
    width: float,
    background_variance: float,
    gain: float,
    config: PsfDeterminerConfig,
    log: logging.Logger,
    draft: bool = False,
) -> PsfDetermination:
    """Fit the PSF model, leaving out stars that it does not describe.

    Parameters
    ----------
    candidates
        Stars.
    width
        Typical rms width of the candidates [px].
    background_variance
        Variance of the sky [ADU^2].
    gain
        Electrons per ADU.
    draft
        Leave out what goes beyond the Moffat profile: enough to know the size of the PSF.

    Raises
    ------
    NoPsfStarsError
        Too few candidates.
    PsfFitError
        The model fails a quality gate.
    """
    log.warning("NOT scaling kernelSize by stellar quadrupole moment, but using absolute value")
    used = candidates.good.mean(axis=(1, 2)) > 0.5
    half = candidates.stamps.shape[-1] // 2
    used &= candidates.good[:, half - 1 : half + 2, half - 1 : half + 2].all(axis=(1, 2))
    used &= np.isfinite(candidates.norm) & (candidates.norm > 0)
    if used.sum() < config.minGoodStars:
        raise NoPsfStarsError(
            f"{int(used.sum())} of {len(candidates)} PSF candidates have usable pixels, "
            f"at least {config.minGoodStars} are needed",
            remedy="Look at the mask plane, or lower charImage.measurePsf.starSelector.fluxMin",
            candidates=len(candidates),
            usable=int(used.sum()),
        )
    fit = _Fit(candidates, width, background_variance, gain, config)
    # Coarse models first: a galaxy or double star must be gone before the fine one adapts to it.
    for accuracy, corrected in ((0.2, False), (0.05, False), (config.psfAccuracy, not draft)):
        fit.run(used, accuracy, corrected)
        outliers = _outliers(fit.chi2(), used, config.reducedChi2Clip)
        used = used & ~outliers
        _check_number(used, config)
    if outliers.any():
        fit.run(used, config.psfAccuracy, not draft)
    psf = fit.psf(used)
    sigma = psf.determinant_radius()
    chi2 = fit.chi2()
    _check_quality(sigma, float(np.median(chi2[used])), int(used.sum()), config)
    return PsfDetermination(psf, used, chi2, sigma)


class _Fit:
    """The state of the fit between passes."""

    def __init__(
        self,
        candidates: PsfCandidates,
        width: float,
        background_variance: float,
        gain: float,
        config: PsfDeterminerConfig,
    ) -> None:
        self.candidates, self.config = candidates, config
        self.background, self.gain = background_variance, gain
        self.profile = Profile(float(np.log(max(_HWHM_PER_SIGMA * width, 0.6))))
        self.components: FloatArray | None = None
        self.variance = self._first_variance()

    def _first_variance(self) -> FloatArray:
        expected = np.maximum(self.candidates.stamps, 0.0)
        variance: FloatArray = self.background + expected / self.gain + (0.2 * expected) ** 2
        return variance

    def _stars(self, rows: BoolArray, degree: int) -> Stars:
        c, config = self.candidates.subset(rows), self.config
        basis = polynomial_basis(*self._scaled(c.x, c.y), degree)
        return Stars.make(c.stamps, c.good, basis, c.offset_x, c.offset_y, config.kernelSize, config.samplingSize)

    def _context(self) -> tuple[tuple[float, float], tuple[float, float]]:
        x, y = self.candidates.x, self.candidates.y
        first = (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2)
        # A single star, or several in one column, must not make the scale zero.
        return first, (max(float(np.ptp(x)), 1.0), max(float(np.ptp(y)), 1.0))

    def _scaled(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        (x0, y0), (sx, sy) = self._context()
        return (x - x0) / sx, (y - y0) / sy

    def run(self, used: BoolArray, accuracy: float, corrected: bool) -> None:
        """Fit the stars in `used`: the profile with its variation, and what it leaves if `corrected`."""
        config = self.config
        self.degree = polynomial_degree(int(used.sum()), config.spatialOrder)
        stars, variance = self._stars(used, self.degree), self.variance[used]
        self.profile, modes = fit_profile(stars, self.profile, variance, 8)
        components = profile_components(stars, modes, variance)
        fluxes, models = fluxes_and_models(stars, components, variance)
        variance = stamp_weights(stars, fluxes, models, self.background, self.gain, accuracy)
        if corrected:
            peak = float(modes[0].max())
            shape = _CORRECTION_AMPLITUDE * peak * (modes[0] / peak) ** _CORRECTION_POWER
            amplitude = np.broadcast_to(shape, components.shape)
            for _ in range(2):
                components = components + correction(
                    stars, components, fluxes, models, variance, amplitude, config.smoothing, config.iterations
                )
                fluxes, models = fluxes_and_models(stars, components, variance)
                variance = stamp_weights(stars, fluxes, models, self.background, self.gain, accuracy)
        self.components = components
        self._update_all(accuracy)

    def _update_all(self, accuracy: float) -> None:
        assert self.components is not None
        everyone = np.ones(len(self.candidates), dtype=np.bool_)
        stars = self._stars(everyone, self.degree)
        fluxes, models = fluxes_and_models(stars, self.components, self.variance)
        self.variance = stamp_weights(stars, fluxes, models, self.background, self.gain, accuracy)
        self.residual = self.candidates.stamps - fluxes[:, None, None] * models

    def chi2(self) -> FloatArray:
        """Return the reduced chi^2 (n,) of all candidates, outliers far from the star included."""
        good = self.candidates.good
        chi2: FloatArray = (good * self.residual**2 / self.variance).sum(axis=(1, 2)) / good.sum(axis=(1, 2))
        return chi2

    def psf(self, used: BoolArray) -> PsfexPsf:
        """Return the model, windowed, with unit sum."""
        assert self.components is not None
        config = self.config
        grid = (np.arange(config.kernelSize) - config.kernelSize // 2) * config.samplingSize
        radius = np.hypot(grid[:, None], grid[None, :])
        edge = config.kernelSize // 2 * config.samplingSize
        window = np.clip((edge - radius) / _TAPER, 0.0, 1.0)
        components = self.components * (window * window * (3 - 2 * window))
        components = components / (components[0].sum() * config.samplingSize**2)
        first, second = self._context()
        average = (float(self.candidates.x[used].mean()), float(self.candidates.y[used].mean()))
        return PsfexPsf(components.astype(np.float32), config.samplingSize, self.degree, first, second, average)


def _outliers(chi2: FloatArray, used: BoolArray, n_sigma: float) -> BoolArray:
    """Return the used stars whose residuals are above those of the others."""
    root = np.sqrt(chi2)
    kept = used.copy()
    for _ in range(10):
        centre = float(np.median(root[kept]))
        # A floor: among perfect stars the scatter of chi is a few per cent, and 3 sigma of it are no defect.
        scatter = max(1.4826 * float(np.median(np.abs(root[kept] - centre))), 0.03 * centre)
        again = kept & (root < centre + n_sigma * scatter)
        if again.sum() == kept.sum():
            break
        kept = again
    outliers: BoolArray = used & ~kept
    return outliers


def _check_number(used: BoolArray, config: PsfDeterminerConfig) -> None:
    if used.sum() < config.minGoodStars:
        raise PsfFitError(
            f"{int(used.sum())} stars are left for the PSF, at least {config.minGoodStars} are needed",
            remedy="The candidates are too unlike; look at the image",
            stars=int(used.sum()),
        )


def _check_quality(sigma: float, chi2: float, n_stars: int, config: PsfDeterminerConfig) -> None:
    if not config.minSigma <= sigma <= config.maxSigma:
        raise PsfFitError(
            f"The PSF model of {n_stars} stars has sigma {sigma:.3f} px, allowed are {config.minSigma:g} to "
            f"{config.maxSigma:g} px",
            remedy="Look at the image: it may be trailed or empty",
            sigma=sigma,
        )
    if not 0 < chi2 <= config.maxReducedChi2:
        raise PsfFitError(
            f"The PSF model leaves residuals with a median reduced chi^2 of {chi2:.3g} for {n_stars} stars, "
            f"allowed is more than 0 and at most {config.maxReducedChi2:g}",
            remedy="The candidates may not be stars; look at the image",
            chi2=chi2,
        )
