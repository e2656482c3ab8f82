"""References to datasets of one data id, as `Butler.subset` and `Butler.dataRef` return them."""

from __future__ import annotations

from typing import Any

from .data_id import DataId

__all__ = ["LEVELS", "ButlerSubset", "DataRef"]

# Levels from coarse to fine, with the keys that an id of that level lacks.
LEVELS: dict[str, frozenset[str]] = {
    "skyTile": frozenset({"visit", "ccd"}),
    "visit": frozenset({"ccd"}),
    "sensor": frozenset(),
}


class DataRef:
    """A butler together with a data id and a default dataset type."""

    def __init__(self, butler: Any, dataset: str, level: str, data_id: DataId) -> None:
        self._butler = butler
        self._dataset = dataset
        self._level = level
        self.dataId = data_id

    def __repr__(self) -> str:
        return f"DataRef({self._dataset!r}, {self.dataId!r})"

    def get(self, datasetType: str | None = None, **keys: Any) -> Any:
        """Return a dataset for this id; see `Butler.get`."""
        return self._butler.get(datasetType or self._dataset, self.dataId, **keys)

    def put(self, obj: object, datasetType: str | None = None, doBackup: bool = False, **keys: Any) -> None:
        """Write a dataset for this id; see `Butler.put`."""
        self._butler.put(obj, datasetType or self._dataset, self.dataId, doBackup=doBackup, **keys)

    def datasetExists(self, datasetType: str | None = None, **keys: Any) -> bool:  # noqa: N802
        """Return whether the dataset is there; see `Butler.datasetExists`."""
        return bool(self._butler.datasetExists(datasetType or self._dataset, self.dataId, **keys))

    def subLevels(self) -> list[str]:  # noqa: N802
        """Return the names of finer levels."""
        names = list(LEVELS)
        return names[names.index(self._level) + 1 :]

    def subItems(self, level: str | None = None) -> ButlerSubset:  # noqa: N802
        """Return the references below this one; empty at the finest level."""
        finer = self.subLevels()
        if not finer:
            return ButlerSubset([])
        below: ButlerSubset = self._butler.subset(self._dataset, level or finer[0], self.dataId)
        return below

    def getButler(self) -> Any:  # noqa: N802
        """Return the butler that made this reference."""
        return self._butler


class ButlerSubset(list[DataRef]):
    """The references that match a partial data id."""
