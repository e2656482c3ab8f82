"""What a check is given and what it returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExitStatus

if TYPE_CHECKING:
    from .profile import SiteProfile

__all__ = ["CCD_BYTES", "PROCESS_BYTES", "Context", "Finding", "State", "exit_status"]

# A full-size CCD leaves 115 MiB: 103 MB of pixels in CORR, the rest catalogues.
CCD_BYTES = 120_000_000
# Peak of a process with a full-size CCD.
PROCESS_BYTES = 750_000_000


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes
    ----------
    check
        Name of the check.
    state
        Whether a run can go on.
    what
        What was found, with its numbers.
    remedy
        What to do about it; empty if nothing is to be done.
    temporary
        Whether another try, or another machine, may do.
    """

    check: str
    state: State
    what: str
    remedy: str = ""
    temporary: bool = False

    def as_dict(self) -> dict[str, object]:
        """Return the finding for JSON."""
        return {**asdict(self), "state": self.state.value}


@dataclass(frozen=True)
class Context:
    """What the checks look at.

    Attributes
    ----------
    repository
        Input or output repository; None to look at the machine only.
    output
        Where a run would write; None for the current directory.
    processes, ccds
        Size of the run that is planned.
    profile
        The site, or None.
    """

    repository: Path | None = None
    output: Path | None = None
    processes: int = 1
    ccds: int = 1
    profile: SiteProfile | None = None


def exit_status(findings: Iterable[Finding]) -> ExitStatus:
    """Return 2 if the set-up is wrong, else 75 if the machine is in the way, else 0."""
    failed = [finding for finding in findings if finding.state is State.FAIL]
    if any(not finding.temporary for finding in failed):
        return ExitStatus.USAGE
    return ExitStatus.TEMPORARY if failed else ExitStatus.OK
