"""Download a region of a TAP service's table, trixel by trixel, and make a reference catalogue of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..catalog.htm import separation, trixel_of
from ..errors import DamagedInputError
from .answer import Answer, read_answer
from .build import DEFAULT_DEPTH, Built, build, check_free
from .column_map import ColumnMap
from .columns import Columns, concatenated
from .convert import RowReport, convert, positions
from .download import Downloader
from .parts import PartRecord, PartStore
from .patience import Patience
from .query import digest, parameters, sync_url, tap_of
from .sky import PAD, Cone, children, depth_of, descendants, outline, trixels_of_cones

__all__ = ["FetchRequest", "Fetched", "Progress", "fetch"]

log = logging.getLogger("hscbox.refcat")

# A trixel of this depth is 0.2 square arcminutes; a service that still cuts its answer does not mean it.
_DEEPEST = 14
_OUTSIDE = 0.05


@dataclass(frozen=True)
class FetchRequest:
    """What to download, and where to.

    Attributes
    ----------
    output, name
        The catalogue becomes the directory `output`/`name`.
    column_map
        What to ask for.
    cones
        The region; all trixels that it touches are taken whole.
    url
        Address of the TAP service; None for that of the map.
    """

    output: Path
    name: str
    column_map: ColumnMap
    cones: tuple[Cone, ...]
    url: str | None = None


@dataclass
class Progress:
    """How far a download is; changed while it goes on.

    Attributes
    ----------
    parts, done
        Parts known to be needed (splitting adds some), and those complete.
    reused, split
        Parts that were complete before this call; answers that were cut and asked for in four pieces.
    received
        Bytes that arrived in this call.
    changed
        Called after every change.
    """

    parts: int = 0
    done: int = 0
    reused: int = 0
    split: int = 0
    received: int = 0
    changed: Callable[[Progress], None] = field(default=lambda progress: None, repr=False)


@dataclass(frozen=True)
class Fetched:
    """What was downloaded and made of it."""

    built: Built
    rows: RowReport
    parts: int
    reused: int
    split: int

    def lines(self) -> list[str]:
        """Return the result as lines for the user."""
        fresh = self.parts - self.reused
        first = f"{self.parts} parts: {fresh} downloaded, {self.reused} complete from an earlier call"
        if self.split:
            first += f"; {self.split} were cut by the service and asked for in four pieces each"
        return [first, *self.rows.lines(), self.built.line()]


def fetch(
    request: FetchRequest,
    *,
    patience: Patience | None = None,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Download a region and make a reference catalogue of it.

    What arrived is kept in the directory `.NAME.fetch` beside the catalogue until that is complete, so that the same
    call goes on where an earlier one ended.

    Raises
    ------
    TemporaryError
        The service cannot be reached, or asks for patience; call again.
    UsageError, OutputError
        The catalogue exists, the region is too large, or the service refuses the query.
    InputError
        The service answers with something else than what was asked for, or with no valid row.
    """
    check_free(request.output, request.name)
    tap = tap_of(request.column_map)
    state = progress or Progress()
    store = PartStore(request.output / f".{request.name}.fetch")
    trixels = trixels_of_cones(request.cones, DEFAULT_DEPTH)
    run = _Run(request, store, state, patience or Patience(), sleep)
    with store.locked():
        try:
            records = run.collect([part for number in trixels for part in descendants(number, tap.query_depth)])
        except BaseException:
            log.warning(
                "%d of %d parts are complete in %s; the same command goes on from there",
                state.done,
                state.parts,
                store.directory,
            )
            raise
        columns = concatenated([run.columns_of(record) for record in records])
        catalog, rows = convert(columns, request.column_map, f"What {run.url} sent")
        origin = _origin(request, run.url, records, rows)
        built = build(request.output, request.name, catalog, DEFAULT_DEPTH, trixels, {"origin.json": origin})
        store.remove()
    return Fetched(built, rows, len(records), state.reused, state.split)


