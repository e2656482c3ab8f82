"""What pyproject.toml cannot say: an installation keeps the revision of the checkout that it was made from."""

import os
import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


class BuildWithRevision(build_py):
    """Copies the package and writes its revision into the copy; the files of the checkout stay as they are."""

    def run(self) -> None:
        """Copy, then write."""
        super().run()
        if self.editable_mode:
            return
        describe = runpy.run_path(str(HERE / "hscbox" / "machine" / "revision.py"))["describe_checkout"]
        revision = os.environ.get("REVISION") or describe(HERE)
        if revision:
            Path(self.build_lib, "hscbox", "machine", "revision.txt").write_text(f"{revision}\n", encoding="utf-8")


setup(cmdclass={"build_py": BuildWithRevision})
