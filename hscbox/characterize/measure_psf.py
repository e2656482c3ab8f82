"""Star selection, reserve and PSF fit in one task."""

from __future__ import annotations

from dataclasses import dataclass

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.footprint import Footprint
from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import NoPsfStarsError
from ..image.exposure import Exposure
from ..image.psf import PsfexPsf
from ..measure.noise_replacer import noise_level
from ..numerics.arrays import BoolArray, FloatArray, IntArray
from ..task_metadata import Task, record, timed_method
from .psf_candidates import extract_candidates, has_stamp
from .psf_determiner import PsfDeterminerConfig, determine_psf
from .star_selector import ObjectSizeStarSelectorConfig, select_stars

__all__ = ["MeasurePsfConfig", "MeasurePsfResult", "MeasurePsfTask", "choose_reserved"]

_CANDIDATE, _USED, _RESERVED = "calib_psfCandidate", "calib_psfUsed", "calib_psfReserved"
_NOMINAL_GAIN = 3.4


class MeasurePsfConfig(pex_config.Config):
    """How the PSF is measured."""

    starSelector = pex_config.ConfigField("Selection of stars (objectSize).", ObjectSizeStarSelectorConfig)
    psfDeterminer = pex_config.ConfigField("PSF model (psfex).", PsfDeterminerConfig)
    reserveFraction = pex_config.RangeField(
        "Fraction of the stars that the fit does not see, for tests of the model.", float, default=0.2, min=0, max=0.9
    )
    reserveSeed = pex_config.RangeField("Another number reserves other stars.", int, default=1, min=0)


@dataclass(frozen=True)
class MeasurePsfResult:
    """A measured PSF.

    Attributes
    ----------
    psf
        The model.
    sigma
        Its determinant radius at the average position [px].
    n_candidates, n_used, n_reserved
        Numbers of stars; the reserved ones are not among the candidates.
    """

    psf: PsfexPsf
    sigma: float
    n_candidates: int
    n_used: int
    n_reserved: int


class MeasurePsfTask(Task[MeasurePsfConfig]):
    """Measure the PSF of an exposure.

    Parameters
    ----------
    config
        Parameters.
    name
        Dotted name of the task.
    schema
        Gets the flags of candidates, used and reserved stars.
    """

    def __init__(self, config: MeasurePsfConfig, name: str, schema: Schema) -> None:
        super().__init__(config, name)
        schema.add_field(_CANDIDATE, "Flag", "picked by the star selector")
        schema.add_field(_USED, "Flag", "used by the PSF determiner")
        schema.add_field(_RESERVED, "Flag", "held back from the PSF fit")

    @timed_method
    def run(self, *, exposure: Exposure, catalog: SourceCatalog, draft: bool = False) -> MeasurePsfResult:
        """Select stars among the measured sources of `catalog`, set their flags, and fit the PSF.

        With `draft` the model is good for the size of the PSF only, and takes half the time.

        Raises
        ------
        NoPsfStarsError
            No star is usable.
        PsfFitError
            The fit fails a quality gate.
        """
        self.log.info("Measuring PSF")
        width = _widths(catalog)
        rows = self._select(exposure, catalog, width)
        exposure_id = 0 if exposure.visit_info is None else exposure.visit_info.exposure_id
        reserved = choose_reserved(len(rows), self.config.reserveFraction, [exposure_id, self.config.reserveSeed])
        candidates = rows[~reserved]
        self.log.info("PSF star selector found %d candidates", len(candidates))
        if self.config.reserveFraction > 0:
            catalog[_RESERVED][rows[reserved]] = True
            self.log.info("Reserved %d candidates from the fitting", int(reserved.sum()))
        catalog[_CANDIDATE][candidates] = True
        footprints: list[Footprint] = [catalog.footprints[row] for row in candidates]
        stars = extract_candidates(
            exposure,
            catalog["slot_Centroid_x"][candidates],
            catalog["slot_Centroid_y"][candidates],
            footprints,
            catalog[self.config.starSelector.sourceFluxField][candidates],
            self.config.psfDeterminer.stamp_size,
        )
        noise = noise_level(exposure.image).std ** 2
        found = determine_psf(
            stars,
            float(np.median(width[candidates])),
            noise,
            _gain(exposure),
            self.config.psfDeterminer,
            draft,
        )
        catalog[_USED][candidates[found.used]] = True
        n_used = int(found.used.sum())
        self.log.info("PSF determination using %d/%d stars.", n_used, len(candidates))
        record(self.name, "spatialFitChi2", float("nan"))
        record(self.name, "numAvailStars", len(candidates))
        record(self.name, "numGoodStars", n_used)
        record(self.name, "avgX", found.psf.average_position[0])
        record(self.name, "avgY", found.psf.average_position[1])
        return MeasurePsfResult(found.psf, found.sigma, len(candidates), n_used, int(reserved.sum()))

    def _select(self, exposure: Exposure, catalog: SourceCatalog, width: FloatArray) -> IntArray:
        config = self.config.starSelector
        flagged = np.zeros(len(catalog), dtype=np.bool_)
        for flag in config.badFlags:
            flagged |= catalog[flag]
        x, y = catalog["slot_Centroid_x"], catalog["slot_Centroid_y"]
        if config.borderWidth > 0:
            border = config.borderWidth
            inside = (x >= border) & (y >= border)
            flagged |= ~(inside & (x < exposure.width - border) & (y < exposure.height - border))
        stars = select_stars(width, catalog[config.sourceFluxField], flagged, config)
        size = self.config.psfDeterminer.stamp_size
        usable = stars & has_stamp(x, y, size, exposure.width, exposure.height)
        if not usable.any():
            raise NoPsfStarsError(
                f"All {int(stars.sum())} PSF stars are too near to the border for stamps of {size} px",
                remedy="The image may be too small a cut-out",
                stars=int(stars.sum()),
            )
        return np.flatnonzero(usable)


def choose_reserved(n: int, fraction: float, seed: list[int]) -> BoolArray:
    """Return which of `n` stars to hold back: int(fraction n) of them, at random."""
    reserved = np.zeros(n, dtype=np.bool_)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    reserved[generator.permutation(n)[: int(fraction * n)]] = True
    return reserved


def _widths(catalog: SourceCatalog) -> FloatArray:
    trace = catalog["slot_Shape_xx"] + catalog["slot_Shape_yy"]
    with np.errstate(invalid="ignore"):
        width: FloatArray = np.sqrt(trace / 2)
    return width


def _gain(exposure: Exposure) -> float:
    if exposure.detector is None:
        return _NOMINAL_GAIN
    return float(np.mean([amplifier.gain for amplifier in exposure.detector.amplifiers]))
