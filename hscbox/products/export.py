"""Catalogues for other programs: CSV, Parquet, DS9 regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..catalog.source_catalog import SourceCatalog, magnitudes
from ..errors import UsageError
from ..image.photo_calib import PhotoCalib
from ..machine.files import atomic_path, write_bytes

__all__ = ["export_csv", "export_ds9", "export_parquet"]


@dataclass(frozen=True)
class _Export:
    """A column to be written, with what is known about it."""

    values: np.ndarray
    unit: str
    doc: str


def _chosen(cat: SourceCatalog, photo_calib: PhotoCalib | None, columns: Sequence[str] | None) -> dict[str, _Export]:
    """Return columns by the name they were asked by (a field or an alias), all fields if none are named.

    With a calibration, columns of AB magnitudes and their errors follow for every flux in counts.
    """
    names = cat.schema.names() if columns is None else list(columns)
    unknown = [name for name in names if name not in cat]
    if unknown:
        raise UsageError(
            f"The catalogue has no column {', '.join(unknown)}",
            remedy="Choose from its fields and aliases",
        )
    chosen = {}
    for name in names:
        field = cat.schema.find(name)
        chosen[name] = _Export(cat.column(name), field.unit, field.doc)
    if photo_calib is not None:
        for name in names:
            chosen |= _magnitude_columns(cat, name, photo_calib)
    return chosen


def _magnitude_columns(cat: SourceCatalog, name: str, photo_calib: PhotoCalib) -> dict[str, _Export]:
    stem, _, last = name.rpartition("_")
    in_counts = cat.schema.find(name).unit in {"", "count"} and not name.startswith("ref_")
    if last not in {"flux", "instFlux"} or f"{name}Sigma" not in cat or not in_counts:
        return {}
    flux, error = (cat.column(column).astype(np.float64) for column in (name, f"{name}Sigma"))
    values = magnitudes(cat, name, photo_calib), photo_calib.magnitude_err(flux, error)
    return {
        f"{stem}_mag": _Export(values[0], "mag", f"AB magnitude of {name}"),
        f"{stem}_magErr": _Export(values[1], "mag", f"error of the magnitude, from {name}Sigma alone"),
    }


def export_csv(
    path: Path | str,
    cat: SourceCatalog,
    photo_calib: PhotoCalib | None = None,
    *,
    columns: Sequence[str] | None = None,
) -> None:
    """Write comma-separated values: a line of names, then a line for each row.

    Numbers have as many digits as reading them back exactly takes; flags are True and False; an array field
    of n values becomes n columns with endings _0 to _n-1.

    Parameters
    ----------
    photo_calib
        Adds ``_mag`` and ``_magErr`` columns (AB) for the fluxes in counts.
    columns
        Fields or aliases to write, all fields if left out.

    Raises
    ------
    UsageError
        A column does not exist or has arrays of different lengths.
    """
    names, texts = [], []
    for name, chosen in _chosen(cat, photo_calib, columns).items():
        column = chosen.values
        if column.dtype == object:
            raise UsageError(f"Column {name} has arrays of different lengths, which CSV cannot hold")
        if column.ndim == 1:
            names.append(name)
            texts.append(_texts(column))
        else:
            names += [f"{name}_{number}" for number in range(column.shape[1])]
            texts += [_texts(column[:, number]) for number in range(column.shape[1])]
    lines = [",".join(_quoted(name) for name in names)]
    lines += [",".join(row) for row in zip(*texts, strict=True)]
    write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8"))


def _texts(column: np.ndarray) -> list[str]:
    if column.dtype.kind == "U":
        return [_quoted(text) for text in column.tolist()]
    if column.dtype == np.float32:
        # The shortest text that gives the same float32, not that of the equal double.
        return [str(text) for text in column.astype("U32").tolist()]
    return [repr(value) for value in column.tolist()]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n\r') else text


def export_parquet(
    path: Path | str,
    cat: SourceCatalog,
    photo_calib: PhotoCalib | None = None,
    *,
    columns: Sequence[str] | None = None,
) -> None:
    """Write an Apache Parquet file, with unit and description of each column in its metadata.

    The parameters are those of `export_csv`.

    Raises
    ------
    UsageError
        pyarrow is not installed, or a column does not exist.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            "Parquet files need the package pyarrow, which is not installed",
            remedy="Install it with: pip install 'hscbox[parquet]'; or export CSV",
        ) from error
    fields, arrays = [], []
    for name, chosen in _chosen(cat, photo_calib, columns).items():
        array = pyarrow.array(chosen.values if chosen.values.ndim == 1 else list(chosen.values))
        about = {"unit": chosen.unit, "description": chosen.doc}
        arrays.append(array)
        fields.append(pyarrow.field(name, array.type, metadata=about))
    table = pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(table, temporary)


def export_ds9(
    path: Path | str,
    cat: SourceCatalog,
    photo_calib: PhotoCalib | None = None,
    *,
    radius: float = 10.0,
    sky: bool = False,
) -> None:
    """Write circles for SAOImage DS9 around all sources with a known position, labelled with their ids.

    Parameters
    ----------
    photo_calib
        Labels the sources with their PSF magnitudes instead.
    radius
        Radius in pixels, or with `sky` in seconds of arc.
    sky
        Whether to give ICRS positions in place of image pixels (of the centroid slot).

    Raises
    ------
    UsageError
        The catalogue has no such positions or no ids.
    """
    names = ("coord_ra", "coord_dec") if sky else ("slot_Centroid_x", "slot_Centroid_y")
    x, y, ids = (chosen.values for chosen in _chosen(cat, None, [*names, "id"]).values())
    # DS9 counts pixels from 1, and knows angles in degrees.
    x, y = (np.degrees(x), np.degrees(y)) if sky else (x + 1.0, y + 1.0)
    labels = [str(number) for number in ids.tolist()]
    if photo_calib is not None:
        labels = [f"{value:.2f}" for value in magnitudes(cat, "slot_PsfFlux", photo_calib).tolist()]
    digits, size = (7, f'{radius:g}"') if sky else (2, f"{radius:g}")
    lines = ["# Region file format: DS9 version 4.1", "global color=green", "icrs" if sky else "image"]
    for row in np.flatnonzero(np.isfinite(x) & np.isfinite(y)).tolist():
        lines.append(f"circle({x[row]:.{digits}f},{y[row]:.{digits}f},{size}) # text={{{labels[row]}}}")
    write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8"))
