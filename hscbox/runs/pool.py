"""Run one function for many jobs in worker processes; the death of a worker costs one job one try.

Each worker is an executor with one process and never has more than one job: the job that a dead process was running is
known, and no other process dies with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from enum import Enum
from typing import Generic, TypeVar

__all__ = ["Lost", "run_in_pool"]

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

# What a worker that is told to end gets for leaving its files in order.
_GRACE = 5.0


class Lost(Enum):
    """Why a job has no result."""

    KILLED = "killed"
    """Its process died, and another one too when the job was tried again alone."""
    TIMEOUT = "timeout"
    """The time was over before it ended, or could be tried again."""
    NOT_STARTED = "not started"
    """The time was over before it was begun."""


def run_in_pool(
    function: Callable[[_Job, int], _Result], jobs: Sequence[_Job], *, processes: int, timeout: float
) -> Iterator[tuple[int, _Result | Lost]]:
    """Yield the number of each job with its result, or why there is none, as they end.

    Parameters
    ----------
    function
        Called in a worker with a job and the number of the try, 1 or 2. An error that it raises ends everything.
    processes
        Number of workers.
    timeout
        Seconds for all jobs together.
    """
    pool = _Pool(function, jobs)
    deadline = time.monotonic() + timeout
    waiting, again = deque(range(len(jobs))), deque[int]()
    try:
        while waiting or again or pool.running:
            while waiting and len(pool.running) < processes:
                pool.start(waiting.popleft(), 1)
            if not pool.running:
                # The last chance of a job whose process died: perhaps there was too little memory for all.
                pool.rest()
                pool.start(again.popleft(), 2)
            ended, _ = wait(pool.running, max(0.0, deadline - time.monotonic()), FIRST_COMPLETED)
            if not ended:
                break
            for future in ended:
                number, tries, result = pool.end(future)
                if result is Lost.KILLED and tries == 1:
                    again.append(number)
                else:
                    yield number, result
        yield from pool.stop()
    finally:
        pool.stop()
    yield from ((number, Lost.TIMEOUT) for number in again)
    yield from ((number, Lost.NOT_STARTED) for number in waiting)


class _Pool(Generic[_Job, _Result]):
    """The workers, and what each is doing."""

    def __init__(self, function: Callable[[_Job, int], _Result], jobs: Sequence[_Job]) -> None:
        self.function = function
        self.jobs = jobs
        self.idle: list[ProcessPoolExecutor] = []
        self.running: dict[Future[_Result], tuple[ProcessPoolExecutor, int, int]] = {}

    def start(self, number: int, tries: int) -> None:
        """Give a job to a worker that has none."""
        worker = self.idle.pop() if self.idle else _worker()
        try:
            future = worker.submit(_call, self.function, self.jobs[number], tries)
        except BrokenProcessPool:
            # It died while it had nothing to do.
            worker = _worker()
            future = worker.submit(_call, self.function, self.jobs[number], tries)
        self.running[future] = (worker, number, tries)

    def rest(self) -> None:
        """End the workers that have no job, and give back what they hold."""
        while self.idle:
            self.idle.pop().shutdown()

    def end(self, future: Future[_Result]) -> tuple[int, int, _Result | Lost]:
        """Return number, try and result of a job that ended; raise what it raised."""
        worker, number, tries = self.running.pop(future)
        error = future.exception()
        # A worker that somebody else told to end, or interrupted, is as good as dead.
        if isinstance(error, BrokenProcessPool | KeyboardInterrupt):
            worker.shutdown(wait=False)
            return number, tries, Lost.KILLED
        self.idle.append(worker)
        if error is not None:
            raise error
        return number, tries, future.result()

    def stop(self) -> list[tuple[int, _Result | Lost]]:
        """End all workers; return the jobs that were running, with the results that came at the last moment."""
        for worker, *_ in self.running.values():
            _signal(worker, signal.SIGTERM)
        wait(self.running, _GRACE if self.running else 0)
        ended: list[tuple[int, _Result | Lost]] = []
        for future, (worker, number, _) in self.running.items():
            if not future.done():
                _signal(worker, signal.SIGKILL)
            self.idle.append(worker)
            whole = future.done() and future.exception() is None
            ended.append((number, future.result() if whole else Lost.TIMEOUT))
        self.running = {}
        self.rest()
        return ended


def _signal(worker: ProcessPoolExecutor, number: signal.Signals) -> None:
    for process in (worker._processes or {}).values():
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, number)


def _worker() -> ProcessPoolExecutor:
    # Workers start afresh: a forked child would share sqlite connections and threads with its parent.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    """Leave interrupts to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(function: Callable[[_Job, int], _Result], job: _Job, tries: int) -> _Result:
    """Call the function so that a worker that is told to end does so by an exception, which clears up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return function(job, tries)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
