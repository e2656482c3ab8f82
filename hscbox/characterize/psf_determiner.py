"""The PSF model of an exposure from its stars.

The model is that of PSFEx (Bertin 2011, ASP Conf. 442, 435), `hscbox.image.psf.PsfexPsf`; how it is fitted is told in
`psf_fit`.
"""

from __future__ import annotations

from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np

from ..errors import PsfFitError, TooFewPsfCandidatesError
from ..image.psf import PsfexPsf, polynomial_basis
from ..numerics.arrays import BoolArray, FloatArray
from ..numerics.constants import HWHM_PER_SIGMA, SIGMA_PER_MAD
from .psf_candidates import PsfCandidates
from .psf_fit import Stars, correction, fit_profile, fluxes_and_models, profile_components, stamp_weights
from .psf_neighbours import foreign_pixels
from .psf_profile import Profile, image_modes

__all__ = ["PsfDetermination", "PsfDeterminerConfig", "determine_psf", "polynomial_degree"]


# Expected size of what the profile does not describe: this fraction of the peak where the profile is at its peak, and
# in proportion to the square root of the profile elsewhere, so that relative freedom grows into the wings.
_CORRECTION_AMPLITUDE = 0.05
_CORRECTION_POWER = 0.5
# A floor for the scatter of chi: among perfect stars it is a few per cent, and 3 sigma of it are no defect.
_LEAST_SCATTER = 0.03
_ROUNDS = 2
# The profile is found when no parameter changes by more; while stars are still being chosen, less is enough.
_TOLERANCE, _COARSE_TOLERANCE = 1e-3, 1e-2
# Width of the soft edge of the model [px].
_TAPER = 2.0
# The model may be wrong by this fraction before a star counts as unlike the others, or a residual as a neighbour: what
# the brightest stars show beyond the noise is more often the model's fault than theirs.
_STAR_ACCURACY = 0.02


