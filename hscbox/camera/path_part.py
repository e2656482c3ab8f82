"""Which header values may become directory and file names."""

from __future__ import annotations

import re

__all__ = ["PATH_PART", "is_path_part"]

PATH_PART = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,99}")
"""One part of a path (use `fullmatch`): no separator, no leading dot; see `is_path_part` for "..". """


def is_path_part(text: str) -> bool:
    """Say whether `text` is safe as one part of a path: no separator, no "..", not hidden, not endless."""
    return PATH_PART.fullmatch(text) is not None and ".." not in text
