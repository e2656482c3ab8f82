"""A worker that dies costs its own job one try, and no other job anything."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from hscbox.runs.pool import Lost, run_in_pool

N = 20
SPOILT = 7


def square(job: tuple[int, Path, bool], tries: int) -> tuple[int, int]:
    """Return a square and the try; one job kills its process, at the first try or always."""
    number, place, always = job
    (place / f"{number}-{tries}").touch()
    if number == SPOILT and (always or tries == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2, tries


def sleep(job: tuple[int, Path], tries: int) -> int:
    """Do nothing for a while, and note when the process is told to end."""
    seconds, place = job
    (place / f"{seconds}-{tries}").touch()
    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        (place / "told").touch()
        raise
    return seconds


def fail(job: int, tries: int) -> int:
    raise ValueError(f"job {job}")


@pytest.mark.parametrize("always", [False, True])
def test_of_twenty_jobs_with_one_killed_nineteen_are_done(tmp_path, always):
    jobs = [(number, tmp_path, always) for number in range(N)]
    results = dict(run_in_pool(square, jobs, processes=2, timeout=60.0))
    assert sorted(results) == list(range(N))
    assert results.pop(SPOILT) == (Lost.KILLED if always else (SPOILT**2, 2))
    assert results == {number: (number**2, 1) for number in range(N) if number != SPOILT}
    # Every job was run once, the lost one twice.
    assert len(list(tmp_path.iterdir())) == N + 1


def test_time_over_tells_what_was_running_from_what_was_not_begun(tmp_path):
    jobs = [(0, tmp_path), (300, tmp_path), (301, tmp_path), (302, tmp_path)]
    started = time.monotonic()
    results = dict(run_in_pool(sleep, jobs, processes=2, timeout=3.0))
    assert time.monotonic() - started < 8.0
    assert results == {0: 0, 1: Lost.TIMEOUT, 2: Lost.TIMEOUT, 3: Lost.NOT_STARTED}
    # It was asked to end before anything worse, and had the chance to clear up.
    assert (tmp_path / "told").exists() and not (tmp_path / "302-1").exists()


def test_an_error_of_the_function_ends_everything():
    with pytest.raises(ValueError, match="job 0"):
        list(run_in_pool(fail, [0], processes=1, timeout=60.0))
