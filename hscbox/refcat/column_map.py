"""Column maps: which columns of a table mean what, and where a TAP service has it.

The models are the TOML form: every key of a map is a field here.
"""

from __future__ import annotations

import importlib.resources
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ..errors import MissingInputError
from ..machine.toml_model import Line, Listed, TomlModel, toml_values, validated
from ..numerics.constants import AB_ZERO_JY

__all__ = [
    "Band",
    "ColumnMap",
    "Columns",
    "Cut",
    "Epoch",
    "FlagColumn",
    "Tap",
    "TwoColumns",
    "load_map",
    "shipped_maps",
]

_BAND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
_ANGLES = {"deg": math.pi / 180, "arcsec": math.pi / 648e3, "mas": math.pi / 648e6, "rad": 1.0}
_FLUXES = {"Jy": 1.0, "mJy": 1e-3, "uJy": 1e-6, "nJy": 1e-9}


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be empty")
    return text


def _band_name(name: str) -> str:
    if _BAND.fullmatch(name) is None:
        raise ValueError("a band's name is made of letters, digits and underscores")
    return name


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | float):
        raise ValueError("it must be a text, a number or true/false")
    return value


Text = Annotated[Line, AfterValidator(_not_empty)]
BandName = Annotated[str, AfterValidator(_band_name)]


class Columns(TomlModel):
    """Columns that every table has: ids, positions in degrees, and the number that stands for "not measured"."""

    id: Text
    ra: Text
    dec: Text
    missing: float | None = None


class Band(TomlModel):
    """One band: a column of magnitudes, or of fluxes with their size.

    Attributes
    ----------
    to_ab
        What to add to the magnitudes to make them AB, as for Vega magnitudes.
    unit, zero_point
        Unit of the fluxes, or AB magnitude of a flux of 1.
    """

    magnitude: Text | None = None
    magnitude_error: Text | None = None
    to_ab: float = 0.0
    flux: Text | None = None
    flux_error: Text | None = None
    unit: Literal["Jy", "mJy", "uJy", "nJy"] | None = None
    zero_point: float | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Band:
        if (self.magnitude is None) == (self.flux is None):
            raise ValueError("give either 'magnitude' or 'flux'")
        others = {"flux_error", "unit", "zero_point"} if self.is_magnitude else {"magnitude_error", "to_ab"}
        odd = sorted(others & self.model_fields_set)
        if odd:
            raise ValueError(f"'{odd[0]}' does not go with '{'magnitude' if self.is_magnitude else 'flux'}'")
        if not self.is_magnitude and (self.unit is None) == (self.zero_point is None):
            raise ValueError("a flux needs either 'unit' or 'zero_point' (AB magnitude of a flux of 1)")
        return self

    @property
    def is_magnitude(self) -> bool:
        """Whether the column holds magnitudes."""
        return self.magnitude is not None

    @property
    def column(self) -> str:
        """Column of the magnitudes or fluxes."""
        return self.magnitude or self.flux or ""

    @property
    def error(self) -> str | None:
        """Column of their errors."""
        return self.magnitude_error or self.flux_error

    @property
    def scale(self) -> float:
        """Jy of a flux of 1; for magnitudes, Jy of magnitude 0."""
        if self.unit is not None:
            return _FLUXES[self.unit]
        return float(AB_ZERO_JY * 10.0 ** (-0.4 * (self.to_ab if self.zero_point is None else self.zero_point)))


class TwoColumns(TomlModel):
    """Columns of a quantity along right ascension (on the sky) and declination."""

    ra: Text
    dec: Text
    unit: str

    @property
    def scale(self) -> float:
        """Radians (per year) of 1 in the table."""
        return _ANGLES[self.unit.removesuffix("/yr")]


class PositionErrors(TwoColumns):
    """Columns of the errors of the positions."""

    unit: Literal["deg", "arcsec", "mas", "rad"]


class ProperMotion(TwoColumns):
    """Columns of the proper motions and their errors."""

    unit: Literal["deg/yr", "arcsec/yr", "mas/yr", "rad/yr"]
    ra_error: Text | None = None
    dec_error: Text | None = None


class Epoch(TomlModel):
    """Time of the positions: one number for all, or a column."""

    unit: Literal["jyear", "mjd"]
    value: float | None = None
    column: Text | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Epoch:
        if (self.value is None) == (self.column is None):
            raise ValueError("give either 'value' or 'column'")
        return self


class FlagColumn(TomlModel):
    """A flag, set where the column has one of some values."""

    column: Text
    set_by: Annotated[Listed[Annotated[Any, AfterValidator(_scalar)]], Field(min_length=1)]


class Cut(TomlModel):
    """A condition that objects must fulfil to be downloaded."""

    where: Text
    reason: Text


class Tap(TomlModel):
    """How to ask a TAP service.

    Attributes
    ----------
    query_depth
        Depth of the trixels that are asked for. Shards of depth 7 are fetched whole, so that a smaller one would have
        no effect.
    max_rows
        An answer with more rows counts as cut.
    """

    url: Text
    table: Text
    region: Literal["polygon", "circle"]
    query_depth: int = Field(ge=7, le=12)
    max_rows: int = Field(ge=1, le=1_000_000)
    cuts: Listed[Cut] = ()


class ColumnMap(TomlModel):
    """What the columns of a table mean.

    Attributes
    ----------
    name
        Name of a shipped map, or path of the file.
    source
        Where its numbers are from, for people.
    """

    name: str
    description: Text
    source: Text = "not said"
    columns: Columns
    bands: Annotated[dict[BandName, Band], Field(min_length=1)]
    position_errors: PositionErrors | None = None
    proper_motion: ProperMotion | None = None
    epoch: Epoch | None = None
    flags: dict[Literal["photometric", "resolved", "variable"], FlagColumn] = Field(default_factory=dict)
    tap: Tap | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """Return all columns that the map needs, each once, in order."""
        names: list[str | None] = [self.columns.id, self.columns.ra, self.columns.dec]
        for band in self.bands.values():
            names += [band.column, band.error]
        if self.position_errors is not None:
            names += [self.position_errors.ra, self.position_errors.dec]
        if self.proper_motion is not None:
            motion = self.proper_motion
            names += [motion.ra, motion.dec, motion.ra_error, motion.dec_error]
        names += [self.epoch.column] if self.epoch is not None else []
        names += [flag.column for flag in self.flags.values()]
        return tuple(dict.fromkeys(name for name in names if name is not None))


def shipped_maps() -> list[str]:
    """Return the names of the maps that come with the program."""
    folder = importlib.resources.files(__package__) / "maps"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_map(name: str) -> ColumnMap:
    """Return a shipped map by name, or the map in a file.

    Raises
    ------
    ConfigError
        It has unknown, missing or impossible keys; the message names file and key.
    MissingInputError
        There is no such map.
    """
    if name in shipped_maps():
        text = (importlib.resources.files(__package__) / "maps" / f"{name}.toml").read_text("utf-8")
    else:
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise MissingInputError(
                f"Cannot read column map {name}: {getattr(error, 'strerror', None) or error}",
                remedy=f"Give a TOML file or one of {', '.join(shipped_maps())}",
            ) from error
    return validated(ColumnMap, toml_values(text, f"Column map {name}"), f"Column map {name}", name=name)
