"""Which sources of truth and catalogue a number rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, FloatArray, IntArray
from ..numerics.constants import FWHM_PER_SIGMA, HWHM_PER_SIGMA
from .measures import match_within
from .true_frame import Truth

__all__ = [
    "Pairs",
    "bright_stars",
    "column",
    "expected_snr",
    "flag",
    "fwhm_of",
    "isolated_galaxies",
    "isolated_stars",
    "leaves",
    "trend_stars",
    "usable",
]


# Bright: photon noise below 4 mmag in the PSF flux and 10 mmag in a 12-pixel aperture. Isolated: other sources within
# 15 pixels, which the 12-pixel aperture may see, have together less than 1 % of the star's flux.
_BRIGHT_SNR = 250.0
_TREND_SNR = 100.0
_ISOLATION_PX = 15.0
_ISOLATION_RATIO = 0.01
_GALAXY_SNR = 50.0
# A galaxy's own aperture is larger than a star's, but its neighbours are replaced by noise.
_GALAXY_RATIO = 0.03
_MATCH_PX = 1.5


@dataclass(frozen=True)
class Pairs:
    """True sources with their catalogue rows.

    Attributes
    ----------
    truth, rows
        Indices into the truth table and into the source catalogue, equally long.
    """

    truth: IntArray
    rows: IntArray


def column(sources: SourceCatalog, name: str) -> FloatArray:
    """Return a column (n,) of numbers; nan if the catalogue has none of this name."""
    if name in sources:
        return np.asarray(sources[name], dtype=np.float64)
    return np.full(len(sources), np.nan)


def flag(sources: SourceCatalog, name: str) -> BoolArray:
    """Return a flag (n,); not set if the catalogue has none of this name."""
    return np.asarray(sources[name], dtype=bool) if name in sources else np.zeros(len(sources), dtype=bool)


def fwhm_of(exposure: Exposure) -> float:
    """Return the FWHM (pixel) of the exposure's PSF by its adaptive moments, as for a Gaussian."""
    assert exposure.psf is not None
    return float(FWHM_PER_SIGMA * exposure.psf.determinant_radius(*exposure.psf.average_position))


def expected_snr(truth: Truth, exposure: Exposure) -> FloatArray:
    """Return the signal to noise (n,) that a PSF-matched filter reaches for each true source.

    Galaxies are taken as Gaussians of the PSF's size and their half-light radius in quadrature.
    """
    sky_variance = float(np.median(exposure.variance))
    # The sky's electrons make nearly all of its variance, whatever the amplifier's gain and the flat.
    gain = float(np.median(truth.sky)) / sky_variance
    sigma2 = (fwhm_of(exposure) / FWHM_PER_SIGMA) ** 2 + (truth.half_light_radius_px / HWHM_PER_SIGMA) ** 2
    noise = np.sqrt(4 * np.pi * sigma2 * sky_variance + truth.flux / gain)
    snr: FloatArray = truth.flux / noise
    return snr


def usable(x: FloatArray, y: FloatArray, exposure: Exposure) -> BoolArray:
    """Return which positions (n,) are on a pixel of the frame without SAT, BAD, NO_DATA or EDGE."""
    columns, rows = np.round(x).astype(int), np.round(y).astype(int)
    inside = (columns >= 0) & (columns < exposure.width) & (rows >= 0) & (rows < exposure.height)
    bad = np.zeros(len(columns), dtype=bool)
    bad[inside] = exposure.mask[rows[inside], columns[inside]] & mask_bits("SAT", "BAD", "NO_DATA", "EDGE") != 0
    return inside & ~bad


def leaves(sources: SourceCatalog) -> BoolArray:
    """Return which rows are not blends with children, and have a position."""
    found: BoolArray = (sources["deblend_nChild"] == 0) & np.isfinite(sources["slot_Centroid_x"])
    return found


def bright_stars(truth: Truth, sources: SourceCatalog, exposure: Exposure) -> Pairs:
    """Find the isolated bright stars and their rows; stars with masked centres or flagged fluxes are left out."""
    bright = truth.is_star & (expected_snr(truth, exposure) > _BRIGHT_SNR)
    return _clean(truth, sources, exposure, bright & truth.isolated(_ISOLATION_PX, _ISOLATION_RATIO, bright))


def trend_stars(truth: Truth, sources: SourceCatalog, exposure: Exposure) -> Pairs:
    """Find isolated stars of expected S/N above 100: their fluxes span twice as many magnitudes as the bright ones'."""
    wanted = truth.is_star & (expected_snr(truth, exposure) > _TREND_SNR)
    return _clean(truth, sources, exposure, wanted & truth.isolated(_ISOLATION_PX, _ISOLATION_RATIO, wanted))


def isolated_stars(truth: Truth, sources: SourceCatalog, exposure: Exposure, snr: tuple[float, float]) -> Pairs:
    """Find stars within limits of the expected S/N whose neighbours within 15 pixels have half of a flux error.

    No error bar contains how the deblender divided light, so that stars in a blend are left out, for instance those on
    the wings of a neighbour beyond 15 pixels.
    """
    expected = expected_snr(truth, exposure)
    wanted = truth.is_star & (expected > snr[0]) & (expected <= snr[1])
    found = _clean(truth, sources, exposure, wanted & truth.isolated(_ISOLATION_PX, 0.5 / expected, wanted))
    alone = sources["parent"][found.rows] == 0
    return Pairs(found.truth[alone], found.rows[alone])


def isolated_galaxies(truth: Truth, sources: SourceCatalog, exposure: Exposure) -> Pairs:
    """Find galaxies of expected S/N above 50 with less than 3 % of their flux in others within 15 pixels."""
    wanted = ~truth.is_star & (expected_snr(truth, exposure) > _GALAXY_SNR)
    return _clean(truth, sources, exposure, wanted & truth.isolated(_ISOLATION_PX, _GALAXY_RATIO, wanted))


def _clean(truth: Truth, sources: SourceCatalog, exposure: Exposure, wanted: BoolArray) -> Pairs:
    """Return the wanted sources with usable centres that have an unflagged leaf within 1.5 pixels."""
    candidates = np.flatnonzero(wanted & usable(truth.x, truth.y, exposure))
    good = leaves(sources) & ~sources["slot_PsfFlux_flag"] & ~sources["base_PixelFlags_flag_saturated"]
    good &= ~sources["base_PixelFlags_flag_edge"] & ~sources["base_PixelFlags_flag_bad"]
    rows = np.flatnonzero(good)
    positions = np.stack([sources["slot_Centroid_x"][rows], sources["slot_Centroid_y"][rows]], axis=1)
    hit, nearest = match_within(np.stack([truth.x, truth.y], axis=1)[candidates], positions, _MATCH_PX)
    return Pairs(candidates[hit], rows[nearest[hit]])
