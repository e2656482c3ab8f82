"""Master calibrations that belong to the synthetic frames, and the registry that lists them.

Masters are free of noise: they are exactly the patterns that the generator put into the raw frames, so that an
ideal reduction leaves nothing behind. They are trimmed, in the detector frame, and as many rows high as the scene.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from ..butler.calib_registry import CALIB_REGISTRY_NAME, create_statements
from ..butler.registry import connect_for_writing, make_tables, transaction
from ..butler.templates import DATASETS
from ..camera import keywords as key
from ..camera.bf_kernel import brighter_fatter_kernel
from ..camera.calib_kinds import CALIB_KINDS
from ..fits.cards import metadata_cards
from ..fits.metadata import Metadata
from ..fits.write import image_unit, write_units
from ..image.mask import mask_bits
from ..machine.files import atomic_path, write_bytes
from ..products.masked_image import write_masked_image
from .illumination import unlit
from .patterns import PATTERNS
from .scene import Scene

__all__ = ["Master", "masters_for", "pattern_digest", "write_kernel", "write_master", "write_registry"]

_VALIDITY = timedelta(days=180)


@dataclass(frozen=True)
class Master:
    """Identity of one master calibration."""

    kind: str
    """One of `CALIB_KINDS`."""
    filter: str
    """Registry name; "NONE" for kinds that are not made per filter."""
    ccd: int
    date: str

    @property
    def path(self) -> Path:
        """Where it stands under the calibration root."""
        return Path(DATASETS[self.kind].path({"filter": self.filter, "ccd": self.ccd, "calibDate": self.date}))


def masters_for(scene: Scene, calib_date: str) -> list[Master]:
    """Return the masters that the reduction of a scene needs."""
    return [
        Master(name, scene.filter if CALIB_KINDS[name].per_filter else "NONE", scene.ccd, calib_date)
        for name, pattern in PATTERNS.items()
        if pattern.filters is None or scene.canonical_filter in pattern.filters
    ]


def pattern_digest(master: Master, scene: Scene) -> str:
    """Return a hash of all that the pixels of a master depend on; 16 hexadecimal digits."""
    parts = [master.kind, master.filter, master.ccd, scene.seed, scene.rows]
    parts += [getattr(scene.effects, name) for name in PATTERNS[master.kind].depends]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def write_master(root: Path, master: Master, scene: Scene) -> None:
    """Write one master as a single image; what divides light with mask and variance."""
    header = _header(master, scene)
    path = root / master.path
    pattern = PATTERNS[master.kind]
    image = pattern.pixels(scene)
    if pattern.acts == "light":
        dark_part = unlit(scene.detector)
        mask = np.where(dark_part, np.int32(mask_bits("NO_DATA")), np.int32(0))
        write_masked_image(path, image, mask, np.zeros_like(image), header)
    else:
        write_units(path, [image_unit(image, metadata_cards(header), primary=True)])


def _header(master: Master, scene: Scene) -> Metadata:
    """Return the cards that the calibration tasks of the 2017 software write, without times of the day."""
    seconds = 0.0 if PATTERNS[master.kind].acts == "level" else 1.0
    header = Metadata()
    header.set(key.OBSTYPE, master.kind, "type of calibration")
    header.set(key.CALIB_ID, f"filter={master.filter} calibDate={master.date} ccd={master.ccd}")
    header.set(key.DATE_OBS, f"{master.date}T00:00:00.00", "calibDate")
    header.set("CALIB_CREATION_DATE", master.date)
    header.set("CALIB_CREATION_TIME", "00:00:00 UTC")
    header.set(key.EXPTIME, seconds, "[s] exposure time the pixels are scaled to")
    header.set("DARKTIME", seconds, "[s] dark time the pixels are scaled to")
    header.set("SIMDIGST", pattern_digest(master, scene), "hash of the synthetic pattern")
    return header


def write_kernel(root: Path) -> None:
    """Write the brighter-fatter kernel as a pickled numpy array."""
    write_bytes(root / DATASETS["bfKernel"].path({}), pickle.dumps(brighter_fatter_kernel(), protocol=2))


def write_registry(root: Path, masters: Sequence[Master], dates: Sequence[str]) -> None:
    """Write calibRegistry.sqlite3, or add to the one that is there.

    Each master is valid from 180 days before to 180 days after the exposure dates (and its own date); the range of
    a master that is listed already is widened.
    """
    path = root / CALIB_REGISTRY_NAME
    with atomic_path(path) as temporary:
        if path.exists():
            temporary.write_bytes(path.read_bytes())
        connection = connect_for_writing(temporary)
        try:
            make_tables(connection, create_statements())
            with transaction(connection):
                for master in masters:
                    _register(connection, master, [master.date, *dates])
        finally:
            connection.close()


def _register(connection: sqlite3.Connection, master: Master, dates: Sequence[str]) -> None:
    days = [date.fromisoformat(day) for day in dates]
    start, end = (min(days) - _VALIDITY).isoformat(), (max(days) + _VALIDITY).isoformat()
    identity = (master.filter, master.ccd, master.date)
    connection.execute(
        f"INSERT OR IGNORE INTO {master.kind} (filter, ccd, calibDate, validStart, validEnd) VALUES (?, ?, ?, ?, ?)",
        (*identity, start, end),
    )
    connection.execute(
        f"UPDATE {master.kind} SET validStart = min(validStart, ?), validEnd = max(validEnd, ?) "
        "WHERE filter = ? AND ccd = ? AND calibDate = ?",
        (start, end, *identity),
    )
