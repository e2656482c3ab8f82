"""`hscbox validate`: what it prints, draws and exits with, for reports that are given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hscbox.cli.app import app
from hscbox.errors import GoldenMismatchError
from hscbox.truth.levels import LIMITS, Limit
from hscbox.truth.measures import NOT_MEASURED, Measured
from hscbox.truth.validate import CcdReport

WITHOUT = ("moments_size_bias", "kron_pull")


def fine(limit: Limit) -> Measured:
    """Return a number that holds at both levels."""
    return Measured({"most": 0.0, "least": 1.0, "one": 1.0}[limit.kind], 0.0, 10)


def report() -> CcdReport:
    numbers = {limit.name: NOT_MEASURED if limit.name in WITHOUT else fine(limit) for limit in LIMITS}
    values = np.linspace(1.0, 20.0, 4)
    columns = ("x", "y", "ra", "dec", "distance", "magnitude", "psf", "aperture", "size", "e1", "e2", "kron", "snr")
    columns += ("true_e1", "true_e2", "regauss_e1", "regauss_e2", "is_star", "concentration")
    tables = ("positions", "corners", "bright_stars", "stars", "psf", "galaxies", "classes", "pulls")
    return CcdReport(40984, 55, numbers, {name: dict.fromkeys(columns, values) for name in tables})


@pytest.mark.parametrize(("level", "missed"), [("floor", []), ("target", ["pull of Kron flux"])])
def test_what_a_catalogue_lacks_is_said(
    level: str, missed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hscbox.truth.validate.validate_output", lambda *_: [report()])
    words = ["validate", "out", "--truth", "truth", "--level", level, "--json", str(tmp_path / "v.json")]
    result = CliRunner().invoke(app, [*words, "--plots", str(tmp_path / "new/plots")])
    assert result.output.count("not measured") == len(WITHOUT)
    written = json.loads((tmp_path / "v.json").read_text())[0]
    assert written["numbers"]["kron_pull"]["value"] is None and written["passes"] == (not missed)
    assert sorted(path.name for path in (tmp_path / "new/plots").iterdir()) == [
        f"0040984-055-{name}.png" for name in ("astrometry", "classes", "galaxies", "photometry", "psf", "pulls")
    ]
    if missed:
        assert isinstance(result.exception, GoldenMismatchError)
        assert all(title in str(result.exception) for title in missed)
    else:
        assert result.exit_code == 0


def test_verdicts_are_those_of_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hscbox.truth.validate.validate_output", lambda *_: [report()])
    output = CliRunner().invoke(app, ["validate", "out", "--truth", "truth"]).output
    verdicts = [line.strip("│").split("│")[-1].strip() for line in output.splitlines() if line.startswith("│")]
    assert verdicts.count("ok") == sum(limit.floor is not None for limit in LIMITS)


def test_numbers_without_bound_have_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hscbox.truth.validate.validate_output", lambda *_: [report()])
    output = CliRunner().invoke(app, ["validate", "out", "--truth", "truth"]).output
    assert "inf" not in output and "nan" not in output
