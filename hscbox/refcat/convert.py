"""From columns of a table to a reference catalogue, with an account of every row that is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..camera.time_scales import J2000_MJD, JULIAN_YEAR, SECONDS_PER_DAY, UNIX_EPOCH_MJD
from ..catalog.source_catalog import SourceCatalog
from ..errors import DamagedInputError
from ..numerics.arrays import BoolArray, FloatArray, IntArray
from ..numerics.constants import MAG_PER_RELATIVE
from ..products.reference_shards import make_reference_catalog
from .column_map import Band, ColumnMap, Epoch, TwoColumns
from .columns import Columns

__all__ = ["Dropped", "RowReport", "convert", "positions"]


_EXACT = 2.0**53
_EXAMPLES = 3


@dataclass(frozen=True)
class Dropped:
    """Rows left out for one reason, with the first few ids."""

    reason: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class RowReport:
    """What became of the rows of a table.

    Attributes
    ----------
    rows, kept
        Numbers of rows.
    dropped
        The others, by reason; a row is counted under the first that holds.
    unmeasured
        Of the rows kept, how many have no flux, by band.
    """

    rows: int
    kept: int
    dropped: tuple[Dropped, ...]
    unmeasured: dict[str, int]

    def lines(self) -> list[str]:
        """Return the report as lines for the user."""
        result = [f"{self.rows} rows, {self.kept} kept"]
        for item in self.dropped:
            more = ", ..." if item.count > len(item.examples) else ""
            result.append(f"{item.count} left out: {item.reason} (id {', '.join(item.examples)}{more})")
        result += [f"{count} kept without flux in {band}" for band, count in self.unmeasured.items() if count]
        return result


def positions(columns: Columns, column_map: ColumnMap) -> tuple[FloatArray, FloatArray]:
    """Return right ascensions (0 to 360 if possible) and declinations in degrees, NaN where missing."""
    ra, dec = (_floats(columns, name, column_map) for name in (column_map.columns.ra, column_map.columns.dec))
    wrapped = np.where((ra < 0.0) & (ra >= -180.0), ra + 360.0, ra)
    return np.where(wrapped == 360.0, 0.0, wrapped), dec


def convert(columns: Columns, column_map: ColumnMap, source: str) -> tuple[SourceCatalog, RowReport]:
    """Return the catalogue of all valid rows, in the form of 2017 (Jy), in the order of the table.

    Parameters
    ----------
    source
        Name of the table, for messages.

    Raises
    ------
    DamagedInputError
        No row is valid, or a column has the wrong type.
    """
    ids, known = _ids(columns, column_map, source)
    ra, dec = positions(columns, column_map)
    fluxes, errors = {}, {}
    for name, band in column_map.bands.items():
        fluxes[name], errors[name] = _fluxes(columns, column_map, band)
    reasons = {
        "no valid id": ~known,
        "no position": ~(np.isfinite(ra) & np.isfinite(dec)),
        "right ascension outside of -180 to 360": (ra < 0.0) | (ra > 360.0),
        "declination beyond 90": np.abs(dec) > 90.0,
        "negative error": _any_negative(columns, column_map),
        "id seen before": np.zeros(len(ids), dtype=bool),
    }
    bad = np.zeros(len(ids), dtype=bool)
    dropped = []
    for reason, rows in reasons.items():
        if reason == "id seen before":
            rows = _repeated(ids, ~bad)
        fresh = rows & ~bad
        bad |= fresh
        if fresh.any():
            examples = tuple(str(columns[column_map.columns.id][row]) for row in np.flatnonzero(fresh)[:_EXAMPLES])
            dropped.append(Dropped(reason, int(fresh.sum()), examples))
    good = ~bad
    unmeasured = {name: int((good & ~np.isfinite(flux)).sum()) for name, flux in fluxes.items()}
    report = RowReport(len(ids), int(good.sum()), tuple(dropped), unmeasured)
    if not good.any():
        what = "; ".join(report.lines()[1:]) or "it is empty"
        raise DamagedInputError(f"{source} has no valid row: {what}", remedy="Check the table and its column map")
    return _catalog(columns, column_map, ids, ra, dec, fluxes, errors, good, source), report


def _catalog(
    columns: Columns,
    column_map: ColumnMap,
    ids: IntArray,
    ra: FloatArray,
    dec: FloatArray,
    fluxes: dict[str, FloatArray],
    errors: dict[str, FloatArray],
    good: BoolArray,
    source: str,
) -> SourceCatalog:
    stated = {name: error[good] for name, error in errors.items()}
    measured = {name: flux[good] for name, flux in fluxes.items()}
    catalog = make_reference_catalog(ids[good], ra[good], dec[good], measured, stated, list(column_map.flags))
    for name, flag in column_map.flags.items():
        catalog[name] = _is_one_of(columns[flag.column], flag.set_by)[good]

    def fill(pair: TwoColumns, names: dict[str, str | None]) -> None:
        for name, column in names.items():
            if column is not None:
                catalog[name] = _floats(columns, column, column_map)[good] * pair.scale

    errors_of, motion = column_map.position_errors, column_map.proper_motion
    if errors_of is not None:
        fill(errors_of, {"coord_ra_err": errors_of.ra, "coord_dec_err": errors_of.dec})
    if motion is not None:
        ends = {"pm_ra_err": motion.ra_error, "pm_dec_err": motion.dec_error}
        fill(motion, {"pm_ra": motion.ra, "pm_dec": motion.dec, **ends})
    if column_map.epoch is not None:
        catalog["epoch"] = _epoch(columns, column_map, column_map.epoch)[good]
    return catalog


def _is_one_of(column: np.ma.MaskedArray, values: tuple[object, ...]) -> BoolArray:
    data = np.ma.getdata(column)
    if data.dtype.kind == "S":
        data = np.char.decode(data, "ascii", "replace")
    if data.dtype.kind in "UO":
        found = np.isin(np.char.strip(data.astype(str)), [str(value) for value in values])
    else:
        found = np.isin(data, np.array([value for value in values if not isinstance(value, str)]))
    return np.asarray(found & ~np.ma.getmaskarray(column))


def _floats(columns: Columns, name: str, column_map: ColumnMap) -> FloatArray:
    """Return a column as numbers, NaN where it is empty or says that it was not measured."""
    column = columns[name]
    if column.dtype.kind not in "iufb":
        # A column of a CSV table that is empty throughout has no type.
        texts = [str(text).strip() for text in np.ma.filled(column.astype(object), "")]
        try:
            values = np.array([float(text or "nan") for text in texts], dtype=np.float64)
        except ValueError as error:
            raise DamagedInputError(f"Column {name} holds something that is no number: {error}") from error
    else:
        values = np.ma.filled(column.astype(np.float64), np.nan)
    if column_map.columns.missing is not None:
        values = np.where(values == column_map.columns.missing, np.nan, values)
    return np.asarray(values, dtype=np.float64)


def _ids(columns: Columns, column_map: ColumnMap, source: str) -> tuple[IntArray, BoolArray]:
    """Return the ids, and which of them are whole numbers of 64 bits."""
    column = columns[column_map.columns.id]
    data, known = np.ma.getdata(column), ~np.ma.getmaskarray(column)
    kind = data.dtype.kind
    if kind == "i":
        return data.astype(np.int64), known
    if kind == "u":
        return data.astype(np.int64), known & (data <= np.uint64(2**63 - 1))
    if kind == "f":
        # Above 2**53 not every whole number exists as a float: ids may have been rounded onto each other.
        whole = known & np.isfinite(data) & (np.abs(data) <= _EXACT)
        whole[whole] = data[whole] == np.round(data[whole])
        return np.where(whole, data, 0).astype(np.int64), whole
    if kind not in "USO":
        raise DamagedInputError(f"Column {column_map.columns.id} of {source} holds no ids; they must be whole numbers")
    result = np.zeros(len(data), dtype=np.int64)
    for row in np.flatnonzero(known).tolist():
        text = data[row].decode("ascii", "replace") if isinstance(data[row], bytes) else str(data[row])
        try:
            result[row] = int(text)
        except (ValueError, OverflowError):
            known[row] = False
    return result, known


def _fluxes(columns: Columns, column_map: ColumnMap, band: Band) -> tuple[FloatArray, FloatArray]:
    """Return fluxes and their errors in Jy, NaN where they were not measured."""
    values = _floats(columns, band.column, column_map)
    errors = np.full(len(values), np.nan) if band.error is None else _floats(columns, band.error, column_map)
    with np.errstate(over="ignore", invalid="ignore"):
        flux = band.scale * 10.0 ** (-0.4 * values) if band.is_magnitude else band.scale * values
        error = flux * errors / MAG_PER_RELATIVE if band.is_magnitude else band.scale * errors
    measured = np.isfinite(flux)
    return np.where(measured, flux, np.nan), np.where(measured & np.isfinite(error), error, np.nan)


def _any_negative(columns: Columns, column_map: ColumnMap) -> BoolArray:
    names = [band.error for band in column_map.bands.values()]
    if column_map.position_errors is not None:
        names += [column_map.position_errors.ra, column_map.position_errors.dec]
    if column_map.proper_motion is not None:
        names += [column_map.proper_motion.ra_error, column_map.proper_motion.dec_error]
    result = np.zeros(len(columns[column_map.columns.id]), dtype=bool)
    for name in names:
        if name is not None:
            result |= _floats(columns, name, column_map) < 0.0
    return result


def _repeated(ids: IntArray, among: BoolArray) -> BoolArray:
    """Return which rows have the id of an earlier one."""
    rows = np.flatnonzero(among)
    first = rows[np.unique(ids[rows], return_index=True)[1]]
    result = among.copy()
    result[first] = False
    return result


def _epoch(columns: Columns, column_map: ColumnMap, epoch: Epoch) -> IntArray:
    """Return times in seconds since 1970, 0 where unknown; the minute between time scales is neglected."""
    if epoch.column is not None:
        times = _floats(columns, epoch.column, column_map)
    else:
        times = np.full(len(columns[column_map.columns.id]), epoch.value, dtype=np.float64)
    days = times if epoch.unit == "mjd" else J2000_MJD + JULIAN_YEAR * (times - 2000.0)
    seconds = np.round((days - UNIX_EPOCH_MJD) * SECONDS_PER_DAY)
    return np.where(np.isfinite(seconds) & (np.abs(seconds) < 1e15), seconds, 0.0).astype(np.int64)
