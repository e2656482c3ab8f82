"""Scenes that could not be checked: they stand in the reports beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ExitStatus, GoldenMismatchError, HscboxError
from .check import SceneCheck

__all__ = ["SceneFailure", "verdict"]

# What another try cannot mend comes before what it may.
_WORST_FIRST = (ExitStatus.UNEXPECTED, ExitStatus.USAGE, ExitStatus.INPUT, ExitStatus.TEMPORARY)


@dataclass(frozen=True)
class SceneFailure:
    """Why a scene could not be checked.

    Attributes
    ----------
    scene, title
        Which one.
    error
        What stopped it.
    """

    scene: str
    title: str
    error: HscboxError

    @property
    def reason(self) -> str:
        """What to print beside the name of the scene."""
        return self.error.message.removeprefix(f"{self.scene}: ")

    @property
    def passed(self) -> bool:
        """Whether all is as it must be: nobody knows."""
        return False

    def as_dict(self) -> dict[str, Any]:
        """Return the failure for JSON."""
        return {
            "scene": self.scene,
            "title": self.title,
            "passed": False,
            "error": {"code": self.error.code, "status": int(self.error.exit_status), "message": str(self.error)},
        }


def verdict(results: Sequence[SceneCheck | SceneFailure]) -> HscboxError | None:
    """Return what to raise at the end: a mismatch before anything else, then the worst failure; None if all passed."""
    failures = [result for result in results if isinstance(result, SceneFailure)]
    differ = [result.scene for result in results if not result.passed and not isinstance(result, SceneFailure)]
    parts = [f"{len(differ)} of {len(results)} scenes differ from their golden: {', '.join(differ)}"] if differ else []
    if failures:
        stopped = "; ".join(f"{failure.scene}: {failure.reason}" for failure in failures)
        parts.append(f"{len(failures)} of {len(results)} scenes could not be checked: {stopped}")
    if differ:
        return GoldenMismatchError(
            "; ".join(parts),
            remedy='Mend the program, or, if the change is wanted: hscbox regress accept SCENE --reason "..."',
        )
    if not failures:
        return None
    worst = min((failure.error for failure in failures), key=lambda error: _WORST_FIRST.index(_kind(error)))
    return type(worst)(parts[0], remedy=worst.remedy)


def _kind(error: HscboxError) -> ExitStatus:
    return error.exit_status if error.exit_status in _WORST_FIRST else ExitStatus.UNEXPECTED
