"""Hold a scene against what is true whatever a golden says: its stated outcome and the generator's truth."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import HscboxError
from ..truth.levels import LIMITS, Level, Limit
from ..truth.measures import Measured
from ..truth.validate import CcdReport, validate_output
from .compare import Item, Status
from .golden import Outcome
from .numbers import Number
from .scenes import SceneDefinition, TruthRule

__all__ = ["truth_items"]


def truth_items(scene: SceneDefinition, outcome: Outcome, directory: Path) -> tuple[list[Item], dict[str, Number]]:
    """Return the comparison with the truth and the quality numbers for the golden.

    Parameters
    ----------
    directory
        Holds ``output`` and the generator's ``sim``.
    """
    expected = scene.outcome
    items = [
        _stated("exit status", expected.exit, outcome.exit),
        _stated("error code", expected.code, outcome.code),
    ]
    if expected.exit or outcome.exit:
        return items, {}
    try:
        report = validate_output(directory / "output", directory / "sim" / "truth")[0]
    except HscboxError as error:
        items.append(Item("truth", "quality", "mismatch", "measured", "not measured", str(error)))
        return items, {}
    level: Level = "floor" if scene.truth.level == "floor" else "target"
    items += [_held(limit, report.numbers[limit.name], level, scene.truth) for limit in LIMITS if limit.bound(level)]
    return items, _quality(report)


def _stated(name: str, wanted: object, found: object) -> Item:
    status: Status = "ok" if wanted == found else "mismatch"
    return Item("truth", name, status, str(wanted), str(found), "as the scene's definition says")


def _held(limit: Limit, measured: Measured, level: Level, rule: TruthRule) -> Item:
    """Compare one number with its bound, moved by the standard errors that the scene allows."""
    margin = rule.standard_errors * measured.error if rule.standard_errors else 0.0
    distance = limit.distance(measured, level) + margin
    holds = not math.isnan(measured.value) and distance >= 0
    sign = {"least": ">=", "one": "1 +-", "most": "<="}[limit.kind]
    note = f"{limit.unit} n={measured.n}".strip()
    if rule.standard_errors:
        note += f"; bound moved by {rule.standard_errors:g} standard errors of {measured.error:.2g}: {rule.reason}"
    bound = f"{sign} {limit.bound(level):g}"
    return Item("truth", limit.title, "ok" if holds else "mismatch", bound, f"{measured.value:.4g}", note)


def _quality(report: CcdReport) -> dict[str, Number]:
    return {
        f"truth.{name}": Number(
            measured.value, max(2 * measured.error, 0.01 * abs(measured.value)) if measured.n else 0.0, "truth"
        )
        for name, measured in report.numbers.items()
    }
