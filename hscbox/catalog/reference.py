"""Reference catalogues in HTM shards: the objects within a circle.

The form is that of the LSST stack of 2017 (meas_algorithms commit b99accf8, loadIndexedReferenceObjects.py):
fluxes in Jy without a unit in the file, errors named ``_fluxSigma``. Shards of later versions (nJy,
``_fluxErr``, ``coord_raErr``) are turned into that form when loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ..errors import DamagedInputError, MissingInputError
from ..fits.metadata import Metadata
from .htm import separation, trixels_in_circle
from .schema import Field, Schema
from .source_catalog import SourceCatalog, make_minimal_schema

__all__ = [
    "ShardReader",
    "add_filter_aliases",
    "flux_field",
    "load_region",
    "to_2017_form",
]

ShardReader = Callable[[int], SourceCatalog | None]
"""Returns the shard of a trixel id; None if there is none."""

_NJY = 1e-9
_UNITS = {"Jy": 1.0, "nJy": _NJY}
_POSITION_ERRORS = {"coord_raErr": "coord_ra_err", "coord_decErr": "coord_dec_err"}
_CENTROID = (
    Field("centroid_x", "D", "column of the object by the WCS it was loaded for", "pixel"),
    Field("centroid_y", "D", "row of the object by the WCS it was loaded for", "pixel"),
    Field("hasCentroid", "Flag", "whether the pixel position is known"),
)


def load_region(read_shard: ShardReader, depth: int, ra: float, dec: float, radius: float) -> SourceCatalog:
    """Return the reference objects within a circle.

    They have the form of 2017, with the fields centroid_x, centroid_y and hasCentroid still unset. Trixels without a
    shard are passed over, since an unoccupied one has no file: whether that is a mistake the caller decides.

    Parameters
    ----------
    read_shard
        Gives shards by id.
    depth
        Depth of the HTM mesh, see `read_reference_config`.
    ra, dec, radius
        Circle in degrees, ICRS.

    Raises
    ------
    MissingInputError
        There is no shard at all.
    DamagedInputError
        A shard has fluxes in an unknown unit.
    """
    numbers = trixels_in_circle(ra, dec, radius, depth)
    parts = []
    for shard in map(read_shard, numbers):
        if shard is not None:
            shard = to_2017_form(shard)
            away = separation(np.degrees(shard["coord_ra"]), np.degrees(shard["coord_dec"]), ra, dec)
            parts.append(shard.subset(away <= radius))
    if not parts:
        raise MissingInputError(
            f"The reference catalogue has no file within {radius:.3f} deg of RA {ra:.4f}, Dec {dec:.4f}",
            remedy="Mount a reference catalogue that covers this region",
            shards=numbers,
        )
    return _joined(parts)


def _joined(parts: list[SourceCatalog]) -> SourceCatalog:
    """Return all rows, with the fields of the first part and the fields for pixel positions."""
    own = [field for field in parts[0].schema if field.name not in {extra.name for extra in _CENTROID}]
    schema = Schema([*own, *_CENTROID], parts[0].schema.aliases)
    result = SourceCatalog(schema, sum(len(part) for part in parts))
    for field in own:
        for part in parts:
            if field.name not in part:
                raise DamagedInputError(
                    f"A shard of the reference catalogue lacks the field {field.name}, which others have",
                    remedy="Install all shards from one version of the catalogue",
                )
        result.adopt(field.name, np.concatenate([part.column(field.name) for part in parts]))
    result.metadata = parts[0].metadata.copy()
    return result


def to_2017_form(shard: SourceCatalog) -> SourceCatalog:
    """Return a shard with fluxes in Jy, errors named as in 2017, and the minimal fields first.

    Errors of fluxes are named ``_fluxSigma``, those of positions ``coord_ra_err`` and ``coord_dec_err`` [rad].

    The unit is that of the file if stated, else Jy, or nJy from REFCAT_FORMAT_VERSION 1 on.

    Raises
    ------
    DamagedInputError
        The unit of a flux is neither Jy nor nJy, or there are no positions.
    """
    if any(name not in shard for name in ("id", "coord_ra", "coord_dec")):
        raise DamagedInputError(
            f"A reference catalogue file has no positions; its fields are {', '.join(shard.schema.names()[:6])}",
            remedy="Install the files of the catalogue again",
        )
    version = shard.metadata.get("REFCAT_FORMAT_VERSION", 0)
    default = "nJy" if isinstance(version, int) and version >= 1 else "Jy"
    schema = make_minimal_schema()
    columns: dict[str, np.ndarray] = {}
    for field in shard.schema:
        name = _name_of_2017(field.name)
        column = shard.column(field.name)
        if name.endswith(("_flux", "_fluxSigma")):
            unit = field.unit or default
            if unit not in _UNITS:
                raise DamagedInputError(
                    f"The reference catalogue gives {field.name} in {unit!r}; known are Jy and nJy",
                    remedy="Convert the catalogue",
                )
            column = column.astype(np.float64) * _UNITS[unit]
            field = Field(name, "D", field.doc, "Jy")
        if field.name in _POSITION_ERRORS:
            field = replace(field, unit="rad")
        if name not in schema.names():
            schema.add(replace(field, name=name))
        columns[name] = column
    for name, target in shard.schema.aliases.items():
        schema.set_alias(_name_of_2017(name), _name_of_2017(target))
    result = SourceCatalog(schema, len(shard))
    for name, column in columns.items():
        result.adopt(name, column)
    metadata = {key: value for key, value in shard.metadata.items() if key != "REFCAT_FORMAT_VERSION"}
    result.metadata = Metadata(metadata)
    return result


def _name_of_2017(name: str) -> str:
    return _POSITION_ERRORS.get(name, name.replace("_fluxErr", "_fluxSigma"))


def add_filter_aliases(cat: SourceCatalog, filter_map: Mapping[str, str]) -> None:
    """Let ``<camera filter>_camFlux`` stand for ``<reference filter>_flux``, and the same for the errors."""
    for camera, reference in filter_map.items():
        if f"{reference}_flux" in cat.schema.names():
            cat.schema.set_alias(f"{camera}_camFlux", f"{reference}_flux")
            cat.schema.set_alias(f"{camera}_camFluxSigma", f"{reference}_fluxSigma")


def flux_field(cat: SourceCatalog, filter_name: str) -> str:
    """Return the name of the flux field for a camera filter: ``<filter>_camFlux`` if it exists, else
    ``<filter>_flux``.

    Raises
    ------
    MissingInputError
        The reference catalogue has neither.
    """
    for name in (f"{filter_name}_camFlux", f"{filter_name}_flux"):
        if name in cat:
            return name
    have = [name for name in cat.schema.names() if name.endswith("_flux")]
    raise MissingInputError(
        f"The reference catalogue has no flux for filter {filter_name!r}; it has {', '.join(have) or 'none'}",
        remedy="Use another reference catalogue, or map the filter in the loader's filterMap",
    )
