"""Which revision of the code this is."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from .image import image_identity

__all__ = ["revision"]


@cache
def revision() -> str:
    """Return the revision that the image recorded, or that git tells of a checkout; `unknown` else."""
    if recorded := image_identity().get("revision"):
        return recorded
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--match=", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"
