"""Footprints in the archive that follows a source catalogue in its file.

Layout: afw commit e0459d59, src/detection/Footprint.cc, src/detection/HeavyFootprint.cc, src/geom/SpanSet.cc.
A catalogue has thousands of objects of only three classes: they are stored and cut out as whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalog.footprint import PEAK_DTYPE, Footprint, HeavyPixels
from ..errors import DamagedInputError
from ..fits.archive import ArchiveReader, ArchiveWriter
from ..fits.tables import Column, VariableArray
from ..fits.write import FitsUnit
from ..numerics.arrays import Int32Array

__all__ = ["encode_footprints", "read_footprints"]

_PLAIN, _HEAVY, _SPAN_SET = "Footprint", "HeavyFootprintF", "SpanSet"
_DETECTION, _GEOM = "lsst.afw.detection", "lsst.afw.geom"


# ---------------------------------------------------------------------------------------------- writing


def encode_footprints(footprints: Sequence[Footprint | None]) -> tuple[Int32Array, list[FitsUnit]]:
    """Return the archive id of each footprint, (n,) with 0 for None, and the units of the archive.

    The k-th footprint has id 2k + 1 and its SpanSet 2k + 2, counted from 0.
    """
    writer = ArchiveWriter()
    present = np.array([footprint is not None for footprint in footprints], dtype=bool)
    ids = np.zeros(len(footprints), dtype=np.int32)
    own = 2 * np.arange(int(present.sum()), dtype=np.int32) + 1
    ids[present] = own
    stored = [footprint for footprint in footprints if footprint is not None]
    if stored:
        writer.reserve(2 * len(stored))
        heavy = np.array([footprint.heavy is not None for footprint in stored])
        for name, chosen in ((_PLAIN, ~heavy), (_HEAVY, heavy)):
            if chosen.any():
                group = [stored[number] for number in np.flatnonzero(chosen).tolist()]
                _add_group(writer, name, own[chosen], group)
        spans = np.concatenate([footprint.spans for footprint in stored])
        counts = np.array([len(footprint.spans) for footprint in stored])
        writer.add_many(_SPAN_SET, _GEOM, own + 1, [_span_columns(spans)], [counts])
    return ids, writer.units()


def _add_group(writer: ArchiveWriter, name: str, own: Int32Array, group: list[Footprint]) -> None:
    """Add footprints of one class; their SpanSets have the ids that follow theirs."""
    one = np.ones(len(group), dtype=np.int64)
    peaks = np.concatenate([footprint.peaks for footprint in group])
    tables = [[Column("id", "J", own + 1, doc="archive id of the SpanSet")], _peak_columns(peaks)]
    counts = [one, np.array([len(footprint.peaks) for footprint in group])]
    if name == _HEAVY:
        tables.append(_heavy_columns([footprint.heavy for footprint in group if footprint.heavy is not None]))
        counts.append(one)
    writer.add_many(name, _DETECTION, own, tables, counts)


def _span_columns(spans: Int32Array) -> list[Column]:
    return [
        Column("y", "J", spans[:, 0], "pixel", "row of the span"),
        Column("x0", "J", spans[:, 1], "pixel", "first column of the span"),
        Column("x1", "J", spans[:, 2], "pixel", "last column of the span"),
    ]


def _peak_columns(peaks: NDArray[np.void]) -> list[Column]:
    return [
        Column("id", "K", peaks["id"], doc="identity of the peak"),
        Column("f_x", "E", peaks["f_x"], "pixel", "column of the peak, with fraction"),
        Column("f_y", "E", peaks["f_y"], "pixel", "row of the peak, with fraction"),
        Column("i_x", "J", peaks["i_x"], "pixel", "column of the peak"),
        Column("i_y", "J", peaks["i_y"], "pixel", "row of the peak"),
        Column("peakValue", "E", peaks["peakValue"], "count", "value of the image at the peak"),
    ]


def _heavy_columns(pixels: list[HeavyPixels]) -> list[Column]:
    lengths = np.array([len(one.image) for one in pixels], dtype=np.int64)

    def joined(arrays: list[NDArray[Any]]) -> VariableArray:
        return VariableArray(np.concatenate(arrays), lengths)

    return [
        Column("image", "QE", joined([one.image for one in pixels]), "count", "image pixels in span order"),
        Column("mask", "QJ", joined([one.mask for one in pixels]), "", "mask pixels in span order"),
        Column("variance", "QE", joined([one.variance for one in pixels]), "count^2", "variance in span order"),
    ]


# ---------------------------------------------------------------------------------------------- reading


def read_footprints(archive: ArchiveReader, ids: NDArray[np.integer[Any]]) -> list[Footprint | None]:
    """Return the footprints with the given archive ids, (n,); None for id 0.

    Raises
    ------
    DamagedInputError
        An id is not in the archive, or the archive contradicts itself.
    """
    objects = _Objects(archive)
    return [objects.footprint(number) if number else None for number in ids.tolist()]


class _Objects:
    """The tables of an archive, joined into what footprints are cut from."""

    def __init__(self, archive: ArchiveReader) -> None:
        self._archive = archive
        self._tables: dict[int, list[Any]] = {}

    def _damage(self, what: str) -> DamagedInputError:
        return DamagedInputError(f"{self._archive.path} has {what}", remedy="Make or fetch the file again")

    def _part(self, number: int, part: int) -> list[Any] | None:
        """Return what object `number` has in its table `part`: the columns, or one array of spans or peaks."""
        where = self._archive.blocks.get(number, {}).get(part)
        if where is None:
            return None
        table, row0, rows = where
        if table not in self._tables:
            self._tables[table] = _cuttable(self._archive.table(table))
        columns = self._tables[table]
        if row0 < 0 or rows < 0 or row0 + rows > len(columns[0]):
            raise self._damage(f"archive rows {row0} to {row0 + rows} of object {number}, which are not there")
        return [column[row0 : row0 + rows] for column in columns]

    def footprint(self, number: int) -> Footprint:
        """Return the footprint with archive id `number`."""
        head, peaks, heavy = (self._part(number, part) for part in range(3))
        if head is None or not len(head[0]):
            raise self._damage(f"a row with footprint {number}, which its archive does not have")
        # Before SpanSet became a class of its own, in 2017, the spans stood where now its id stands.
        spans = head[0] if head[0].ndim == 2 else self._spans(int(head[0][0]))
        pixels = None
        if heavy is not None:
            if len(heavy) != 3 or not len(heavy[0]):
                raise self._damage(f"a heavy footprint {number} without pixels")
            pixels = HeavyPixels(heavy[0][0], heavy[1][0], heavy[2][0])
        return Footprint(spans, np.zeros(0, dtype=PEAK_DTYPE) if peaks is None else peaks[0], pixels)

    def _spans(self, number: int) -> Int32Array:
        found = self._part(number, 0)
        if found is None or found[0].ndim != 2:
            raise self._damage(f"a footprint with SpanSet {number}, which its archive does not have")
        spans: Int32Array = found[0]
        return spans


def _cuttable(columns: dict[str, Any]) -> list[Any]:
    """Return one (rows, 3) array for a table of spans, one array of peaks for one of peaks, else the columns."""
    values = list(columns.values())
    if len(values) == 3 and all(getattr(column, "dtype", None) == np.int32 for column in values):
        return [np.stack(values, axis=1)]
    if "peakValue" in columns or "f_x" in columns:
        peaks = np.zeros(len(values[0]), dtype=PEAK_DTYPE)
        for name in PEAK_DTYPE.names or ():
            if name in columns:
                peaks[name] = columns[name]
        return [peaks]
    return values
