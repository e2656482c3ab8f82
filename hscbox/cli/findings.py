"""Findings of checks as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..site.finding import Finding

__all__ = ["print_findings"]

_WIDTH = 110
_STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}


def print_findings(findings: Sequence[Finding], title: str) -> None:
    """Print one row per finding, then every remedy on a line of its own, which can be copied whole."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .ingest_output import printable

    console = Console()
    console.width = max(console.width, _WIDTH)
    table = Table(title=title, title_justify="left")
    for name in ("check", "state", "what"):
        table.add_column(name, no_wrap=name != "what", overflow="fold")
    for finding in findings:
        state = finding.state.value
        table.add_row(Text(finding.check), Text(state, style=_STYLES[state]), Text(printable(finding.what)))
    console.print(table)
    for finding in findings:
        if finding.remedy:
            print(f"{finding.check}: {finding.state.value}: {printable(finding.remedy)}")
