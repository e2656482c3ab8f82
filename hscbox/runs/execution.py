"""Run one function per CCD, in this process or in a pool of workers."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from ..butler.butler import Butler
from ..butler.data_id import DataId
from ..errors import ExitStatus, HscboxError
from ..machine.environment import keep_freed_memory
from ..machine.logs import configure_logging, set_level
from ..pipeline.config_store import config_digest, load_config
from ..pipeline.process_ccd import CcdSummary, ProcessCcdConfig, ProcessCcdTask

__all__ = ["CcdJob", "CcdOutcome", "combined_status", "process_one", "run_jobs"]


@dataclass(frozen=True)
class CcdJob:
    """Everything that a worker needs to process one CCD; small, since it is sent between processes."""

    data_id: DataId
    input_root: Path
    output_root: Path
    calib_root: Path | None
    config_path: Path
    log_levels: tuple[str, ...] = ()
    long_log: bool = False


@dataclass(frozen=True)
class CcdOutcome:
    """How one CCD ended: its numbers, or the code, status and text of the error."""

    data_id: DataId
    status: int
    code: str = "done"
    message: str = ""
    summary: CcdSummary | None = None


def process_one(job: CcdJob, *, raise_errors: bool = False) -> CcdOutcome:
    """Process the CCD of `job`; errors become part of the outcome unless `raise_errors`."""
    config = ProcessCcdConfig()
    load_config(job.config_path, config)
    started = time.process_time()
    try:
        butler = Butler.for_run(job.input_root, job.output_root, calib_root=job.calib_root, quiet=True)
        summary = ProcessCcdTask(config, butler, config_digest(config)).run(job.data_id)
    except HscboxError as error:
        if raise_errors:
            traceback.print_exc()
            raise
        logging.getLogger("processCcd").critical("Failed on dataId=%s: %s", job.data_id, error)
        if logging.getLogger("processCcd").isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        return CcdOutcome(job.data_id, int(error.exit_status), error.code, str(error))
    except Exception as error:
        # A defect of the program on one CCD must not take the others with it: its traceback is shown, the run goes on
        # and ends with the status of an unexpected error.
        if raise_errors:
            raise
        logging.getLogger("processCcd").critical("Failed on dataId=%s", job.data_id, exc_info=True)
        return CcdOutcome(job.data_id, int(ExitStatus.UNEXPECTED), "unexpected", f"{type(error).__name__}: {error}")
    summary = replace(
        summary,
        cpu_seconds=time.process_time() - started,
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
    return CcdOutcome(job.data_id, int(ExitStatus.OK), summary=summary)


def _process_in_worker(job: CcdJob, raise_errors: bool) -> CcdOutcome:
    keep_freed_memory()
    configure_logging(job.long_log)
    for level in job.log_levels:
        set_level(level)
    return process_one(job, raise_errors=raise_errors)


def run_jobs(
    jobs: Sequence[CcdJob], *, processes: int, timeout: float, raise_errors: bool = False
) -> Iterator[CcdOutcome]:
    """Yield the outcome of every job in the order of `jobs`.

    Parameters
    ----------
    processes
        Number of worker processes; with one, jobs run in this process.
    timeout
        Seconds of wall time for all jobs together; what has not ended by then is reported as temporary failure.
        Only a pool can be timed out.
    raise_errors
        Let the first error end the run.
    """
    if processes <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield process_one(job, raise_errors=raise_errors)
        return
    # Workers start afresh: a forked child would share sqlite connections and threads with its parent.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context)
    futures = [pool.submit(_process_in_worker, job, raise_errors) for job in jobs]
    try:
        wait(futures, timeout=timeout, return_when=FIRST_EXCEPTION if raise_errors else ALL_COMPLETED)
        if raise_errors:
            for future in futures:
                if future.done() and (error := future.exception()) is not None:
                    raise error
        for job, future in zip(jobs, futures, strict=True):
            yield _outcome(job, future, timeout)
    finally:
        unfinished = any(not future.done() for future in futures)
        workers = list((pool._processes or {}).values())
        pool.shutdown(wait=not unfinished, cancel_futures=True)
        if unfinished:
            for worker in workers:
                worker.terminate()


def _outcome(job: CcdJob, future: Future[CcdOutcome], timeout: float) -> CcdOutcome:
    if not future.done():
        text = f"Not finished within {timeout:g} s. Raise --timeout or use fewer CCDs per run"
        return CcdOutcome(job.data_id, int(ExitStatus.TEMPORARY), "timeout", text)
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenProcessPool):
        text = "A worker process was killed, perhaps for want of memory. Run again with a smaller -j"
        return CcdOutcome(job.data_id, int(ExitStatus.TEMPORARY), "worker-killed", text)
    raise error


def combined_status(outcomes: Sequence[CcdOutcome]) -> int:
    """Return the exit status of a mixed run: 20 if any CCD gave 20, else 4, else 75, else any other, else 0."""
    statuses = {outcome.status for outcome in outcomes}
    for status in (ExitStatus.DATA, ExitStatus.INPUT, ExitStatus.TEMPORARY, ExitStatus.USAGE):
        if status in statuses:
            return int(status)
    return max(statuses, default=int(ExitStatus.OK))
