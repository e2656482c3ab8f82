"""Instrument signature removal: one file per correction, and the task that orders them."""
