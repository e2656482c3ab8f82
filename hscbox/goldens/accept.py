"""Accept what a scene produces now as its golden."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ..errors import GoldenMismatchError, MissingInputError
from ..machine.revision import __version__
from .check import Produced, Work, produce
from .compare import Item, compare
from .fits_diff import is_fits
from .golden import Golden, golden_text, keep_texts, read_golden, write_golden
from .places import golden_path
from .products import describe_fits
from .scenes import SceneDefinition

__all__ = ["Change", "accept_scene"]


@dataclass(frozen=True)
class Change:
    """What accepting a scene changed.

    Attributes
    ----------
    scene
        Its name.
    path
        The golden.
    items
        Differences between the golden before and after; empty for a first golden or if nothing changed.
    first
        Whether there was none before.
    written
        Whether the file was written; it may be for tolerances or descriptions alone.
    """

    scene: str
    path: Path
    items: list[Item]
    first: bool
    written: bool


def accept_scene(scene: SceneDefinition, testdata: Path, work: Work, reason: str) -> Change:
    """Make a scene, hold it against the truth, and write it as the golden with the reason in its history.

    A golden that would stay as it is is not touched, and numbers that hardly moved keep their text (`keep_texts`).

    Raises
    ------
    GoldenMismatchError
        The truth is missed, a product cannot be read, or this machine does not reach the bitwise level.
    OutputError
        The golden cannot be written.
    """
    produced = produce(scene, work)
    _refuse_what_is_wrong(scene, produced)
    path = golden_path(testdata, scene.name)
    before = _earlier(path)
    golden = produced.golden
    units = {
        name: describe_fits(work.directory / scene.name / "output" / name) for name in golden.products if is_fits(name)
    }
    complete, items, history = replace(golden, units=units), [], []
    if before is not None:
        items = [item for item in compare(before, golden, bitwise=True) if item.status != "ok"]
        history = before.history
        complete = replace(complete, numbers=keep_texts(before.numbers, golden.numbers), history=history)
    if before is not None and golden_text(before) == golden_text(complete):
        return Change(scene.name, path, [], first=False, written=False)
    entry = {"date": datetime.now(UTC).date().isoformat(), "hscbox": __version__, "reason": reason}
    write_golden(path, replace(complete, history=[*history, entry]))
    return Change(scene.name, path, items, first=before is None, written=True)


def _earlier(path: Path) -> Golden | None:
    try:
        return read_golden(path)
    except MissingInputError:
        return None


def _refuse_what_is_wrong(scene: SceneDefinition, produced: Produced) -> None:
    missed = [item for item in [*produced.truth, *produced.unreadable] if item.status == "mismatch"]
    if missed:
        text = "; ".join(f"{item.name}: {item.found}, must be {item.expected}" for item in missed)
        raise GoldenMismatchError(
            f"{scene.name} is not accepted, it misses the truth: {text}",
            remedy="Mend the program, or change the scene's definition if that is what is wrong",
        )
    if produced.obstacles:
        raise GoldenMismatchError(
            f"{scene.name} is not accepted, this machine does not reach the bitwise level: "
            f"{'; '.join(produced.obstacles)}",
            remedy="Accept goldens on an x86-64 machine with AVX2",
        )
