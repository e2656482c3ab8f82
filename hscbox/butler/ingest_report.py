"""What an ingest did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..camera.geometry import N_CCDS, N_SCIENCE_CCDS
from ..errors import ExitStatus, InputError
from .registry import Registry

__all__ = ["IngestReport", "RefusedFile", "VisitCompleteness", "compact_numbers", "completeness"]

# Reasons beyond this number are in the log only: the report must not grow with the number of files.
MAX_REASONS = 10_000


@dataclass(frozen=True)
class RefusedFile:
    """A file that was not ingested."""

    path: str
    reason: str
    code: str


@dataclass(frozen=True)
class VisitCompleteness:
    """Which CCDs of a visit are registered."""

    visit: int
    filter: str
    field: str
    science: int
    focus: int
    missing: tuple[int, ...]


@dataclass
class IngestReport:
    """Outcome of an ingest.

    Attributes
    ----------
    ingested
        Number of files newly registered.
    unchanged
        Number of files that were there with the same row already, or left out on request.
    adopted
        Those among `ingested` whose link or copy existed before without a row.
    refused_count
        Number of files not ingested.
    refused
        Path and reason of each of them (of the first 10,000).
    skipped
        Number of files left out by `--badFile` and `--badId`.
    completeness
        For each visit that was touched, which CCDs are registered.
    """

    ingested: int = 0
    unchanged: int = 0
    adopted: int = 0
    skipped: int = 0
    refused_count: int = 0
    refused: list[RefusedFile] = field(default_factory=list)
    warnings: int = 0
    completeness: list[VisitCompleteness] = field(default_factory=list)

    def refuse(self, path: str, error: InputError) -> None:
        """Count a refused file and keep the reason."""
        self.refused_count += 1
        if len(self.refused) < MAX_REASONS:
            self.refused.append(RefusedFile(path, str(error), error.code))

    @property
    def exit_status(self) -> ExitStatus:
        """0 if every file is in the repository, 4 if some were refused."""
        return ExitStatus.INPUT if self.refused_count else ExitStatus.OK


def completeness(registry: Registry, visits: Iterable[int] | None = None) -> list[VisitCompleteness]:
    """Return, for some or all visits of a registry, which CCDs are registered, ordered by visit."""
    if visits is None:
        visits = [int(str(row[0])) for row in registry.query("raw", ("visit",), {})]
    result = []
    for visit in sorted(set(visits)):
        rows = registry.query("raw", ("ccd", "filter", "field"), {"visit": visit})
        if not rows:
            continue
        ccds = {int(str(row[0])) for row in rows}
        science = {ccd for ccd in ccds if 0 <= ccd < N_SCIENCE_CCDS}
        focus = {ccd for ccd in ccds if N_SCIENCE_CCDS <= ccd < N_CCDS}
        missing = tuple(ccd for ccd in range(N_CCDS) if ccd not in ccds)
        result.append(VisitCompleteness(visit, str(rows[0][1]), str(rows[0][2]), len(science), len(focus), missing))
    return result


def compact_numbers(numbers: Iterable[int]) -> str:
    """Return numbers in the `--id` syntax: `0..8^10^12..103`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return "^".join(str(first) if first == last else f"{first}..{last}" for first, last in parts)
