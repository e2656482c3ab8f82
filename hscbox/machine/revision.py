"""Which version and revision of the source this program is."""

from __future__ import annotations

import contextlib
import os
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["__version__", "describe_checkout", "revision"]

__version__ = "0.1.0"
"""Also stated in pyproject.toml."""

_ROOT = Path(__file__).resolve().parents[2]
# Written by build.py into what is installed.
_RECORD = Path(__file__).with_name("revision.txt")


@cache
def revision(root: Path = _ROOT, record: Path = _RECORD) -> str:
    """Return the revision: 40 digits, with ``-dirty`` behind where files differ from it; ``unknown`` if none is known.

    Parameters
    ----------
    root
        Where the checkout is if the program runs from one.
    record
        What the installation, or the build of the image, wrote beside the package.
    """
    found = describe_checkout(root)
    if not found:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found = record.read_text(encoding="utf-8").strip()
    return found or "unknown"


def describe_checkout(root: Path) -> str:
    """Return the revision of a checkout; empty if there is none, or no git."""
    if not (root / ".git").exists():
        return ""
    # A hook of another repository hands its own place on.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--match=", "--dirty"]
    try:
        done = subprocess.run(
            command,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
