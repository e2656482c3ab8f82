"""The records of an output: `OUTPUT.runs/RUN/`, one JSON file for the run and one for each of its CCDs.

They stand beside the output, whose own files are those of the guides of 2017. Runs are only ever added: to make an
output anew leaves its history. `docs/records.md` has the keys.
"""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ..butler.paths import absolute
from ..errors import ExitStatus, HscboxError, MissingInputError, OutputError
from ..machine.files import output_failure
from ..machine.mounts import bind_flags, is_lost_with_container
from ..pipeline.provenance import this_process
from ..pipeline.record import CcdRecord, RunRecord, from_text, now, read_record, write_record
from ..products.boost import read_boost

__all__ = ["RUN_FILE", "KeptRun", "kept_run", "newest_records", "records_root", "where_kept"]

RUN_FILE = "run.json"

_CCD = re.compile(r"(\d+)-(\d+)\.(?:json|boost)")
_METADATA = "*/*/processCcd_metadata/*.boost"
_PROVENANCE = "processCcd.provenance"
log = logging.getLogger("processCcd")


def records_root(output: Path | str) -> Path:
    """Return the directory of the records of an output, whatever links lead to it."""
    place = Path(os.path.realpath(absolute(output)))
    return place.parent / f"{place.name}.runs"


def where_kept(output: Path | str) -> tuple[Path, str]:
    """Return where the records of an output belong, and why they cannot be kept there (empty if they can)."""
    root = records_root(output)
    place = next(above for above in (root, *root.parents) if above.exists())
    if is_lost_with_container(place) and not is_lost_with_container(Path(os.path.realpath(absolute(output)))):
        return root, "it would be lost with this container"
    return root, "" if os.access(place, os.W_OK | os.X_OK) else "it cannot be written"


class KeptRun:
    """A run whose records are being kept.

    Attributes
    ----------
    place
        Its directory; None if there can be none.
    status
        Exit status, to be set when it is known.
    """

    def __init__(self, record: RunRecord, place: Path | None) -> None:
        self.record = record
        self.place = place
        self.status = int(ExitStatus.UNEXPECTED)

    def write(self) -> None:
        """Write the record of the run itself."""
        if self.place is not None:
            write_record(self.place / RUN_FILE, self.record)


@contextmanager
def kept_run(output: Path, record: RunRecord) -> Iterator[KeptRun]:
    """Keep the records of a run for the block, whose own record is written at its start and at its end.

    Where that cannot be done, one warning says so and the run goes on: the metadata files hold copies.
    """
    begun = replace(record, **this_process(), started=now(), output=str(output))
    run = KeptRun(begun, None)
    try:
        run.place = _new_place(output)
        run.record = replace(begun, run=run.place.name)
        run.write()
    except HscboxError as error:
        run.place = None
        log.warning("%s", error)
    try:
        yield run
    except KeyboardInterrupt:
        run.status = int(ExitStatus.INTERRUPTED)
        raise
    except HscboxError as error:
        run.status = int(error.exit_status)
        raise
    finally:
        run.record = replace(run.record, status=run.status, ended=now())
        try:
            run.write()
        except HscboxError as error:
            log.warning("The end of the run is not recorded: %s", error)


def _new_place(output: Path) -> Path:
    """Make the directory of a run; its name is its start, so that names are in the order of time, host and process."""
    root, problem = where_kept(output)
    if problem:
        remedy = f"Bind {root.parent} with {' or '.join(bind_flags(root.parent, read_only=False))}"
        raise OutputError(
            f"Records of this run are kept in the metadata files only, not in {root}: {problem}",
            remedy=remedy if "container" in problem else f"Make {root} writable, or choose another --output",
        )
    host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "host"
    for _ in range(100):
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        place = root / f"{moment}-{host}-{os.getpid()}"
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            # Processes in containers of the same name may have the same number.
            continue
        except OSError as error:
            raise output_failure(place, error) from error
        return place
    raise OutputError(f"No new directory can be made in {root}")


def newest_records(output: Path | str, wanted: Mapping[str, object] | None = None) -> list[CcdRecord]:
    """Return the newest record of each CCD of an output, ordered by visit and ccd.

    The copies in the metadata files count where they are newer, or are all there is. Records of an output that was
    since made anew are left out.

    Parameters
    ----------
    wanted
        Keys of the data id and the values they must have.

    Raises
    ------
    MissingInputError
        The output does not exist.
    DamagedInputError
        A record cannot be read.
    """
    root = absolute(output)
    if not root.is_dir():
        raise MissingInputError(f"No such output: {root}")
    where = dict(wanted or {})
    found: dict[tuple[int, int], CcdRecord] = {}
    for key, record in (*_copies(root, where), *_kept(records_root(root), where)):
        fits = all(record.data_id.get(name) == value for name, value in where.items())
        if fits and (key not in found or found[key].ended <= record.ended):
            found[key] = record
    return [found[key] for key in sorted(found)]


def _kept(root: Path, where: Mapping[str, object]) -> Iterator[tuple[tuple[int, int], CcdRecord]]:
    runs = [read_record(RunRecord, path) for path in root.glob(f"*/{RUN_FILE}")]
    begun = max((run.started for run in runs if run.new_output), default="")
    for key, path in _by_ccd(root.glob("*/*.json"), where):
        record = read_record(CcdRecord, path)
        if record.ended >= begun:
            yield key, record


def _copies(root: Path, where: Mapping[str, object]) -> Iterator[tuple[tuple[int, int], CcdRecord]]:
    for key, path in _by_ccd(root.glob(_METADATA), where):
        for text in read_boost(path).items.get(_PROVENANCE, []):
            yield key, from_text(CcdRecord, str(text), str(path))


def _by_ccd(paths: Iterator[Path], where: Mapping[str, object]) -> Iterator[tuple[tuple[int, int], Path]]:
    """Yield (visit, ccd) and path of the files that may be wanted, judged by their names alone."""
    for path in sorted(paths):
        name = _CCD.fullmatch(path.name)
        if name is None:
            continue
        key = (int(name[1]), int(name[2]))
        if where.get("visit", key[0]) == key[0] and where.get("ccd", key[1]) == key[1]:
            yield key, path
