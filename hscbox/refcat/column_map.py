"""Column maps: which columns of a table mean what, and where a TAP service has it."""

from __future__ import annotations

import importlib.resources
import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, MissingInputError
from ..numerics.constants import AB_ZERO_JY
from .map_section import Section

__all__ = ["Band", "ColumnMap", "Cut", "Epoch", "FlagColumn", "Tap", "TwoColumns", "load_map", "shipped_maps"]

_BAND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
_ANGLES = {"deg": math.pi / 180, "arcsec": math.pi / 648e3, "mas": math.pi / 648e6, "rad": 1.0}
_FLUXES = {"Jy": 1.0, "mJy": 1e-3, "uJy": 1e-6, "nJy": 1e-9}
_EPOCHS = ("jyear", "mjd")
_FLAGS = ("photometric", "resolved", "variable")


@dataclass(frozen=True)
class Band:
    """One band: a column of magnitudes, or of fluxes with their size in Jy."""

    name: str
    column: str
    error: str | None
    is_magnitude: bool
    scale: float
    """Jy of a flux of 1; for magnitudes, Jy of magnitude 0."""


@dataclass(frozen=True)
class TwoColumns:
    """Columns of a quantity along right ascension (on the sky) and declination."""

    ra: str
    dec: str
    scale: float
    """Radians (per year) of 1 in the table."""
    ra_error: str | None = None
    dec_error: str | None = None


@dataclass(frozen=True)
class Epoch:
    """Time of the positions: one number for all, or a column."""

    unit: str
    value: float | None
    column: str | None


@dataclass(frozen=True)
class FlagColumn:
    """A flag, set where the column has one of some values."""

    name: str
    column: str
    set_by: tuple[object, ...]


@dataclass(frozen=True)
class Cut:
    """A condition that objects must fulfil to be downloaded."""

    where: str
    reason: str


@dataclass(frozen=True)
class Tap:
    """How to ask a TAP service."""

    url: str
    table: str
    region: str
    query_depth: int
    max_rows: int
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class ColumnMap:
    """What the columns of a table mean.

    Attributes
    ----------
    name
        Name of a shipped map, or path of the file.
    missing
        Number that stands for "not measured"; None if there is none.
    """

    name: str
    description: str
    id: str
    ra: str
    dec: str
    missing: float | None
    bands: tuple[Band, ...]
    position_errors: TwoColumns | None
    proper_motion: TwoColumns | None
    epoch: Epoch | None
    flags: tuple[FlagColumn, ...]
    tap: Tap | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all columns that the map needs, each once, in order."""
        names: list[str | None] = [self.id, self.ra, self.dec]
        for band in self.bands:
            names += [band.column, band.error]
        for pair in (self.position_errors, self.proper_motion):
            if pair is not None:
                names += [pair.ra, pair.dec, pair.ra_error, pair.dec_error]
        names += [self.epoch.column] if self.epoch is not None else []
        names += [flag.column for flag in self.flags]
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
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"Column map {name} is not TOML: {error}") from error
    return _parse(Section(name, "", values))


def _parse(root: Section) -> ColumnMap:
    description = root.text("description")
    root.text("source", optional=True)
    columns = root.section("columns")
    bands = root.section("bands")
    flags = root.section("flags", optional=True)
    result = ColumnMap(
        name=root.file,
        description=description,
        id=columns.text("id"),
        ra=columns.text("ra"),
        dec=columns.text("dec"),
        missing=columns.optional_number("missing"),
        bands=tuple(_band(name, bands.section(name)) for name in bands.names()),
        position_errors=_pair(root, "position_errors", ""),
        proper_motion=_pair(root, "proper_motion", "/yr"),
        epoch=_epoch(root),
        flags=tuple(_flag(name, flags.section(name)) for name in flags.names()),
        tap=_tap(root),
    )
    for section in (root, columns):
        section.finish()
    if not result.bands:
        raise bands.wrong("no band is given; a reference catalogue needs at least one")
    return result


def _band(name: str, section: Section) -> Band:
    if _BAND.fullmatch(name) is None:
        raise section.wrong("a band's name is made of letters, digits and underscores")
    kinds = [kind for kind in ("magnitude", "flux") if kind in section]
    if len(kinds) != 1:
        raise section.wrong("give either 'magnitude' or 'flux'")
    kind = kinds[0]
    column, error = section.text(kind), section.text(f"{kind}_error", optional=True)
    if kind == "magnitude":
        # Magnitudes are AB unless the map says how much to add, as for Vega magnitudes.
        to_ab = section.number("to_ab", default=0.0)
        scale = AB_ZERO_JY * 10.0 ** (-0.4 * to_ab)
    elif ("unit" in section) == ("zero_point" in section):
        raise section.wrong("a flux needs either 'unit' or 'zero_point' (AB magnitude of a flux of 1)")
    elif "unit" in section:
        scale = _FLUXES[section.choice("unit", tuple(_FLUXES))]
    else:
        scale = AB_ZERO_JY * 10.0 ** (-0.4 * section.number("zero_point"))
    section.finish()
    return Band(name, column, error or None, kind == "magnitude", scale)


def _pair(root: Section, name: str, per: str) -> TwoColumns | None:
    if name not in root:
        return None
    section = root.section(name)
    unit = section.choice("unit", tuple(angle + per for angle in _ANGLES))
    errors = [section.text(key, optional=True) or None if per else None for key in ("ra_error", "dec_error")]
    result = TwoColumns(section.text("ra"), section.text("dec"), _ANGLES[unit.removesuffix(per)], *errors)
    section.finish()
    return result


def _epoch(root: Section) -> Epoch | None:
    if "epoch" not in root:
        return None
    section = root.section("epoch")
    if ("value" in section) == ("column" in section):
        raise section.wrong("give either 'value' or 'column'")
    value = section.optional_number("value")
    result = Epoch(section.choice("unit", _EPOCHS), value, section.text("column", optional=True) or None)
    section.finish()
    return result


def _flag(name: str, section: Section) -> FlagColumn:
    if name not in _FLAGS:
        raise section.wrong(f"allowed flags are {', '.join(_FLAGS)}")
    result = FlagColumn(name, section.text("column"), section.values("set_by"))
    section.finish()
    return result


def _tap(root: Section) -> Tap | None:
    if "tap" not in root:
        return None
    section = root.section("tap")
    cuts = []
    for part in section.sections("cuts"):
        cuts.append(Cut(part.text("where"), part.text("reason")))
        part.finish()
    result = Tap(
        url=section.text("url"),
        table=section.text("table"),
        region=section.choice("region", ("polygon", "circle")),
        # Shards of depth 7 are fetched whole, so that a smaller depth would have no effect.
        query_depth=section.whole("query_depth", 7, 12),
        max_rows=section.whole("max_rows", 1, 1_000_000),
        cuts=tuple(cuts),
    )
    section.finish()
    return result
