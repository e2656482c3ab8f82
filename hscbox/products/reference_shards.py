"""Reference catalogues as directories of HTM shards: config.py, master_schema.fits, and a file for each
trixel.

The form is that of the LSST stack of 2017 (meas_algorithms commit b99accf8, ingestIndexReferenceTask.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..catalog.htm import trixel_of
from ..catalog.reference_config import ReferenceConfig, format_reference_config, parse_reference_config
from ..catalog.schema import Field, Schema
from ..catalog.source_catalog import SourceCatalog, make_minimal_schema
from ..errors import MissingInputError
from ..machine.files import write_bytes
from .catalog import write_catalog, write_schema

__all__ = ["make_reference_catalog", "read_reference_config", "write_shards"]

_EXTRAS = (
    Field("coord_ra_err", "F", "error of the right ascension"),
    Field("coord_dec_err", "F", "error of the declination"),
    Field("pm_ra", "F", "proper motion in right ascension"),
    Field("pm_dec", "F", "proper motion in declination"),
    Field("pm_ra_err", "F", "error of the proper motion in right ascension"),
    Field("pm_dec_err", "F", "error of the proper motion in declination"),
    Field("epoch", "L", "time of the position, seconds since 1970"),
)


def read_reference_config(directory: Path | str) -> ReferenceConfig:
    """Read the config.py of a reference catalogue's directory.

    Raises
    ------
    MissingInputError, DamagedInputError, UnsafeInputError
        There is none, or see `parse_reference_config`.
    """
    path = Path(directory) / "config.py"
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise MissingInputError(
            f"Cannot read {path}: {error.strerror or error}",
            remedy="A reference catalogue needs its config.py",
        ) from error
    return parse_reference_config(text, str(path))


def make_reference_catalog(
    ids: np.ndarray,
    ra: np.ndarray,
    dec: np.ndarray,
    fluxes: Mapping[str, np.ndarray],
    flux_errors: Mapping[str, np.ndarray],
    flags: Sequence[str] = (),
) -> SourceCatalog:
    """Return a reference catalogue in the form of 2017, its extra columns zero.

    Parameters
    ----------
    ids
        (n,) Object ids.
    ra, dec
        (n,) ICRS degrees.
    fluxes, flux_errors
        (n,) Jy by filter name.
    flags
        Names of additional flag fields, all False.
    """
    schema = make_minimal_schema()
    for band in fluxes:
        schema.add_field(f"{band}_flux", "D", f"flux in filter {band} (Jy)")
    for band in flux_errors:
        schema.add_field(f"{band}_fluxSigma", "D", f"error of the flux in filter {band} (Jy)")
    for name in flags:
        schema.add_field(name, "Flag", f"set if the object is {name}")
    for field in _EXTRAS:
        schema.add(field)
    cat = SourceCatalog(schema, len(ids))
    cat["id"], cat["coord_ra"], cat["coord_dec"] = ids, np.radians(ra), np.radians(dec)
    for band in fluxes:
        cat[f"{band}_flux"] = fluxes[band]
    for band in flux_errors:
        cat[f"{band}_fluxSigma"] = flux_errors[band]
    for field in _EXTRAS:
        cat[field.name] = 0
    return cat


def write_shards(directory: Path | str, name: str, cat: SourceCatalog, depth: int = 7) -> list[int]:
    """Write a reference catalogue to ``directory/name``: config.py, master_schema.fits and a file for each
    trixel.

    Parameters
    ----------
    cat
        Objects in the form of 2017, see `make_reference_catalog`.

    Returns
    -------
    shards : ids of the trixels written, ascending.
    """
    root = Path(directory) / name
    fields = [replace(field, unit="") if field.unit == "Jy" else field for field in cat.schema]
    plain = cat.with_schema(Schema(fields, cat.schema.aliases))
    write_bytes(root / "config.py", format_reference_config(ReferenceConfig(name, depth)).encode())
    write_schema(root / "master_schema.fits", plain.schema, plain.metadata)
    trixels = trixel_of(np.degrees(cat["coord_ra"]), np.degrees(cat["coord_dec"]), depth)
    shards = [int(number) for number in np.unique(trixels)]
    for number in shards:
        write_catalog(root / f"{number}.fits", plain.subset(trixels == number).sorted("id"))
    return shards
