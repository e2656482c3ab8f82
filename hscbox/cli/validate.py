"""`hscbox validate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..truth.validate import CcdReport

__all__ = ["LevelName", "validate"]

_WIDTH = 120


class LevelName(StrEnum):
    """Levels of the numbers to hold."""

    floor = "floor"
    target = "target"


def validate(
    output: Annotated[Path, typer.Argument(help="Output repository of process-ccd.")],
    truth: Annotated[Path, typer.Option("--truth", help="Truth directory that hscbox simulate wrote.")],
    level: Annotated[LevelName, typer.Option("--level", help="Bounds that must hold.")] = LevelName.floor,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
    plots: Annotated[Path | None, typer.Option("--plots", help="Also draw the residuals into this directory.")] = None,
) -> None:
    """Measure the products of simulated frames against the truth; exit with 3 if a bound is missed.

    Example: `hscbox validate output --truth sim/truth --level floor --json validate.json`
    """
    import json

    from ..errors import GoldenMismatchError
    from ..machine.files import write_bytes
    from ..truth.validate import validate_output

    reports = validate_output(output, truth)
    for report in reports:
        _print(report, level)
    if json_file is not None:
        text = json.dumps([report.as_dict(level.value) for report in reports], indent=1, allow_nan=False)
        write_bytes(json_file, (text + "\n").encode())
    if plots is not None:
        _draw(reports, plots)
    missed = [f"{limit.title} of visit {r.visit} ccd {r.ccd}" for r in reports for limit in r.missed(level.value)]
    if missed:
        raise GoldenMismatchError(f"{len(missed)} numbers miss the {level.value} level: {', '.join(missed)}")


def _draw(reports: list[CcdReport], directory: Path) -> None:
    from ..machine.files import write_bytes
    from ..pictures.residual_plots import residual_plots

    for report in reports:
        heading = f"visit {report.visit} ccd {report.ccd}"
        for name, content in residual_plots(report.residuals, heading).items():
            write_bytes(directory / f"{report.visit:07d}-{report.ccd:03d}-{name}.png", content)


def _print(report: CcdReport, level: LevelName) -> None:
    import math

    from rich.console import Console
    from rich.table import Table

    from ..truth.levels import LIMITS

    table = Table(title=f"visit {report.visit} ccd {report.ccd} against the truth", title_justify="left")
    for name in ("quantity", "value", "error", "n", "floor", "target", "to target", level.value):
        table.add_column(name, justify="left" if name == "quantity" else "right", no_wrap=True)
    for limit in LIMITS:
        measured = report.numbers[limit.name]
        holds = limit.holds(measured, level.value)
        known = math.isfinite(measured.value)
        table.add_row(
            f"{limit.title} ({limit.unit})" if limit.unit else limit.title,
            f"{measured.value:.4g}" if known else "not measured",
            f"{measured.error:.2g}" if known else "",
            str(measured.n),
            "" if limit.floor is None else f"{limit.floor:g}",
            "" if limit.target is None else f"{limit.target:g}",
            "" if limit.target is None or not known else f"{limit.distance(measured, 'target'):+.3g}",
            "" if limit.bound(level.value) is None else "ok" if holds else "MISSED",
        )
    # Nothing may be cut off when the output goes to a file.
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(table)
