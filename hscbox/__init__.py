"""hscbox: Hyper Suprime-Cam frames from raw to calibrated exposure and source catalogue.

The public names are those of the stub beside this file. Each is loaded when it is first used, so that a command pays
only for what it needs.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

from .machine.environment import pin
from .machine.revision import __version__ as __version__

pin()

_EXPORT = re.compile(r"^from (\.[\w.]+) import (\w+) as \2$", re.MULTILINE)


@cache
def _modules() -> dict[str, str]:
    """Return the module of each public name, as the stub says, which type checkers and editors read."""
    stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {name: module for module, name in _EXPORT.findall(stub)}


def __getattr__(name: str) -> object:
    if name == "__all__":
        return ["__version__", *_modules()]
    if name not in _modules():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_modules()[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_modules()})
