"""How the CCDs of a run failed: counted by the code of the error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..butler.ingest_report import compact_numbers
from ..errors import error_class
from ..pipeline.record import CcdRecord

__all__ = ["FailureClass", "failure_classes", "id_words", "meaning"]

# Failures of the execution, which no exception stands for.
_OF_THE_RUN = {
    "interrupted": "Interrupted by a signal",
    "timeout": "Not finished within the time allowed",
    "not-started": "Not begun within the time allowed",
    "worker-killed": "The process of the CCD was killed",
    "unexpected": "An error that nobody foresaw",
}


@dataclass(frozen=True)
class FailureClass:
    """The CCDs of a run that failed with the same code.

    Attributes
    ----------
    code, meaning, status
        Stable code, what it means, and the exit status of the class.
    ids
        The CCDs as words that ``--id`` takes, one line for each visit.
    n
        Number of CCDs.
    """

    code: str
    meaning: str
    status: int
    ids: tuple[str, ...]
    n: int


def failure_classes(records: Sequence[CcdRecord]) -> list[FailureClass]:
    """Return the classes of the records that failed, the most frequent first, equally frequent ones by code."""
    groups: dict[tuple[str, int], list[CcdRecord]] = {}
    for record in records:
        if record.status:
            groups.setdefault((record.code, record.status), []).append(record)
    classes = [
        FailureClass(code, meaning(code), status, tuple(id_words(group)), len(group))
        for (code, status), group in groups.items()
    ]
    return sorted(classes, key=lambda row: (-row.n, row.code, row.status))


def meaning(code: str) -> str:
    """Return in a few words what an error code means; empty for a code that nobody knows."""
    if code in _OF_THE_RUN:
        return _OF_THE_RUN[code]
    kind = error_class(code)
    return (kind.__doc__ or "").partition(".")[0].partition(":")[0].partition(";")[0] if kind else ""


def id_words(records: Iterable[CcdRecord]) -> Iterator[str]:
    """Yield ``visit=V ccd=A..B^C`` for each visit, in the order of the numbers."""
    visits: dict[str, list[str]] = {}
    for record in records:
        visits.setdefault(str(record.data_id["visit"]), []).append(str(record.data_id["ccd"]))
    for visit in sorted(visits, key=_by_number):
        words = visits[visit]
        numbers = compact_numbers(int(word) for word in words if word.isdigit())
        yield f"visit={visit} ccd={'^'.join(filter(None, [*(word for word in words if not word.isdigit()), numbers]))}"


def _by_number(word: str) -> tuple[int, str]:
    return (int(word), "") if word.isdigit() else (-1, word)
