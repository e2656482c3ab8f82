"""Scenes held against what was accepted."""
