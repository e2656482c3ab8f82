"""What a task is, and what it tells about itself: times, counters and key numbers.

Tasks stay free of bookkeeping: a method decorated with `timed_method` reports to the `TaskMetadata` that the
caller has opened with `collecting`, and to nobody if there is none.
"""

from __future__ import annotations

import functools
import logging
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

__all__ = ["Task", "TaskMetadata", "collecting", "record", "timed", "timed_as", "timed_method"]

Value = bool | int | float | str
_Config = TypeVar("_Config")
_Method = TypeVar("_Method", bound=Callable[..., Any])
_current: ContextVar[TaskMetadata | None] = ContextVar("hscbox_task_metadata", default=None)


class Task(Generic[_Config]):
    """A step of the processing.

    Parameters
    ----------
    config
        Parameters.
    name
        Dotted name, for log and metadata.
    """

    def __init__(self, config: _Config, name: str) -> None:
        self.config = config
        self.name = name
        self.log = logging.getLogger(name)


class TaskMetadata:
    """Ordered names with one or more values each; names are ``processCcd:charImage:repair.runStartUtc``."""

    def __init__(self) -> None:
        self.items: dict[str, list[Value]] = {}

    def add(self, name: str, value: Value) -> None:
        """Append a value under `name`."""
        self.items.setdefault(name, []).append(value)

    def set(self, name: str, value: Value) -> None:
        """Replace the values of `name` by one value."""
        self.items[name] = [value]

    def seconds(self, task: str, method: str = "run") -> float:
        """Return the CPU seconds that a task's method took in all its calls."""
        key = f"{task.replace('.', ':')}.{method}"
        starts, ends = self.items.get(f"{key}StartCpuTime", []), self.items.get(f"{key}EndCpuTime", [])
        return float(sum(ends)) - float(sum(starts)) if len(starts) == len(ends) else float("nan")  # type: ignore[arg-type]

    def timed_methods(self) -> list[tuple[str, str]]:
        """Return (task, method) of everything that was timed, in the order of first calls."""
        suffix = "StartCpuTime"
        names = [name[: -len(suffix)] for name in self.items if name.endswith(suffix)]
        return [(task.replace(":", "."), method) for task, _, method in (n.rpartition(".") for n in names)]


@contextmanager
def collecting(metadata: TaskMetadata) -> Iterator[TaskMetadata]:
    """Let every task that runs inside of the block report to `metadata`."""
    token = _current.set(metadata)
    try:
        yield metadata
    finally:
        _current.reset(token)


def record(task: str, key: str, value: Value) -> None:
    """Report a number of the task called `task` (dotted name); the last value counts."""
    metadata = _current.get()
    if metadata is not None:
        metadata.set(f"{task.replace('.', ':')}.{key}", value)


@contextmanager
def timed(task: str, method: str) -> Iterator[None]:
    """Report clock, CPU and resource counters before and after the block."""
    metadata = _current.get()
    if metadata is None:
        yield
        return
    prefix = f"{task.replace('.', ':')}.{method}"
    _snapshot(metadata, f"{prefix}Start")
    try:
        yield
    finally:
        _snapshot(metadata, f"{prefix}End")


def _snapshot(metadata: TaskMetadata, prefix: str) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metadata.add(f"{prefix}Utc", datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds"))
    metadata.add(f"{prefix}CpuTime", time.process_time())
    metadata.add(f"{prefix}UserTime", usage.ru_utime)
    metadata.add(f"{prefix}SystemTime", usage.ru_stime)
    metadata.add(f"{prefix}MaxResidentSetSize", usage.ru_maxrss)
    metadata.add(f"{prefix}MinorPageFaults", usage.ru_minflt)
    metadata.add(f"{prefix}MajorPageFaults", usage.ru_majflt)
    metadata.add(f"{prefix}BlockInputs", usage.ru_inblock)
    metadata.add(f"{prefix}BlockOutputs", usage.ru_oublock)
    metadata.add(f"{prefix}VoluntaryContextSwitches", usage.ru_nvcsw)
    metadata.add(f"{prefix}InvoluntaryContextSwitches", usage.ru_nivcsw)


def timed_as(label: str) -> Callable[[_Method], _Method]:
    """Time a method of a task, whose dotted name is ``self.name``, under the stack's name for it."""

    def decorate(method: _Method) -> _Method:
        @functools.wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            with timed(self.name, label):
                return method(self, *args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def timed_method(method: _Method) -> _Method:
    """Time a method of a task under its own name."""
    return timed_as(method.__name__)(method)
