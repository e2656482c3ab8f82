"""Synthetic HSC raw frames, master calibrations, reference catalogues and the truth behind them."""

from __future__ import annotations
