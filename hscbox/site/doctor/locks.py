"""Do locks work on the registry's file system? Ingest of several at a time relies on them.

A lock must be granted, and it must keep another process out: some network disks refuse locks, others grant them to
everybody.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from ...butler.paths import absolute
from ...butler.registry import REGISTRY_NAME
from ..finding import Context, Finding, State

__all__ = ["check_locks", "probe_directory", "probe_reading"]

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_REMEDY = "Keep the repository on a file system with locks (mounted with lockd or -o flock), or on a local disk"
_PROBE_PREFIX = ".hscbox-lock-"
_OTHER_PROCESS = """
import fcntl, sys
with open(sys.argv[1], "r+b") as stream:
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        sys.exit(11)
"""
_KEPT_OUT = 11


def check_locks(context: Context) -> Iterator[Finding]:
    """Try locks in the directory of the registry."""
    if context.repository is None or not context.repository.is_dir():
        return
    root = Path(os.path.realpath(absolute(context.repository) / REGISTRY_NAME)).parent
    if not root.is_dir():
        return
    registry = root / REGISTRY_NAME
    if registry.is_file():
        problem = probe_reading(registry)
        if problem:
            yield Finding("locks", State.FAIL, f"{registry} cannot be locked for reading: {problem}", _REMEDY, True)
            return
    if not os.access(root, os.W_OK):
        yield Finding("locks", State.OK, f"{root} is read-only here: fine for reading, nothing can be ingested")
        return
    problem = probe_directory(root)
    if problem:
        yield Finding("locks", State.FAIL, f"Locks do not work in {root}: {problem}", _REMEDY, True)
    else:
        yield Finding("locks", State.OK, f"granted and respected in {root}")


def probe_reading(registry: Path) -> str:
    """Return why a shared lock on an existing file is not granted; empty if it is."""
    try:
        with registry.open("rb") as stream:
            fcntl.lockf(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.lockf(stream, fcntl.LOCK_UN)
    except OSError as error:
        # Somebody who writes at this moment proves that locks work.
        return _reason(error) if error.errno in _NO_LOCKS else ""
    return ""


def probe_directory(directory: Path, other: Callable[[Path], bool] | None = None) -> str:
    """Return why locks on files in `directory` do not work; empty if they do.

    Parameters
    ----------
    directory
        Where a file is made for the time of the test.
    other
        Says whether another process can lock a file that this one has locked.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=_PROBE_PREFIX, suffix=".sqlite3")
    except OSError as error:
        return f"no file can be made there, {_reason(error)}"
    os.close(descriptor)
    probe = Path(name)
    try:
        with closing(sqlite3.connect(probe, timeout=0.0, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("CREATE TABLE probe (n int)")
            connection.execute("COMMIT")
        with probe.open("r+b") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (other or _other_process_gets_in)(probe):
                return "two processes were given the same exclusive lock"
    except sqlite3.Error as error:
        return f"SQLite says: {error}"
    except OSError as error:
        return _reason(error)
    finally:
        for ending in ("", "-journal"):
            with suppress(OSError):
                probe.with_name(probe.name + ending).unlink(missing_ok=True)
    return ""


def _other_process_gets_in(probe: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _OTHER_PROCESS, str(probe)], capture_output=True, timeout=60, check=False
    )
    if done.returncode not in {0, _KEPT_OUT}:
        raise OSError(errno.EIO, "the other process of the test failed")
    return done.returncode == 0


def _reason(error: OSError) -> str:
    return f"{error.strerror or error} (errno {error.errno})"
