"""Hold an output repository against the generator's truth."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..butler.butler import Butler
from ..errors import DamagedInputError, HscboxError, MissingInputError
from .damage import DAMAGE, said
from .levels import LIMITS, Level, Limit
from .measures import Measured
from .quality_pixels import pixel_numbers
from .residuals import Residuals
from .scores import Products, numbers_of, residuals_of
from .true_frame import read_truth, truth_directories

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
    residuals
        What they are made of, see `scores.residuals_of`.
    """

    visit: int
    ccd: int
    numbers: dict[str, Measured]
    residuals: Residuals = field(default_factory=dict)

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
    """Measure one processed CCD.

    Raises
    ------
    MissingInputError
        Its calibration failed, or a product is not there.
    """
    exposure = butler.get("calexp", visit=visit, ccd=ccd)
    if exposure.wcs is None or exposure.photo_calib is None:
        lacks = "WCS" if exposure.wcs is None else "zero point (FLUXMAG0)"
        raise MissingInputError(
            f"The CORR of visit {visit} ccd {ccd} has no {lacks}: its calibration failed, and cannot be validated",
            remedy="Process it again; its log and metadata file say what failed",
        )
    truth = read_truth(directory)
    products = Products(
        exposure=exposure,
        sources=butler.get("src", visit=visit, ccd=ccd),
        ic_sources=butler.get("icSrc", visit=visit, ccd=ccd),
        matches=butler.get("srcMatchFull", visit=visit, ccd=ccd),
    )
    background = np.zeros(products.exposure.image.shape, dtype=np.float64)
    for model in butler.get("calexpBackground", visit=visit, ccd=ccd):
        background += model.evaluate()
    residuals = residuals_of(truth, products)
    numbers = {**numbers_of(residuals), **pixel_numbers(truth, products.exposure, background)}
    return CcdReport(visit, ccd, numbers, residuals)
