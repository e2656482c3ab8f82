"""Aperture corrections, valid polygons and zero points as archived objects.

Layouts: lsst/afw e0459d59 (src/image/ApCorrMap.cc, src/math/ChebyshevBoundedField.cc,
src/geom/polygon/Polygon.cc), and for the zero point that of afw 714e0ed6d (src/image/PhotoCalib.cc), which is
only read.
"""

from __future__ import annotations

import numpy as np

from ..errors import DamagedInputError
from ..fits.archive import ArchiveReader, ArchiveWriter
from ..fits.tables import Column
from ..image.bounded_field import ApCorrMap, ChebyshevField
from ..image.photo_calib import PhotoCalib
from ..numerics.arrays import FloatArray

__all__ = ["add_ap_corr", "add_polygon", "load_ap_corr", "load_filter", "load_photo_calib", "load_polygon"]

_NANOJANSKY_MAG0 = 10.0 ** (0.4 * 31.4)


def add_ap_corr(archive: ArchiveWriter, ap_corr: ApCorrMap) -> int:
    """Add aperture corrections to an archive, in alphabetical order, and return the id of the map."""
    map_id = archive.reserve()
    names = sorted(ap_corr)
    ids = [_add_field(archive, ap_corr[name]) for name in names]
    columns = [
        Column("name", "64A", names, "", "name of the aperture correction"),
        Column("field", "J", ids, "", "archive ID of the field"),
    ]
    return archive.add("ApCorrMap", "lsst.afw.image", [columns], map_id)


def load_ap_corr(archive: ArchiveReader, object_id: int) -> ApCorrMap:
    """Return stored aperture corrections."""
    stored = archive.get(object_id)
    try:
        table = stored.tables[0]
        return {
            str(name): _load_field(archive, int(field))
            for name, field in zip(table["name"], table["field"], strict=True)
        }
    except (IndexError, KeyError, ValueError) as error:
        raise DamagedInputError(f"The stored aperture corrections cannot be understood: {error}") from error


def add_polygon(archive: ArchiveWriter, polygon: FloatArray) -> int:
    """Add a polygon (n, 2) to an archive, clockwise and closed as afw writes it, and return its id."""
    vertices = np.asarray(polygon, dtype=np.float64)
    if np.array_equal(vertices[0], vertices[-1]):
        vertices = vertices[:-1]
    x, y = vertices[:, 0], vertices[:, 1]
    area = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
    if area > 0:
        # The first vertex stays the first.
        vertices = np.concatenate([vertices[:1], vertices[:0:-1]])
    vertices = np.concatenate([vertices, vertices[:1]])
    columns = [
        Column("vertices_x", "D", vertices[:, 0], "", "x coordinate of the vertices"),
        Column("vertices_y", "D", vertices[:, 1], "", "y coordinate of the vertices"),
    ]
    return archive.add("Polygon", "", [columns])


def load_polygon(archive: ArchiveReader, object_id: int) -> FloatArray:
    """Return the vertices (n, 2) of a stored polygon."""
    stored = archive.get(object_id)
    columns = list(stored.tables[0].values())
    if stored.name != "Polygon" or len(columns) != 2:
        raise DamagedInputError(f"archive object {object_id} should be a Polygon and is a {stored.name!r}")
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def load_photo_calib(archive: ArchiveReader, object_id: int) -> PhotoCalib:
    """Return a stored zero point, whose unit is nanojansky per count."""
    table = archive.get(object_id).tables[0]
    mean, error = float(table["calibrationMean"][0]), float(table["calibrationErr"][0])
    flux = _NANOJANSKY_MAG0 / mean
    return PhotoCalib(flux, flux * error / mean)


def load_filter(archive: ArchiveReader, object_id: int) -> str | None:
    """Return the band of a stored filter label, None if it has none."""
    table = archive.get(object_id).tables[0]
    return str(table["band"][0]) or None


def _add_field(archive: ArchiveWriter, field: ChebyshevField) -> int:
    n_y, n_x = field.coefficients.shape
    corners = zip(("min_x", "min_y", "max_x", "max_y"), field.bbox, strict=True)
    columns = [
        Column("order_x", "J", [n_x - 1], "", "maximum order in x"),
        *[Column(f"bbox_{name}", "J", [value], "pixel", f"{name} of the bounding box") for name, value in corners],
        Column(
            "coefficients",
            f"{n_y * n_x}D",
            field.coefficients.reshape(1, -1),
            "",
            "Chebyshev coefficients, by y then x",
            "Array",
        ),
    ]
    return archive.add("ChebyshevBoundedField", "lsst.afw.math", [columns])


def _load_field(archive: ArchiveReader, object_id: int) -> ChebyshevField:
    stored = archive.get(object_id)
    if stored.name != "ChebyshevBoundedField":
        raise ValueError(f"field class {stored.name!r} is not known")
    table = stored.tables[0]
    bbox = tuple(int(table[f"bbox_{name}"][0]) for name in ("min_x", "min_y", "max_x", "max_y"))
    coefficients = np.ravel(table["coefficients"][0]).reshape(-1, int(table["order_x"][0]) + 1)
    return ChebyshevField(coefficients, (bbox[0], bbox[1], bbox[2], bbox[3]))
