"""Reference catalogues of a repository, as the calibration reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..butler.butler import Butler
from ..calibrate.ref_objects import ReferenceShards
from ..catalog.reference_config import parse_reference_config
from ..catalog.source_catalog import SourceCatalog
from ..errors import MissingInputError

__all__ = ["References"]


class References:
    """Opens reference catalogues; every shard is read once.

    Parameters
    ----------
    butler
        Open on the repository.
    digest
        Returns the SHA-256 of a file.
    note
        Called with dataset name, path and digest of a shard whenever it is used, also from memory.
    """

    def __init__(self, butler: Butler, digest: Callable[[Path], str], note: Callable[[str, Path, str], None]) -> None:
        self.butler = butler
        self.digest = digest
        self.note = note
        self._shards: dict[tuple[str, str], tuple[SourceCatalog, Path, str]] = {}

    def open(self, name: str) -> ReferenceShards:
        """Return access to a catalogue.

        Raises
        ------
        MissingInputError
            There is none of this name.
        """
        try:
            text = self.butler.get("ref_cat_config", name=name)
        except MissingInputError as error:
            remedy = "Mount the reference catalogues: hscbox mount REPO --ref-cats DIR"
            raise MissingInputError(error.message, remedy=remedy) from error
        config = parse_reference_config(text, str(self.butler.path("ref_cat_config", name=name)))
        return ReferenceShards(lambda pixel: self._read(name, str(pixel)), config.depth)

    def _read(self, name: str, pixel: str) -> SourceCatalog | None:
        if (name, pixel) not in self._shards:
            data_id = {"name": name, "pixel_id": pixel}
            try:
                path = self.butler.path("ref_cat", data_id)
            except MissingInputError:
                return None
            self._shards[name, pixel] = (self.butler.get("ref_cat", data_id), path, self.digest(path))
        catalog, path, digest = self._shards[name, pixel]
        self.note(f"ref_cat:{name}:{pixel}", path, digest)
        return catalog