class PsfDeterminerConfig(pex_config.Config):
    """How the PSF model is fitted."""

    spatialOrder = pex_config.RangeField(
        "Degree of the polynomial in position.", int, default=2, min=0, max=4, inclusiveMax=True
    )
    kernelSize = pex_config.RangeField("Samples of the model in x and y; odd.", int, default=121, min=21)
    # Lanczos's kernel narrows a PSF of 0.45" by 0.11 % between samples half a pixel apart.
    samplingSize = pex_config.RangeField(
        "Sampling step (px).", float, default=1.0 / 3.0, min=0.1, max=1.0, inclusiveMax=True
    )
    psfAccuracy = pex_config.RangeField(
        "Accuracy assumed for the profile; larger weights bright and faint stars more alike (PSFEx: 0.01).",
        float,
        default=0.003,
        min=0,
    )
    reducedChi2Clip = pex_config.RangeField(
        "Stars whose residual exceeds the others' by this many sigma are left out.", float, default=3.0, min=1
    )
    smoothing = pex_config.RangeField(
        "Smoothness of what is added to the Moffat profile (px); larger is smoother.", float, default=0.75, min=0.1
    )
    iterations = pex_config.RangeField(
        "Steps of the solver each time the mean image is mended.", int, default=25, min=1
    )
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
    TooFewPsfCandidatesError
        Too few candidates have usable pixels.
    PsfFitError
        The model fails a quality gate.
    """
    used = candidates.good.mean(axis=(1, 2)) > 0.5
    half = candidates.stamps.shape[-1] // 2
    used &= candidates.good[:, half - 1 : half + 2, half - 1 : half + 2].all(axis=(1, 2))
    used &= np.isfinite(candidates.norm) & (candidates.norm > 0)
    if used.sum() < config.minGoodStars:
        raise TooFewPsfCandidatesError(
            f"{int(used.sum())} of {len(candidates)} PSF candidates have usable pixels, "
            f"at least {config.minGoodStars} are needed",
            remedy="Look at the mask plane, or lower charImage.measurePsf.starSelector.fluxMin",
            candidates=len(candidates),
            usable=int(used.sum()),
        )
    fit = _Fit(candidates, width, background_variance, gain, config)
    usable = used
    # Coarse models first: a galaxy or double star must be gone before the fine one adapts to it. A bright star that
    # only the coarse model fails to describe comes back.
    for accuracy, rounds in ((0.2, 0), (0.05, 0), (config.psfAccuracy, 0 if draft else 1)):
        fit.run(used, accuracy, rounds)
        fit.mask_neighbours(max(accuracy, _STAR_ACCURACY))
        fitted, used = used, _alike(fit.chi2(max(accuracy, _STAR_ACCURACY)), used, usable, config.reducedChi2Clip)
        _check_number(used, config)
    if not draft or not np.array_equal(used, fitted):
        fit.run(used, config.psfAccuracy, 0 if draft else _ROUNDS)
    psf = fit.psf(used)
    sigma = psf.determinant_radius()
    chi2 = fit.chi2(config.psfAccuracy)
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
        self.candidates, self.config, self.width = candidates, config, width
        self.background, self.gain = background_variance, gain
        self.profile = Profile(float(np.log(max(HWHM_PER_SIGMA * width, 0.6))))
        self.components: FloatArray | None = None
        self.good = candidates.good
        self.expected = np.maximum(candidates.stamps, 0.0)
        self.residual = np.zeros_like(candidates.stamps)

    def _stars(self, rows: BoolArray, degree: int) -> Stars:
        c, config = self.candidates.subset(rows), self.config
        basis = polynomial_basis(*self._scaled(c.x, c.y), degree)
        good = self.good[rows]
        return Stars.make(c.stamps, good, basis, c.offset_x, c.offset_y, config.kernelSize, config.samplingSize)

    def _context(self) -> tuple[tuple[float, float], tuple[float, float]]:
        x, y = self.candidates.x, self.candidates.y
        first = (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2)
        # A single star, or several in one column, must not make the scale zero.
        return first, (max(float(np.ptp(x)), 1.0), max(float(np.ptp(y)), 1.0))

    def _scaled(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        (x0, y0), (sx, sy) = self._context()
        return (x - x0) / sx, (y - y0) / sy

    def run(self, used: BoolArray, accuracy: float, rounds: int) -> None:
        """Fit the stars in `used`: the profile with its variation, mended in `rounds` by what it leaves."""
        config = self.config
        self.degree = polynomial_degree(int(used.sum()), config.spatialOrder)
        stars, variance = self._stars(used, self.degree), self._variance(accuracy)[used]
        tolerance = _TOLERANCE if accuracy <= config.psfAccuracy else _COARSE_TOLERANCE
        self.profile, modes = fit_profile(stars, self.profile, variance, 8, tolerance)
        components = profile_components(stars, modes, variance)
        fluxes, models = fluxes_and_models(stars, components, variance)
        variance = stamp_weights(stars, fluxes, models, self.background, self.gain, accuracy)
        peak = float(modes[0].max())
        amplitude = _CORRECTION_AMPLITUDE * peak * (modes[0] / peak) ** _CORRECTION_POWER
        smoothing = config.smoothing / config.samplingSize
        for _ in range(rounds):
            mean = components[0] + correction(stars, fluxes, models, variance, amplitude, smoothing, config.iterations)
            components = profile_components(stars, image_modes(mean, config.samplingSize, modes[4]), variance)
            fluxes, models = fluxes_and_models(stars, components, variance)
            variance = stamp_weights(stars, fluxes, models, self.background, self.gain, accuracy)
        self.components = components
        everyone = self._stars(np.ones(len(self.candidates), dtype=np.bool_), self.degree)
        fluxes, models = fluxes_and_models(everyone, components, self._variance(accuracy))
        self.residual = self.candidates.stamps - fluxes[:, None, None] * models
        self.expected = np.maximum(self.candidates.stamps - self.residual, 0.0)

    def _variance(self, accuracy: float) -> FloatArray:
        """Return the variance (n, size, size) [ADU^2] of all candidates' pixels as the model predicts it."""
        variance: FloatArray = self.background + self.expected / self.gain + (accuracy * self.expected) ** 2
        return variance

    def chi2(self, accuracy: float) -> FloatArray:
        """Return the reduced chi^2 (n,) of all candidates, outliers far from the star included."""
        good = self.good
        chi2: FloatArray = (good * self.residual**2 / self._variance(accuracy)).sum(axis=(1, 2)) / good.sum(axis=(1, 2))
        return chi2

    def mask_neighbours(self, accuracy: float) -> None:
        """Take the pixels of neighbours, as the present model shows them, out of the fit."""
        good = self.candidates.good
        self.good = good & ~foreign_pixels(self.residual, good, self._variance(accuracy), self.width)

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


def _alike(chi2: FloatArray, used: BoolArray, usable: BoolArray, n_sigma: float) -> BoolArray:
    """Return the usable stars whose residuals are not above those of most of the used ones."""
    root = np.sqrt(chi2)
    kept = used
    for _ in range(10):
        centre = float(np.median(root[kept]))
        scatter = max(SIGMA_PER_MAD * float(np.median(np.abs(root[kept] - centre))), _LEAST_SCATTER * centre)
        again = usable & (root < centre + n_sigma * scatter)
        if np.array_equal(again, kept):
            break
        kept = again
    return kept


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
