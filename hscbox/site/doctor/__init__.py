"""Is everything as a run needs it? `checks` lists what `hscbox doctor` does; `quick` is for before a run."""

from __future__ import annotations

from .quick import preflight, quick_check

__all__ = ["preflight", "quick_check"]
