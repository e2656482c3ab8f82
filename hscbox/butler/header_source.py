"""Headers of many files, read here or in worker processes, in the order of the files."""

from __future__ import annotations

import itertools
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from ..errors import HscboxError, InputError, TemporaryError

__all__ = ["Outcome", "read_calib_record", "read_headers", "read_raw_record"]

Record = TypeVar("Record")
# A path, and either its record or the reason for refusing it.
Outcome = tuple[str, Record | InputError]

# Enough files for a worker to outweigh sending them; few enough that results keep flowing.
_CHUNK = 64


def read_raw_record(path: str) -> object:
    """Return the registry record of a raw file."""
    from ..camera.translate import translate_header
    from ..fits.header_reader import read_primary_header

    return translate_header(read_primary_header(path), path)


def read_calib_record(path: str) -> object:
    """Return the registry record of a master calibration."""
    from ..camera.translate_calib import translate_calib_header
    from ..fits.header_reader import read_primary_header

    return translate_calib_header(read_primary_header(path), path)


def _attempt(read: Callable[[str], Record], path: str) -> Outcome[Record]:
    try:
        return path, read(path)
    except InputError as error:
        return path, error
    except HscboxError as error:
        return path, InputError(error.message, remedy=error.remedy)
    except OSError as error:
        return path, InputError(f"Cannot read {path}: {error.strerror or error}")
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        # A header made to confuse must not stop the other files.
        return path, InputError(f"Cannot understand the header of {path}: {type(error).__name__}: {error}")


def _attempt_chunk(read: Callable[[str], Record], paths: tuple[str, ...]) -> list[Outcome[Record]]:
    return [_attempt(read, path) for path in paths]


def read_headers(paths: Iterable[str], read: Callable[[str], Record], processes: int = 1) -> Iterator[Outcome[Record]]:
    """Yield (path, record or error) for each path, in order.

    Parameters
    ----------
    paths
        Files; they are taken from the iterable as needed, only some hundreds ahead.
    read
        Module-level function that returns the record of a file.
    processes
        Number of worker processes; 1 reads in this process.

    Raises
    ------
    TemporaryError
        A worker died.
    """
    if processes <= 1:
        for path in paths:
            yield _attempt(read, path)
        return
    remaining = iter(paths)
    pending: deque[Future[list[Outcome[Record]]]] = deque()
    # Workers must not inherit the open registry, so they are not forked from this process.
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        try:
            while chunk := tuple(itertools.islice(remaining, _CHUNK)):
                pending.append(executor.submit(_attempt_chunk, read, chunk))
                if len(pending) > 2 * processes:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool as error:
            raise TemporaryError(
                "A process that reads headers died", remedy="Run again, perhaps with -j 1; files done are unchanged"
            ) from error
        finally:
            for future in pending:
                future.cancel()
