"""Filters: header names, canonical names, and what goes with them.

The registry and all paths use the header's FILTER01 in upper case ("HSC-R2"); configuration and exposures
use the canonical name ("r2").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..errors import ConfigError, UnsafeInputError
from . import keywords as key
from .path_part import is_path_part
from .tables import Row, read_table

__all__ = [
    "UNRECOGNISED",
    "Filter",
    "all_filters",
    "canonical_name",
    "filter_by_canonical_name",
    "filter_by_header_name",
    "refcat_band",
    "registry_name",
    "rough_zero_point",
]

UNRECOGNISED = "UNRECOGNISED"
"""Registry name of a frame whose header names no filter."""

_UNKNOWN_SPELLINGS = {"", "UNRECOGNIZED", "UNRECOGNISED", "NOTSET"}


@dataclass(frozen=True)
class Filter:
    """One filter. Numbers that nobody published are nan."""

    index: int
    """Order of definition: the integer id of the filter in the 2017 stack."""
    name: str
    """Canonical name, like "r2"."""
    registry_name: str
    """FILTER01 in upper case, like "HSC-R2"."""
    aliases: tuple[str, ...]
    wavelength: int
    """Effective wavelength, nm; 0 if there is none."""
    rough_zero_point: float
    """Magnitude of 1 count in 1 s that the 2017 stack assumes before calibration; 28.0 by default."""
    refcat_band: str | None
    """Band of the reference catalogue that stands for this filter."""
    fiducial_zero_point: float
    """Typical achieved magnitude of 1 ADU in 1 s."""
    fiducial_sky: float
    """Typical sky, ADU per pixel and second."""
    fiducial_psf_sigma: float
    """Typical Gaussian width of the PSF, pixels."""


@cache
def all_filters() -> tuple[Filter, ...]:
    """Return the filters in order of definition."""
    return tuple(_filter(row) for row in read_table("filters"))


def _filter(row: Row) -> Filter:
    return Filter(
        index=row["index"],
        name=row["name"],
        registry_name=row["registry_name"],
        aliases=tuple(row["aliases"].split(",")) if row["aliases"] else (),
        wavelength=row["wavelength"],
        rough_zero_point=row["rough_zero_point"],
        refcat_band=row["refcat_band"] or None,
        fiducial_zero_point=row["zero_point_adu"],
        fiducial_sky=row["sky_adu"],
        fiducial_psf_sigma=row["psf_sigma"],
    )


@cache
def _by_header_name() -> dict[str, Filter]:
    names: dict[str, Filter] = {}
    for item in all_filters():
        for name in (item.registry_name, *item.aliases):
            names[name.upper()] = item
    return names


@cache
def _by_canonical_name() -> dict[str, Filter]:
    return {item.name: item for item in all_filters()}


def filter_by_header_name(name: str) -> Filter:
    """Return the filter called `name` in a header or registry ("HSC-R", also "hsc-r" and "W-S-R+").

    Raises
    ------
    ConfigError
        There is no such filter.
    """
    try:
        return _by_header_name()[name.strip().upper()]
    except KeyError:
        known = ", ".join(item.registry_name for item in all_filters())
        raise ConfigError(
            f"Filter {name!r} is unknown, known are {known}",
            remedy="Check FILTER01 of the raw file",
            filter=name,
        ) from None


def filter_by_canonical_name(name: str) -> Filter:
    """Return the filter with the canonical name `name` ("r2").

    Raises
    ------
    ConfigError
        There is no such filter.
    """
    try:
        return _by_canonical_name()[name]
    except KeyError:
        known = ", ".join(item.name for item in all_filters())
        raise ConfigError(f"Filter {name!r} is unknown, known are {known}", filter=name) from None


def canonical_name(name: str) -> str:
    """Return the canonical name of a header or registry name: "HSC-R2" gives "r2"."""
    return filter_by_header_name(name).name


def registry_name(value: str) -> str:
    """Return the registry name of the header value `value` of FILTER01.

    The 2017 stack spelt a missing filter "Unrecognized"; here it is UNRECOGNISED like all other names. A
    name that is not in the filter table is kept, as long as it can be part of a path.

    Raises
    ------
    UnsafeInputError
        The name cannot be part of a path.
    """
    name = value.strip().upper()
    if name in _UNKNOWN_SPELLINGS:
        return UNRECOGNISED
    if not is_path_part(name):
        raise UnsafeInputError(
            f"FILTER01 = {value[:80]!r} cannot be part of a path, allowed are letters, digits and _ . + -",
            remedy="Correct the header: the filter name becomes a directory name",
            keyword=key.FILTER01,
            value=value,
        )
    return name


def refcat_band(canonical: str) -> str:
    """Return the band of the reference catalogue that stands for the filter.

    Raises
    ------
    ConfigError
        The filter is unknown or no band is defined for it.
    """
    band = filter_by_canonical_name(canonical).refcat_band
    if band is None:
        raise ConfigError(
            f"No reference catalogue band is defined for filter {canonical!r}",
            remedy="Frames in this filter cannot be calibrated",
            filter=canonical,
        )
    return band


def rough_zero_point(canonical: str) -> float:
    """Return the magnitude of 1 count in 1 s that the 2017 stack assumes before calibration.

    It was measured in electrons at the field centre, so it is about 1.9 mag too bright for ADU in r.
    """
    return filter_by_canonical_name(canonical).rough_zero_point
