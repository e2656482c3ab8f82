"""Hold an output repository against the generator's truth."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..butler.butler import Butler
from ..errors import DamagedInputError, HscboxError, MissingInputError
from .levels import LIMITS, Level, Limit
from .measures import Measured
from .products import DAMAGE, said
from .quality import (
    astrometric_bias,
    bright_stars,
    pixel_numbers,
    psf_numbers,
    source_numbers,
    star_numbers,
)
from .truth import read_truth, truth_directories

__all__ = ["CcdReport", "validate_ccd", "validate_output"]


@dataclass(frozen=True)
class CcdReport:
    """The quality numbers of one CCD.

    Attributes
    ----------
    visit, ccd
        Which one.
    numbers
        Measured numbers by the names of `levels.LIMITS`.
    """

    visit: int
    ccd: int
    numbers: dict[str, Measured]

    def missed(self, level: Level) -> list[Limit]:
        """Return the limits of the level that do not hold."""
        return [limit for limit in LIMITS if not limit.holds(self.numbers[limit.name], level)]

    def as_dict(self, level: Level) -> dict[str, object]:
        """Return the report for JSON: value, error, count, both bounds and verdict of each number.

        What could not be measured is None, since JSON knows no NaN.
        """
        rows = {}
        for limit in LIMITS:
            measured = self.numbers[limit.name]
            rows[limit.name] = {
                **{name: _finite(value) for name, value in asdict(measured).items()},
                "unit": limit.unit,
                "floor": limit.floor,
                "target": limit.target,
                "holds": limit.holds(measured, level),
            }
        return {
            "visit": self.visit,
            "ccd": self.ccd,
            "level": level,
            "passes": not self.missed(level),
            "numbers": rows,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def validate_output(output: Path, truth: Path) -> list[CcdReport]:
    """Measure every CCD of `output` that has a truth directory ``<visit>-<ccd>`` in `truth`.

    Raises
    ------
    MissingInputError
        There is no truth, or none of its CCDs was processed.
    DamagedInputError
        A product lacks something, or nothing can be measured in it.
    """
    butler = Butler(inputs=output, quiet=True)
    reports = []
    places = truth_directories(truth)
    for visit, ccd, directory in places:
        if butler.datasetExists("calexp", visit=visit, ccd=ccd):
            reports.append(_validated(butler, visit, ccd, directory))
    if not reports:
        names = ", ".join(f"{visit}-{ccd:03d}" for visit, ccd, _ in places) or "none"
        raise MissingInputError(
            f"No processed CCD in {output} has a truth in {truth} (there: {names})",
            remedy="Process the simulated raws first, and give the truth directory that hscbox simulate wrote",
        )
    return reports


def _validated(butler: Butler, visit: int, ccd: int, directory: Path) -> CcdReport:
    try:
        return validate_ccd(butler, visit, ccd, directory)
    except HscboxError:
        raise
    except DAMAGE as error:
        raise DamagedInputError(f"The products of visit {visit} ccd {ccd} cannot be measured: {said(error)}") from error


def validate_ccd(butler: Butler, visit: int, ccd: int, directory: Path) -> CcdReport:
    """Measure one processed CCD."""
    truth = read_truth(directory)
    exposure = butler.get("calexp", visit=visit, ccd=ccd)
    sources = butler.get("src", visit=visit, ccd=ccd)
    ic_sources = butler.get("icSrc", visit=visit, ccd=ccd)
    background = np.zeros(exposure.image.shape, dtype=np.float64)
    for model in butler.get("calexpBackground", visit=visit, ccd=ccd):
        background += model.evaluate()
    matches = butler.get("srcMatchFull", visit=visit, ccd=ccd)
    stars = bright_stars(truth, sources, exposure)
    used = ic_sources["calib_psfUsed"]
    used_xy = np.stack([ic_sources["slot_Centroid_x"][used], ic_sources["slot_Centroid_y"][used]], axis=1)
    numbers = {
        **star_numbers(truth, sources, exposure, stars),
        **astrometric_bias(
            exposure,
            matches["src_slot_Centroid_x"],
            matches["src_slot_Centroid_y"],
            np.rad2deg(matches["ref_coord_ra"]),
            np.rad2deg(matches["ref_coord_dec"]),
        ),
        **psf_numbers(truth, exposure, used_xy),
        **source_numbers(truth, sources, exposure),
        **pixel_numbers(truth, exposure, background),
    }
    return CcdReport(visit, ccd, numbers)
