"""The list of checks. A new one is a function from `Context` to findings, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..check import check_profile
from ..finding import Context, Finding
from .links import check_links, check_repository
from .locks import check_locks
from .machine import check_cpu, check_image, check_versions
from .records import check_records
from .resources import check_memory, check_scratch, check_space
from .temporaries import check_temporaries

__all__ = ["CHECKS", "run_checks"]


def check_site(context: Context) -> Iterator[Finding]:
    """Say whether the places of the site's profile are here."""
    if context.profile is not None:
        yield from check_profile(context.profile)


CHECKS: tuple[Callable[[Context], Iterable[Finding]], ...] = (
    check_image,
    check_versions,
    check_cpu,
    check_site,
    check_repository,
    check_links,
    check_locks,
    check_temporaries,
    check_records,
    check_space,
    check_scratch,
    check_memory,
)


def run_checks(context: Context) -> Iterator[Finding]:
    """Yield the findings of every check."""
    for check in CHECKS:
        yield from check(context)
