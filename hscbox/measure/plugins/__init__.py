"""All measurement plugins, one a file; importing this package enters them into the registry."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

__all__: list[str] = []

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")
