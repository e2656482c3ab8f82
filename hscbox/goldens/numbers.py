"""Numbers of a processed scene, each with the tolerance that another processor's rounding needs.

At the bitwise level bytes are compared and these numbers only say what a difference means. Where the bytes may
differ they decide. A tolerance is taken from the data: the change that a few sources or pixels on the other side of
a threshold make, far below the statistical error of the number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..camera.distortion import PIXEL_SCALE
from ..fits.read import read_units
from ..fits.tables import read_columns
from ..image.exposure import Exposure
from ..image.mask import MASK_PLANES, mask_bits
from ..numerics.arrays import Float32Array, FloatArray
from ..products.boost import read_boost
from ..products.exposure import read_exposure
from ..truth.selection import fwhm_of

__all__ = ["REASONS", "Number", "scene_numbers"]

REASONS = {
    "aperture correction": "1 mmag, as the fit moves with a star more or less",
    "count": "objects at a threshold appear or vanish: 2 of them, or 1 %",
    "exact": "set by input and configuration alone",
    "flag": "objects at the threshold of a flag, or whose iteration just ends and gives a number: 6 of them, or 5 %",
    "mask": "pixels at a threshold appear or vanish in a mask plane: 20 of them, or 2 %",
    "header": "a mean over many pixels: rounding, and the few pixels that are clipped or not, move it by 0.01 % (0.02 "
    "near zero)",
    "message": "a count or fit in the text of an error, on the failing side by a wide margin: 4, or 25 %",
    "pixels": "a quantile of a plane: 0.2 % of its quartile range covers rounding and single masked pixels",
    "quartile": "as far as the quartile moves when 1 % of the rows, at least 3, appear or vanish below it",
    "seeing": "the PSF model: 0.1 %, half a star more or less in the fit",
    "truth": "twice the number's own standard error, at least 1 % of its value",
    "wcs": "2 mas, a tenth of the error that the floor allows, as one match more or less moves a corner",
    "zero point": "0.5 mmag, a twentieth of the error that the floor allows, as one star more or less moves it",
}

_HEADER = re.compile(r"SKYLEVEL|SKYSIGMA|FLATNESS_(PP|RMS)|BGMEAN|BGVAR|OS(LEVEL|SIGMA)\d")
_FRINGE = re.compile(r"Fringe scale (\S+), residual (\S+), ")
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_QUARTILES = (0.25, 0.5, 0.75)
_APERTURE_CORRECTION = 1e-3
_METADATA = {
    "psf.stars_available": "processCcd:charImage:measurePsf.numAvailStars",
    "psf.stars_used": "processCcd:charImage:measurePsf.numGoodStars",
}


@dataclass(frozen=True)
class Number:
    """A value, how far another run may be from it, and the key of the reason in `REASONS`."""

    value: float
    tolerance: float
    reason: str

    def holds(self, other: float) -> bool:
        """Return whether another value is within the tolerance; not-a-number equals itself."""
        if math.isnan(self.value) or math.isnan(other):
            return math.isnan(self.value) and math.isnan(other)
        return abs(other - self.value) <= self.tolerance


def scene_numbers(output: Path, log: str) -> dict[str, Number]:
    """Return the numbers of all products that there are, by name.

    Parameters
    ----------
    output
        Output repository with one CCD.
    log
        Log of its run.

    Raises
    ------
    HscboxError, OSError, ValueError
        A product cannot be read.
    """
    numbers: dict[str, Number] = {}
    for path in _products(output, "CORR"):
        numbers |= dict(_exposure_numbers(read_exposure(path)))
    for path in _products(output, "SRC"):
        numbers |= dict(_catalog_numbers("src", path))
    for kind in ("ICSRC", "SRCMATCH"):
        for path in _products(output, kind):
            numbers[f"rows.{kind.lower()}"] = _count(read_units(path)[1].header["NAXIS2"])
    for path in output.glob("*/*/processCcd_metadata/*.boost"):
        items = read_boost(path).items
        numbers |= {name: _count(int(items[key][-1])) for name, key in _METADATA.items() if key in items}
    found = _FRINGE.search(log)
    if found:
        for name, text in zip(("scale", "residual"), found.groups(), strict=True):
            numbers[f"fringe.{name}"] = _header(float(text))
    return numbers


def _products(output: Path, kind: str) -> list[Path]:
    return sorted(output.glob(f"*/*/*/{kind}-*.fits"))


def _count(value: int) -> Number:
    return Number(value, max(2, math.ceil(0.01 * value)), "count")


def _flagged(value: int) -> Number:
    return Number(value, max(6, math.ceil(0.05 * value)), "flag")


def _header(value: float) -> Number:
    return Number(value, max(1e-4 * abs(value), 0.02), "header")


def _exposure_numbers(exposure: Exposure) -> Iterator[tuple[str, Number]]:
    for key in sorted(exposure.metadata):
        if _HEADER.fullmatch(key):
            yield f"header.{key.lower()}", _header(float(exposure.metadata[key]))  # type: ignore[arg-type]
    if exposure.photo_calib is not None:
        zero_point = 2.5 * math.log10(exposure.photo_calib.flux_mag0)
        yield "zero_point.magnitude", Number(zero_point, 5e-4, "zero point")
    if "MAGZERO_NOBJ" in exposure.metadata:
        yield "zero_point.stars", _count(int(exposure.metadata["MAGZERO_NOBJ"]))  # type: ignore[arg-type]
    if exposure.psf is not None:
        seeing = fwhm_of(exposure) * PIXEL_SCALE
        yield "psf.seeing_arcsec", Number(seeing, 1e-3 * seeing, "seeing")
    if exposure.wcs is not None:
        yield from _wcs_numbers(exposure)
    yield from _plane_numbers("image", exposure.image)
    yield from _plane_numbers("variance", exposure.variance)
    yield from _mask_numbers(exposure)


def _wcs_numbers(exposure: Exposure) -> Iterator[tuple[str, Number]]:
    assert exposure.wcs is not None
    x, y = exposure.width - 1.0, exposure.height - 1.0
    places = {"centre": (x / 2, y / 2), "first": (0.0, 0.0), "last": (x, y)}
    tolerance = 2e-3 / 3600
    for name, (column, row) in places.items():
        ra, dec = exposure.wcs.pixel_to_sky([column], [row])
        yield f"wcs.{name}.ra", Number(float(ra[0]), tolerance / math.cos(math.radians(float(dec[0]))), "wcs")
        yield f"wcs.{name}.dec", Number(float(dec[0]), tolerance, "wcs")


def _plane_numbers(name: str, plane: Float32Array) -> Iterator[tuple[str, Number]]:
    values = plane[np.isfinite(plane)].astype(np.float64)
    quantiles = np.quantile(values, _QUANTILES)
    tolerance = 2e-3 * float(quantiles[3] - quantiles[1])
    for quantile, value in zip(_QUANTILES, quantiles, strict=True):
        yield f"{name}.q{100 * quantile:02.0f}", Number(float(value), tolerance, "pixels")
    yield f"{name}.not_finite", Number(plane.size - values.size, 0, "exact")


def _mask_numbers(exposure: Exposure) -> Iterator[tuple[str, Number]]:
    for plane in MASK_PLANES:
        count = int(np.count_nonzero(exposure.mask & mask_bits(plane)))
        yield f"mask.{plane.lower()}", Number(count, max(20, math.ceil(0.02 * count)), "mask")


def _catalog_numbers(name: str, path: Path) -> Iterator[tuple[str, Number]]:
    """Yield rows, set flags and the quartiles of each column of a catalogue."""
    unit = read_units(path)[1]
    yield f"rows.{name}", _count(unit.header["NAXIS2"])
    for column in read_columns(unit):
        if column.name == "flags":
            yield from _flag_numbers(name, column.values, unit.header)
        elif isinstance(column.values, np.ndarray) and column.values.ndim == 1 and column.values.dtype.kind in "fiu":
            yield from _column_numbers(f"{name}.{column.name}", column.values.astype(np.float64))


def _flag_numbers(name: str, flags: npt.NDArray[Any], header: dict[str, Any]) -> Iterator[tuple[str, Number]]:
    for index, count in enumerate(flags.sum(axis=0).tolist(), start=1):
        yield f"{name}.flag.{header[f'TFLAG{index}']}", _flagged(int(count))


def _column_numbers(name: str, values: FloatArray) -> Iterator[tuple[str, Number]]:
    finite = values[np.isfinite(values)]
    yield f"{name}.not_finite", _flagged(len(values) - len(finite))
    if not len(finite):
        return
    step = max(0.01, 3 / len(finite))
    for quartile in _QUARTILES:
        # Ranks, not interpolations: the value is one that is in the table.
        value = float(np.quantile(finite, quartile, method="lower"))
        low = float(np.quantile(finite, max(quartile - step, 0), method="lower"))
        high = float(np.quantile(finite, min(quartile + step, 1), method="higher"))
        tolerance, reason = max(high - value, value - low, 1e-6 * abs(value)), "quartile"
        if name.endswith("_apCorr") and tolerance < _APERTURE_CORRECTION:
            tolerance, reason = _APERTURE_CORRECTION, "aperture correction"
        yield f"{name}.q{100 * quartile:.0f}", Number(value, tolerance, reason)
