"""hscbox: Hyper Suprime-Cam frames from raw to calibrated exposure and source catalogue."""

from __future__ import annotations

from .machine.environment import pin

__all__ = ["__version__"]

__version__ = "0.1.0"

pin()
