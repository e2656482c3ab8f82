"""`hscbox process-ccd`."""

from __future__ import annotations

import typer

__all__ = ["process_ccd"]


def process_ccd(context: typer.Context) -> None:
    """Process CCDs: raw to calibrated exposure and source catalogue."""
    from .arguments import run_words

    raise typer.Exit(run_words(context.args, "hscbox process-ccd"))
