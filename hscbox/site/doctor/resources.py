"""Free space and memory against what a run needs."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...butler.paths import absolute
from ..finding import CCD_BYTES, PROCESS_BYTES, Context, Finding, State

__all__ = ["available_memory", "check_memory", "check_scratch", "check_space", "existing", "free_bytes"]

_MB = 1_000_000
_ENOUGH_INODES = 100


def existing(path: Path) -> Path:
    """Return `path`, or the nearest directory above it that exists."""
    place = absolute(path)
    while not os.path.exists(place) and place != place.parent:  # noqa: PTH110  (never raises)
        place = place.parent
    return place


def free_bytes(place: Path) -> tuple[int, int | None]:
    """Return the bytes, and the number of files, that an ordinary user can still write at an existing place.

    The number is None where the file system has no such limit. Quotas of a user are not seen.
    """
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize, status.f_favail if status.f_files else None


def check_space(context: Context) -> Iterator[Finding]:
    """Compare the free space of the output with the size of the products."""
    place = existing(context.output or Path.cwd())
    need = CCD_BYTES * context.ccds
    free, files = free_bytes(place)
    if not os.access(place, os.W_OK):
        if context.output is not None:
            yield Finding("space", State.FAIL, f"{place} cannot be written to", "Choose another output, or bind it :rw")
        else:
            yield Finding("space", State.WARN, f"{place} cannot be written to", "Name the output with --output")
        return
    text = f"{place}: {free / _MB:.0f} MB free, {need / _MB:.0f} MB needed for {context.ccds} CCD (120 MB each)"
    if free < need:
        yield Finding("space", State.FAIL, text, "Free space, or choose another output", temporary=True)
    elif files is not None and files < _ENOUGH_INODES:
        text = f"{place}: only {files} more files can be made"
        yield Finding("space", State.FAIL, text, "Remove files, or choose another output", temporary=True)
    else:
        yield Finding("space", State.OK, text)


def check_scratch(context: Context) -> Iterator[Finding]:
    """Say whether the directory for temporary files can be used."""
    del context
    try:
        place = tempfile.gettempdir()
    except OSError as error:
        yield Finding(
            "temporary directory", State.FAIL, f"No directory for temporary files: {error}", "Set TMPDIR to one"
        )
        return
    wanted = os.environ.get("TMPDIR", "")
    if wanted and Path(wanted).resolve() != Path(place).resolve():
        yield Finding(
            "scratch",
            State.WARN,
            f"TMPDIR is {wanted}, which cannot be used; {place} is",
            f"Bind {wanted}, or unset it",
        )
    else:
        yield Finding("temporary directory", State.OK, f"{place}: {free_bytes(Path(place))[0] / _MB:.0f} MB free")


def available_memory(root: Path = Path("/")) -> tuple[int, str] | None:
    """Return the bytes that new processes can take, and what sets that limit; None if it is not known.

    The machine, the control group (batch job, container) and the limit on the address space count.
    """
    limits = [*_machine(root), *_control_groups(root)]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append((soft, "ulimit -v"))
    return min(limits, default=None)


def _machine(root: Path) -> Iterator[tuple[int, str]]:
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024, "the machine"


def _control_groups(root: Path) -> Iterator[tuple[int, str]]:
    """Yield what is left of the memory of this process's control group and of those above it (versions 1 and 2)."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            base, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        # In a container, the group's own directory is often the top of what is visible.
        for part in (group, *group.parents):
            left = _left(base / part, limit, usage)
            if left is not None:
                yield left, "the control group"


def _left(group: Path, limit: str, usage: str) -> int | None:
    try:
        text = (group / limit).read_text(encoding="ascii").strip()
        used = int((group / usage).read_text(encoding="ascii"))
        # Cached files are given back when memory is wanted.
        statistics = (group / "memory.stat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    cached = {name: int(value) for name, value in zip(statistics[::2], statistics[1::2], strict=False)}
    used -= cached.get("total_inactive_file", cached.get("inactive_file", 0))
    if text == "max" or int(text) > 1 << 60:
        return None
    return max(0, int(text) - used)


def check_memory(context: Context) -> Iterator[Finding]:
    """Compare the memory that is left with the need of the processes."""
    found = available_memory()
    if found is None:
        yield Finding("memory", State.WARN, "It is not known how much memory is left")
        return
    left, limit = found
    need = PROCESS_BYTES * context.processes
    text = f"{left / _MB:.0f} MB left ({limit}), {need / _MB:.0f} MB needed for -j {context.processes} (750 MB each)"
    fits = left // PROCESS_BYTES
    if left >= need:
        yield Finding("memory", State.OK, text)
    elif fits:
        yield Finding("memory", State.WARN, text, f"Use -j {fits}")
    else:
        yield Finding("memory", State.FAIL, text, "Ask for more memory, or take another machine", temporary=True)