class _Run:
    """One call of `fetch`."""

    def __init__(
        self,
        request: FetchRequest,
        store: PartStore,
        state: Progress,
        patience: Patience,
        sleep: Callable[[float], None],
    ) -> None:
        self.map = request.column_map
        self.tap = tap_of(self.map)
        self.url = sync_url(request.url or self.tap.url)
        self.store = store
        self.state = state
        self.most_bytes = patience.most_bytes
        self.loader = Downloader(self.url, patience, sleep, self._count)

    def _count(self, received: int) -> None:
        self.state.received += received
        self.state.changed(self.state)

    def collect(self, wanted: list[int]) -> list[PartRecord]:
        """Return the records of all parts, in the order of the sky, downloading those that are missing."""
        waiting = sorted(wanted, reverse=True)
        self.state.parts = len(waiting)
        records = []
        while waiting:
            trixel = waiting.pop()
            values = parameters(self.map, self.tap, trixel)
            request = digest(self.url, values)
            record = self.store.find(trixel, request)
            known = record is not None
            record = record or self._download(trixel, values, request)
            if record.split:
                waiting += sorted(children(trixel), reverse=True)
                self.state.parts += 3
                self.state.split += 1
            else:
                records.append(record)
                self.state.done += 1
                self.state.reused += known
            self.state.changed(self.state)
        return records

    def _download(self, trixel: int, values: dict[str, str], request: str) -> PartRecord:
        part = f"trixel {trixel}"
        kept: list[bytes] = []

        def accept(body: bytes) -> Answer:
            answer = read_answer(body, self.map.needed, part)
            self._check_region(answer, trixel, part)
            kept[:] = [body]
            return answer

        answer = self.loader.get(values, request, self.store.partial(trixel), part, accept)
        # A service with a limit of its own may not say that it cut the answer; ours it has to reach to be cut.
        if answer.overflow or answer.rows > self.tap.max_rows:
            if depth_of(trixel) >= _DEEPEST:
                raise DamagedInputError(
                    f"{self.url} cuts its answers even for {part}, with {answer.rows} rows",
                    remedy="Check --url and the cuts of the column map",
                )
            return self.store.mark_split(trixel, request)
        return self.store.keep(trixel, request, kept[0], answer.rows)

    def _check_region(self, answer: Answer, trixel: int, part: str) -> None:
        """Refuse answers about another place: a service that ignores the region would be asked for ever."""
        ra, dec = positions(answer.columns, self.map)
        circle = outline(trixel)[1]
        known = np.isfinite(ra) & np.isfinite(dec)
        away = separation(ra[known], dec[known], circle.ra, circle.dec)
        outside = int((away > circle.radius * (1.0 + _OUTSIDE) + PAD).sum())
        if outside:
            raise DamagedInputError(
                f"The answer for {part} has {outside} of {answer.rows} objects outside of the region asked for",
                remedy="Check --url, and the columns ra and dec of the column map",
            )

    def columns_of(self, record: PartRecord) -> Columns:
        """Return the rows of a part that are in its trixel; those around it belong to its neighbours.

        Rows without a position stay, for the report.
        """
        part = f"trixel {record.trixel}"
        columns = read_answer(self.store.body(record), self.map.needed, part).columns
        ra, dec = positions(columns, self.map)
        valid = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)
        inside = ~valid
        inside[valid] = trixel_of(ra[valid], dec[valid], depth_of(record.trixel)) == record.trixel
        return {name: column[inside] for name, column in columns.items()}


def _origin(request: FetchRequest, url: str, records: list[PartRecord], rows: RowReport) -> bytes:
    """Return the record of where the catalogue came from; without time and host: equal answers, equal bytes."""
    tap = tap_of(request.column_map)
    content = {
        "service": url,
        "table": tap.table,
        "map": request.column_map.name,
        "description": request.column_map.description,
        "cuts": [cut.where for cut in tap.cuts],
        "cones": [[cone.ra, cone.dec, cone.radius] for cone in request.cones],
        "rows": rows.lines(),
        "parts": [{"trixel": r.trixel, "rows": r.rows, "sha256": r.sha256} for r in records],
    }
    return (json.dumps(content, indent=1) + "\n").encode()
