"""Process the CCDs of a run, in this process or in a pool of workers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from ..butler.butler import Butler
from ..butler.data_id import DataId
from ..errors import ExitStatus, HscboxError
from ..machine.environment import keep_freed_memory
from ..machine.logs import configure_logging, set_level
from ..pipeline.config_store import config_digest
from ..pipeline.overrides import apply_file
from ..pipeline.process_ccd import ProcessCcdConfig, ProcessCcdTask
from ..pipeline.provenance import this_process
from ..pipeline.record import CcdRecord, keep_record, now
from .pool import Lost, run_in_pool

__all__ = ["RunSetup", "combined_status", "run_ccds"]

log = logging.getLogger("processCcd")


@dataclass(frozen=True)
class RunSetup:
    """Everything that a worker needs beside a data id; small, since it is sent between processes.

    Attributes
    ----------
    input_root, output_root, calib_root
        The repositories; the calibration directory or None.
    config_path
        The recorded configuration.
    place
        Directory for the records of this run, or None.
    log_levels, long_log, raise_errors
        As typed.
    """

    input_root: Path
    output_root: Path
    calib_root: Path | None
    config_path: Path
    place: Path | None
    log_levels: tuple[str, ...] = ()
    long_log: bool = False
    raise_errors: bool = False


@cache
def _worker_task(setup: RunSetup) -> ProcessCcdTask:
    """Return what a worker processes all its CCDs with."""
    keep_freed_memory()
    configure_logging(setup.long_log)
    for level in setup.log_levels:
        set_level(level)
    config = ProcessCcdConfig()
    apply_file(config, setup.config_path)
    butler = Butler.for_run(setup.input_root, setup.output_root, calib_root=setup.calib_root, quiet=True)
    return ProcessCcdTask(config, butler, config_digest(config))


def _in_worker(setup: RunSetup, data_id: DataId, tries: int) -> CcdRecord:
    try:
        task = _worker_task(setup)
    except HscboxError as error:
        if setup.raise_errors:
            raise
        return _kept(setup, _without_result(setup, data_id, tries).failed(error))
    return task.run(data_id, place=setup.place, tries=tries, raise_errors=setup.raise_errors)


def run_ccds(
    task: ProcessCcdTask, setup: RunSetup, ids: Sequence[DataId], *, processes: int, timeout: float
) -> list[CcdRecord]:
    """Process CCDs and return their records in the order of `ids`.

    Parameters
    ----------
    task
        What this process processes CCDs with; workers make their own from `setup`.
    processes
        Number of worker processes; with one, CCDs are processed in this process.
    timeout
        Seconds of wall time for all CCDs together; what has not ended by then is reported as temporary failure.
        Only a pool can be timed out.
    """
    if processes <= 1 or len(ids) <= 1:
        return [task.run(data_id, place=setup.place, raise_errors=setup.raise_errors) for data_id in ids]
    records: dict[int, CcdRecord] = {}
    jobs = run_in_pool(partial(_in_worker, setup), ids, processes=min(processes, len(ids)), timeout=timeout)
    for number, result in jobs:
        record = _lost(setup, ids[number], result, timeout) if isinstance(result, Lost) else result
        if record.tries > 1 and not record.status:
            log.warning("%s is done at the second try; the first was killed: use a smaller -j", ids[number])
        records[number] = record
    return [records[number] for number in range(len(ids))]


_LOST = {
    Lost.KILLED: (
        "worker-killed",
        "A worker process was killed, perhaps for want of memory. Run again with a smaller -j",
    ),
    Lost.TIMEOUT: ("timeout", "Not finished within {:g} s. Raise --timeout or use fewer CCDs per run"),
    Lost.NOT_STARTED: ("not-started", "Not begun within {:g} s. Raise --timeout or use fewer CCDs per run"),
}


def _lost(setup: RunSetup, data_id: DataId, why: Lost, timeout: float) -> CcdRecord:
    """Return the record of a CCD that could not make one itself, and keep it."""
    code, text = _LOST[why]
    tries = 2 if why is Lost.KILLED else 1
    lost = _without_result(setup, data_id, tries).lost(code, int(ExitStatus.TEMPORARY), text.format(timeout))
    return _kept(setup, lost)


def _kept(setup: RunSetup, record: CcdRecord) -> CcdRecord:
    log.critical("Failed on dataId=%s: %s", record.data_id, record.message)
    if setup.place is not None:
        keep_record(setup.place, record)
    return record


def _without_result(setup: RunSetup, data_id: DataId, tries: int) -> CcdRecord:
    run = setup.place.name if setup.place else ""
    return CcdRecord(data_id=data_id, run=run, tries=tries, ended=now(), **this_process())


def combined_status(records: Sequence[CcdRecord]) -> int:
    """Return the exit status of a mixed run: 1 if any CCD gave 1, else 20, else 4, else 75, else any other, else 0.

    An unexpected error is a defect to look into, whatever else there is; data that defeat the algorithm need no second
    try, a temporary failure does.
    """
    statuses = {record.status for record in records}
    order = (ExitStatus.UNEXPECTED, ExitStatus.DATA, ExitStatus.INPUT, ExitStatus.TEMPORARY)
    return next((int(status) for status in order if status in statuses), max(statuses, default=int(ExitStatus.OK)))
