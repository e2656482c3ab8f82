"""How the numbers of single frames become those of a group, and the page they stand on."""

from __future__ import annotations

import math

import pytest
from validate_long import GROUPS
from validation_numbers import ROWS, Frame, clearly_missed, content_of, together, verdict
from validation_page import page

from hscbox.simulate.scene import Scene
from hscbox.truth.levels import LIMITS
from hscbox.truth.measures import Measured

BY_NAME = {limit.name: limit for limit in LIMITS}


def test_groups_are_scenes_and_large_enough() -> None:
    scenes = [Scene.from_dict(group.scene) for group in GROUPS]
    assert {scene.canonical_filter for scene in scenes} == set("grizy")
    assert {scene.seeing for scene in scenes if scene.filter == "HSC-R"} == {0.45, 0.6, 0.9}
    assert max(math.hypot(*scene.psf_ellipticity) for scene in scenes) == pytest.approx(0.15)
    assert all(group.frames >= 4 for group in GROUPS)


def frames(monkeypatch: pytest.MonkeyPatch, of_sources: dict[str, Measured]) -> list[Frame]:
    """Return two frames whose sources together give `of_sources`."""
    monkeypatch.setattr("validation_numbers.numbers_of", lambda _: of_sources)
    made = []
    for seed, value in ((1, 2.0), (2, 6.0)):
        numbers = {limit.name: Measured(value, 0.5, 100) for limit in LIMITS}
        made.append(Frame("r", seed, "", 10.0, numbers, {}))
    return [*made, Frame("r", 3, "process ended with 20: no stars", math.nan, {}, {})]


def test_errors_are_those_of_sources_or_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(BY_NAME) >= {"psf_scatter", "sky_error", "astrometry_bias_ra", "astrometry_worst_corner"}
    of_sources = {limit.name: Measured(3.0, 0.3, 200) for limit in LIMITS if limit.name != "sky_error"}
    of_sources["aperture_scatter"] = Measured(3.0, 9.0, 200)
    numbers = together(frames(monkeypatch, of_sources))
    # Two values 4 apart: their mean is known to 2.
    assert numbers["psf_scatter"] == Measured(3.0, pytest.approx(2.0), 200)
    assert numbers["aperture_scatter"] == Measured(3.0, 9.0, 200)
    assert numbers["astrometry_bias_ra"] == Measured(4.0, pytest.approx(2.0), 200)
    assert numbers["sky_error"] == Measured(4.0, pytest.approx(2.0), 200)
    assert numbers["astrometry_worst_corner"] == Measured(4.0, pytest.approx(2.0), 200)
    # The larger one; the two scatter by 4 / sqrt 2.
    assert numbers["astrometry_worst_corner_of_all"] == Measured(6.0, pytest.approx(math.sqrt(8.0)), 2)
    # Frames of 2 and 6 with errors of 0.5: their mean square is 20, of which noise makes 0.25.
    assert numbers["psf_gradient_x_of_frames"].value == pytest.approx(math.sqrt(19.75))
    assert numbers["psf_gradient_x_of_frames"].error == pytest.approx(math.sqrt(5.0))


def test_verdicts_know_the_error() -> None:
    scatter, share, pull = (BY_NAME[name] for name in ("psf_scatter", "stars_called_stars", "psf_pull"))
    assert verdict(scatter, Measured(3.0, 1.0, 9)) == "met"
    assert verdict(scatter, Measured(3.0, 1.2, 9)) == "met, uncertain"
    assert verdict(scatter, Measured(4.0, 1.0, 9)) == "missed" and not clearly_missed(scatter, Measured(4.0, 1.0, 9))
    assert clearly_missed(scatter, Measured(4.0, 0.4, 9))
    assert (
        verdict(share, Measured(0.96, 0.01, 9)) == "met"
        and verdict(share, Measured(0.94, 0.02, 9)) == "missed, uncertain"
    )
    assert verdict(pull, Measured(1.04, 0.016, 9)) == "met" and verdict(pull, Measured(0.94, 0.016, 9)) == "missed"
    assert verdict(pull, Measured(math.nan, math.nan, 0)) == "not measured"


def test_the_page_has_all_numbers_and_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    of_sources = {name: Measured(3.0, 0.3, 200) for name in BY_NAME}
    text = page(content_of("abc", frames(monkeypatch, of_sources)))
    assert all(f"| {limit.title}" in text for limit in ROWS)
    assert "| PSF flux scatter (mmag) | ≤ 3.5 | 3 ± 2 ? |" in text
    assert "* r, seed 3: process ended with 20: no stars" in text
