"""Fixtures of the ISR tests."""

from __future__ import annotations

from isr_frames import detector, exposure, visit_info

__all__ = ["detector", "exposure", "visit_info"]
