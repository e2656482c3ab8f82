"""From the numbers of single frames to those of groups of frames, for `make validate-long`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hscbox.truth.levels import LIMITS, Limit
from hscbox.truth.measures import NOT_MEASURED, Measured
from hscbox.truth.residuals import Residuals, pooled
from hscbox.truth.scores import numbers_of

# Properties of a frame as a whole: the scatter between frames is their error. What the references scatter within a
# frame is no error of the fit's bias.
OF_FRAMES = (
    "astrometry_bias_ra",
    "astrometry_bias_dec",
    "astrometry_worst_corner",
    "psf_zero_point_error",
    "aperture_zero_point_error",
)
# Begins of the names of what fields of stars say nothing about: galaxies, and the catalogue's faint end.
OF_GALAXIES = ("kron_bias", "kron_scatter", "moments", "regauss", "galax", "star_purity", "completeness", "purity")
STARS = "stars"
"""Begin of the names of groups of fields of stars."""
# What may be wrong by chance in every frame and yet right on average.
EACH_FRAME = ("psf_zero_point_error", "psf_magnitude_slope", "psf_gradient_x", "psf_gradient_y")
SUFFIX = "_of_frames"
# The more frames, the larger: shown beside the mean of the frames.
WORST = "astrometry_worst_corner"
WORST_SUFFIX = "_of_all"


def _rows() -> Iterator[Limit]:
    for limit in LIMITS:
        yield limit
        if limit.name in EACH_FRAME:
            yield replace(limit, name=limit.name + SUFFIX, title=f"{limit.title}, rms of frames", floor=None)
        if limit.name == WORST:
            yield replace(limit, name=limit.name + WORST_SUFFIX, title=f"{limit.title}, worst frame", floor=None)


ROWS = tuple(_rows())
"""All rows of the table: the limits of `hscbox validate`, and some for the frames one by one."""


@dataclass(frozen=True)
class Frame:
    """What came out of one frame."""

    group: str
    seed: int
    failure: str
    core_seconds: float
    numbers: dict[str, Measured]
    residuals: Residuals


def together(frames: Sequence[Frame]) -> dict[str, Measured]:
    """Return the numbers of several frames.

    Where a number comes from sources it is that of the sources of all frames; its error is the larger one of two: that
    of these sources, by bootstrap, and that of the mean of the frames' own numbers. Other numbers are means. What may
    be wrong in every frame and right on average has a second number: the root mean square of the frames' own numbers
    without what their errors explain. The worst corner has one as well: that of the worst frame.
    """
    done = [frame for frame in frames if not frame.failure]
    if not done:
        return {limit.name: NOT_MEASURED for limit in ROWS}
    of_sources = numbers_of(pooled([frame.residuals for frame in done]))
    numbers = {limit.name: _together(limit.name, done, of_sources.get(limit.name)) for limit in LIMITS}
    for name in EACH_FRAME:
        numbers[name + SUFFIX] = _each_frame([frame.numbers[name] for frame in done])
    numbers[WORST + WORST_SUFFIX] = _worst([frame.numbers[WORST].value for frame in done])
    return numbers


def _worst(values: Sequence[float]) -> Measured:
    """Return the largest, with the scatter of the frames as its error."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return NOT_MEASURED
    return Measured(max(known), float(np.std(known, ddof=1)) if len(known) > 1 else 0.0, len(known))


def _each_frame(own: Sequence[Measured]) -> Measured:
    known = [number for number in own if math.isfinite(number.value) and math.isfinite(number.error)]
    if len(known) < 2:
        return NOT_MEASURED
    square = float(np.mean([number.value**2 for number in known]))
    noise = float(np.mean([number.error**2 for number in known]))
    return Measured(math.sqrt(max(square - noise, 0.0)), math.sqrt(square / (2 * len(known))), len(known))


def _together(name: str, frames: Sequence[Frame], of_sources: Measured | None) -> Measured:
    own = [frame.numbers[name] for frame in frames]
    values = np.array([number.value for number in own if math.isfinite(number.value)])
    if not len(values):
        return NOT_MEASURED if of_sources is None else of_sources
    scatter = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else own[0].error
    count = sum(number.n for number in own)
    if name in OF_FRAMES or of_sources is None:
        return Measured(float(values.mean()), scatter, count)
    # Few sources a frame make the frames' own numbers poor: then the sources of all say it better.
    enough = count >= 20 * len(own)
    return Measured(of_sources.value, max(of_sources.error, scatter) if enough else of_sources.error, of_sources.n)


def verdict(limit: Limit, number: Measured) -> str:
    """Return met or missed, and uncertain if the error exceeds a third of the target (for shares: of 1 - target)."""
    if limit.target is None:
        return ""
    if not math.isfinite(number.value):
        return "not measured"
    allowed = 1 - limit.target if limit.kind == "least" else limit.target
    sure = math.isfinite(number.error) and number.error <= allowed / 3
    return ("met" if limit.holds(number, "target") else "missed") + ("" if sure else ", uncertain")


def clearly_missed(limit: Limit, number: Measured) -> bool:
    """Return whether the number lies outside of its target by more than its error."""
    if limit.target is None or not math.isfinite(number.value):
        return False
    error = number.error if math.isfinite(number.error) else 0.0
    return limit.distance(number, "target") < -error


def content_of(version: str, frames: Sequence[Frame]) -> dict[str, Any]:
    """Return all numbers, for JSON: of each group, of all galaxy and all star fields together, and of each frame."""
    parts = {name: [f for f in frames if f.group == name] for name in dict.fromkeys(f.group for f in frames)}
    for name, of_stars in (("all with galaxies", False), (f"{STARS}, all", True)):
        parts[name] = [frame for frame in frames if frame.group.startswith(STARS) == of_stars]
    parts = {name: members for name, members in parts.items() if members}
    return {
        "commit": version,
        "groups": [_group(name, members) for name, members in parts.items()],
        "frames": [
            {
                "group": frame.group,
                "seed": frame.seed,
                "failure": frame.failure,
                "core_seconds": _known(frame.core_seconds),
                "numbers": {name: _plain(number) for name, number in frame.numbers.items()},
            }
            for frame in frames
        ],
    }


def _group(name: str, frames: Sequence[Frame]) -> dict[str, Any]:
    numbers = together(frames)
    if name.startswith(STARS):
        numbers |= {limit.name: NOT_MEASURED for limit in ROWS if limit.name.startswith(OF_GALAXIES)}
    rows = {
        limit.name: {
            **_plain(numbers[limit.name]),
            "target": limit.target,
            "verdict": verdict(limit, numbers[limit.name]),
            "clearly_missed": clearly_missed(limit, numbers[limit.name]),
        }
        for limit in ROWS
    }
    return {"name": name, "frames": len(frames), "numbers": rows}


def _plain(number: Measured) -> dict[str, Any]:
    return {"value": _known(number.value), "error": _known(number.error), "n": number.n}


def _known(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
