"""An installation keeps the revision of the checkout that it is made from. setuptools loads this file by its path."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from setuptools.command.build_py import build_py

__all__ = ["BuildWithRevision"]


class BuildWithRevision(build_py):  # type: ignore[misc]
    """Copies the package and writes its revision into the copy; the files of the checkout stay as they are."""

    def run(self) -> None:
        """Copy, then write."""
        super().run()
        if self.editable_mode:
            return
        here = Path(__file__).resolve()
        describe = runpy.run_path(str(here.with_name("revision.py")))["describe_checkout"]
        revision = os.environ.get("REVISION") or describe(here.parents[2])
        if revision:
            Path(self.build_lib, "hscbox", "machine", "revision.txt").write_text(f"{revision}\n", encoding="utf-8")
