"""The registry of master calibrations: which bias, dark, flat or fringe frame is valid for an exposure."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from ..camera.calib_kinds import CALIB_KINDS
from ..errors import CalibNotFoundError, UsageError
from .data_id import format_data_id
from .registry import Registry

__all__ = ["CALIB_REGISTRY_NAME", "CalibRegistry", "create_statements", "update_validity", "validity_ranges"]

CALIB_REGISTRY_NAME = "calibRegistry.sqlite3"


def create_statements() -> list[str]:
    """Return the CREATE statements of a new registry of calibrations."""
    statements = []
    for table in CALIB_KINDS:
        statements += [
            f"CREATE TABLE {table} (id integer primary key autoincrement, filter text,ccd int,calibDate text,"
            "validStart text,validEnd text, unique(filter,ccd,calibDate))",
            f"CREATE TABLE {table}_visit (calibDate text,filter text, unique(calibDate,filter))",
        ]
    return statements


def validity_ranges(dates: Iterable[date], days: int) -> dict[date, tuple[date, date]]:
    """Return the first and last valid day of each calibration date.

    Each date is valid for `days` before and after. Where two neighbours would overlap, the earlier ends in the
    middle (whole days, rounded down) and the later starts the day after.
    """
    ordered = sorted(set(dates))
    margin = timedelta(days=days)
    ranges = {day: (day - margin, day + margin) for day in ordered}
    for earlier, later in itertools.pairwise(ordered):
        middle = earlier + (later - earlier) // 2
        if ranges[earlier][1] > middle:
            ranges[earlier] = (ranges[earlier][0], middle)
            ranges[later] = (middle + timedelta(days=1), ranges[later][1])
    return ranges


def update_validity(
    connection: sqlite3.Connection, table: str, groups: Iterable[tuple[str, int]], days: int
) -> list[str]:
    """Write the validity ranges of the given (filter, ccd) groups; other rows are not touched.

    Returns
    -------
    list of str
        One warning for each group that was left alone because a date in it is not `YYYY-MM-DD`.
    """
    if table not in CALIB_KINDS:
        raise UsageError(f"Unknown calibration '{table}'; allowed are {', '.join(CALIB_KINDS)}")
    warnings = []
    for filter_name, ccd in sorted(groups):
        rows = connection.execute(
            f"SELECT id, calibDate, validStart, validEnd FROM {table} WHERE filter = ? AND ccd = ? ORDER BY id",
            (filter_name, ccd),
        ).fetchall()
        try:
            days_of = {row[0]: date.fromisoformat(str(row[1])) for row in rows}
            ranges = validity_ranges(days_of.values(), days)
        except (ValueError, OverflowError) as error:
            warnings.append(f"Validity of {table} {filter_name} ccd {ccd} is left as it was: {error}")
            continue
        for row_id, _, start, end in rows:
            first, last = (day.isoformat() for day in ranges[days_of[row_id]])
            if (start, end) != (first, last):
                connection.execute(
                    f"UPDATE {table} SET validStart = ?, validEnd = ? WHERE id = ?", (first, last, row_id)
                )
    return warnings


class CalibRegistry(Registry):
    """Read-only view of a registry of calibrations; columns are addressed by name, in any order."""

    def calib_date(self, table: str, ids: Mapping[str, object], when: str) -> str:
        """Return the date of the calibration that is valid on the day `when` (`YYYY-MM-DD`).

        Parameters
        ----------
        table
            One of `CALIB_KINDS`.
        ids
            Values of the columns that choose the calibration, its `registry_keys`.
        when
            Day of the exposure; both ends of a validity range are included.

        Raises
        ------
        CalibNotFoundError
            There is none for these ids; or none is valid on that day (the nearest is named); or several are.
        """
        found = self.query(table, ("calibDate",), ids, between=(when, "validStart", "validEnd"))
        if len(found) == 1:
            return str(found[0][0])
        wanted = f"{table} {format_data_id(ids)}"
        if found:
            dates = sorted(str(row[0]) for row in found)
            raise CalibNotFoundError(
                f"{len(found)} calibrations {wanted} are valid on {when} according to {self.path}: "
                f"those of {', '.join(dates)}",
                remedy="Only one may be: ingest these calibrations again with hscbox ingest-calibs",
                candidates=dates,
            )
        columns = ("calibDate", "validStart", "validEnd")
        candidates = self.query(table, columns, ids)
        if not candidates:
            raise self._none(table, ids, wanted)
        calib, start, end = min(([str(v) for v in row] for row in candidates), key=lambda row: _distance(row, when))
        raise CalibNotFoundError(
            f"No calibration {wanted} in {self.path} is valid on {when}; the nearest, of {calib}, "
            f"is valid from {start} to {end}",
            remedy="Ingest one for this date, or the existing ones with a larger --validity",
            nearest=calib,
        )

    def _none(self, table: str, ids: Mapping[str, object], wanted: str) -> CalibNotFoundError:
        counts = self.query(table, tuple(ids), {}, limit=10_000)
        names = list(ids)
        present = {name: sorted({row[position] for row in counts}, key=str) for position, name in enumerate(names)}
        missing = [name for name in names if ids[name] not in present[name]]
        if not counts:
            reason = f"its table '{table}' is empty"
        elif missing:
            reason = "; ".join(f"it has {name} {_brief(present[name])}" for name in missing)
        else:
            reason = "it has other combinations of these values only"
        return CalibNotFoundError(
            f"No calibration {wanted} in {self.path}: {reason}", remedy="Ingest it with hscbox ingest-calibs"
        )


def _distance(row: Sequence[str], when: str) -> tuple[int, str]:
    """Return the days between a range and a day, for choosing the nearest; unreadable dates come last."""
    calib, start, end = row
    try:
        day = date.fromisoformat(when)
        gap = max(date.fromisoformat(start) - day, day - date.fromisoformat(end))
        return gap.days, calib
    except ValueError:
        return 10**9, calib


def _brief(values: Sequence[object]) -> str:
    shown = ", ".join(str(value) for value in values[:12])
    return f"{shown}, ... ({len(values)} values)" if len(values) > 12 else shown
