"""Reference catalogues of a repository, as the calibration reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..butler.butler import Butler
from ..calibrate.ref_objects import ReferenceShards
from ..catalog.reference_config import parse_reference_config
from ..catalog.source_catalog import SourceCatalog
from ..errors import MissingInputError
from ..machine.files import sha256_file

__all__ = ["References"]

# The shards around one visit, a dozen, with 100 bytes for each of the 50,000 objects that one holds near the Galactic
# plane: the next CCD of a visit finds all of them, and a worker stays within the 600 MB of one CCD.
_KEPT_BYTES = 64 << 20


@dataclass(frozen=True)
class _Shard:
    """A shard that was read: its file as it was then, and what was in it."""

    identity: tuple[int, int, int]
    catalog: SourceCatalog
    digest: str

    @property
    def nbytes(self) -> int:
        return sum(self.catalog.column(field.name).nbytes for field in self.catalog.schema)


class References:
    """Opens reference catalogues; shards stay in memory from CCD to CCD as long as their files stay the same.

    Parameters
    ----------
    butler
        Open on the repository.
    note
        Called with dataset name, path and SHA-256 of a shard whenever it is used, also from memory.
    """

    def __init__(self, butler: Butler, note: Callable[[str, Path, str], None]) -> None:
        self.butler = butler
        self.note = note
        # The least recently used one comes first.
        self._shards: dict[Path, _Shard] = {}

    @property
    def nbytes(self) -> int:
        """Size of the shards in memory."""
        return sum(shard.nbytes for shard in self._shards.values())

    def forget(self, bound: int = _KEPT_BYTES) -> None:
        """Give up the shards that were not used for longest until the others take at most `bound` bytes.

        Called between CCDs: within one, the same shards are asked for twice.
        """
        size = self.nbytes
        while size > bound:
            size -= self._shards.pop(next(iter(self._shards))).nbytes

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
        data_id = {"name": name, "pixel_id": pixel}
        try:
            path = self.butler.path("ref_cat", data_id)
        except MissingInputError:
            return None
        try:
            status = path.stat()
        except OSError as error:
            raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
        identity = (status.st_size, status.st_mtime_ns, status.st_ino)
        shard = self._shards.pop(path, None)
        if shard is None or shard.identity != identity:
            shard = _Shard(identity, self.butler.get("ref_cat", data_id), sha256_file(path))
        self._shards[path] = shard
        self.note(f"ref_cat:{name}:{pixel}", path, shard.digest)
        return shard.catalog
