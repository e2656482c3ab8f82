"""Numbers of a configuration, for tests that compare them with what is written down."""

from __future__ import annotations

from typing import Any

from lsst.pex.config import Config, ConfigField, RangeField


def numbers(config: type[Config], prefix: str = "") -> dict[str, tuple[Any, Any, Any]]:
    """Return default, least and largest value of the fields with limits, those of sub-configurations too."""
    found: dict[str, tuple[Any, Any, Any]] = {}
    for name, field in config._fields.items():
        if isinstance(field, ConfigField):
            found |= numbers(field.dtype, f"{prefix}{name}.")
        elif isinstance(field, RangeField):
            found[prefix + name] = (field.default, field.min, field.max)
    return found
