"""One row of a catalogue, with the calls that users of the LSST stack make."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from .footprint import Footprint
from .schema import Schema

__all__ = ["Angle", "Record"]


class Angle(float):
    """An angle in radians that knows its value in other units."""

    __slots__ = ()

    def asRadians(self) -> float:  # noqa: N802
        """Return the angle in radians."""
        return float(self)

    def asDegrees(self) -> float:  # noqa: N802
        """Return the angle in degrees."""
        return math.degrees(self)

    def asArcseconds(self) -> float:  # noqa: N802
        """Return the angle in seconds of arc."""
        return math.degrees(self) * 3600.0


class _Catalog(Protocol):
    """What a record asks of the catalogue that it is a row of."""

    schema: Schema
    footprints: list[Footprint | None]

    def column(self, name: str) -> np.ndarray: ...


class Record:
    """One row of a catalogue: a view, through which values can be read and set.

    The methods named get... follow the LSST stack; positions are in radians, see `Angle`.
    """

    __slots__ = ("_catalog", "_row")

    def __init__(self, catalog: _Catalog, row: int) -> None:
        self._catalog = catalog
        self._row = row

    def get(self, name: str) -> Any:
        """Return the value of a field as a Python number, string or `Angle`; as an array for an array field.

        Raises
        ------
        KeyError
            There is no such field.
        """
        field = self._catalog.schema.find(name)
        value = self._catalog.column(field.name)[self._row]
        if field.dtype == "Angle" and not field.is_array:
            return Angle(value)
        return value.item() if isinstance(value, np.generic) else value

    def set(self, name: str, value: Any) -> None:
        """Set the value of a field."""
        self._catalog.column(name)[self._row] = value

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __repr__(self) -> str:
        return f"Record(row {self._row} of {self._catalog!r})"

    @property
    def footprint(self) -> Footprint | None:
        """The footprint of the row."""
        return self._catalog.footprints[self._row]

    @footprint.setter
    def footprint(self, footprint: Footprint | None) -> None:
        self._catalog.footprints[self._row] = footprint

    def getFootprint(self) -> Footprint | None:  # noqa: N802
        """Return the footprint."""
        return self.footprint

    def getSchema(self) -> Schema:  # noqa: N802
        """Return the schema of the catalogue."""
        return self._catalog.schema

    def getId(self) -> int:  # noqa: N802
        """Return the id."""
        return int(self.get("id"))

    def getParent(self) -> int:  # noqa: N802
        """Return the id of the blend parent, 0 if there is none."""
        return int(self.get("parent"))

    def getRa(self) -> Angle:  # noqa: N802
        """Return the right ascension."""
        return Angle(self.get("coord_ra"))

    def getDec(self) -> Angle:  # noqa: N802
        """Return the declination."""
        return Angle(self.get("coord_dec"))

    def getX(self) -> float:  # noqa: N802
        """Return the x of the centroid slot in pixels."""
        return float(self.get("slot_Centroid_x"))

    def getY(self) -> float:  # noqa: N802
        """Return the y of the centroid slot in pixels."""
        return float(self.get("slot_Centroid_y"))

    def getPsfFlux(self) -> float:  # noqa: N802
        """Return the flux of the PSF slot in counts."""
        return float(self.get("slot_PsfFlux_flux"))

    def getApFlux(self) -> float:  # noqa: N802
        """Return the flux of the aperture slot in counts."""
        return float(self.get("slot_ApFlux_flux"))
