"""The site's profile against this machine."""

from __future__ import annotations

from collections.abc import Iterator

from ..check import check_profile
from ..finding import Context, Finding

__all__ = ["check_site"]


def check_site(context: Context) -> Iterator[Finding]:
    """Say whether the places of the site's profile are here."""
    if context.profile is not None:
        yield from check_profile(context.profile)
