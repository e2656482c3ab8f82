"""`hscbox process-ccd`."""

from __future__ import annotations

import typer

__all__ = ["process_ccd"]


def process_ccd(context: typer.Context) -> None:
    """Process CCDs: raw to calibrated exposure and source catalogue."""
    from .arguments import parse_process_ccd

    arguments = parse_process_ccd(context.args, program="hscbox process-ccd")
    from ..site.doctor.quick import preflight

    opened = preflight(arguments)
    from ..runs.run import run_process_ccd

    raise typer.Exit(run_process_ccd(arguments, opened))
