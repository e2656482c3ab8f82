"""The records of the runs into an output."""

from __future__ import annotations

from collections.abc import Iterator

from ...runs.store import where_kept
from ..finding import Context, Finding, State

__all__ = ["check_records"]


def check_records(context: Context) -> Iterator[Finding]:
    """Say how many runs are recorded, or why the next one cannot be."""
    output = context.output or context.repository
    if output is None:
        return
    root, problem = where_kept(output)
    runs = sum(1 for place in root.iterdir() if place.is_dir()) if root.is_dir() else 0
    if context.output is not None and problem:
        yield Finding(
            "records",
            State.WARN,
            f"{root}: {problem}; records would be kept in the metadata files of the CCDs only",
            f"Make {root} where it can be written, and in a container bind it, or the directory above it, :rw",
        )
    elif runs or context.output is not None:
        yield Finding("records", State.OK, f"{root}: {runs} runs")
