"""Check a scene: make it, compare it with its golden and with the truth, and say at which level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..truth.damage import DAMAGE, said
from .compare import LISTS, Item, compare, message_numbers, version_differences
from .fits_diff import diff_descriptions, diff_files, is_fits
from .golden import Golden, Outcome
from .held_to_truth import truth_items
from .numbers import scene_numbers
from .products import digests, list_files
from .runs import SceneRun, earlier_run, run_scene
from .scenes import SceneDefinition

__all__ = ["Produced", "SceneCheck", "Work", "check_scene", "produce"]

_INPUTS = ("raw", "CALIB", "ref_cats")


@dataclass(frozen=True)
class Work:
    """Where and how scenes are made.

    Attributes
    ----------
    directory
        Each scene gets a directory of its name in it.
    again
        Take what an earlier kept run left there instead of running anything.
    reference
        Directory of another kept run, for the full FITS diff.
    overrides
        More ``-c`` words for process-ccd.
    say
        Called with each line of progress.
    """

    directory: Path
    again: bool = False
    reference: Path | None = None
    overrides: tuple[str, ...] = ()
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Produced:
    """What a run of a scene left: its run, its products in the form of a golden, its standing against the truth."""

    run: SceneRun
    golden: Golden
    truth: list[Item]
    unreadable: list[Item] = field(default_factory=list)

    @property
    def obstacles(self) -> list[str]:
        """Return why the process that made the products could not reach the bitwise level."""
        if not self.run.dispatch:
            return ["the run left no record of its code paths"]
        return [str(problem) for problem in self.run.dispatch["problems"]]


@dataclass(frozen=True)
class SceneCheck:
    """The result of checking one scene.

    Attributes
    ----------
    scene, title
        Which one.
    level
        Level reached: ``bitwise``, ``tolerance`` or ``none``.
    why
        Why not a higher one; why this one.
    items
        All comparisons.
    diff
        FITS diff of the first product that differs.
    """

    scene: str
    title: str
    level: str
    why: list[str]
    items: list[Item]
    run: SceneRun
    diff: str = ""

    @property
    def mismatches(self) -> list[Item]:
        """Return the items that are not as they must be."""
        return [item for item in self.items if item.status == "mismatch"]

    @property
    def passed(self) -> bool:
        """Return whether all is as it must be."""
        return not self.mismatches

    def of(self, group: str) -> list[Item]:
        """Return the items of one list."""
        return [item for item in self.items if item.group == group]

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON."""
        return {
            "scene": self.scene,
            "title": self.title,
            "passed": self.passed,
            "level": self.level,
            "why": self.why,
            "dispatch": self.run.dispatch,
            "versions": self.run.versions,
            "seconds": self.run.seconds,
            "lists": {group: [asdict(item) for item in self.of(group)] for group in LISTS},
            "diff": self.diff,
        }


def produce(scene: SceneDefinition, work: Work) -> Produced:
    """Make a scene, or take an earlier run, and describe what it left.

    Raises
    ------
    HscboxError
        It could not be made.
    """
    directory = work.directory / scene.name
    run = earlier_run(directory) if work.again else run_scene(scene, directory, overrides=work.overrides, say=work.say)
    output = directory / "output"
    template, numbers = message_numbers(run.message)
    unreadable = []
    try:
        numbers |= scene_numbers(output, run.log)
    except DAMAGE as error:
        unreadable.append(Item("numbers", "products", "mismatch", "readable", "unreadable", said(error)))
    outcome = Outcome(run.exit, run.code, template)
    truth, quality = truth_items(scene, outcome, directory)
    files = list_files(output) if output.is_dir() else []
    golden = Golden(
        scene.name,
        scene.digest,
        outcome,
        files,
        digests(output, files),
        digests(directory / "sim", _inputs(directory / "sim")),
        numbers | quality,
        run.versions,
    )
    return Produced(run, golden, truth, unreadable)


def _inputs(sim: Path) -> list[str]:
    names = [f"{part}/{name}" for part in _INPUTS for name in list_files(sim / part)]
    return [name for name in names if not name.endswith(".sqlite3")]


def check_scene(scene: SceneDefinition, golden: Golden, work: Work) -> SceneCheck:
    """Make a scene and compare it with `golden` and the truth.

    Raises
    ------
    HscboxError
        It could not be made.
    """
    produced = produce(scene, work)
    obstacles = produced.obstacles + version_differences(golden, produced.run.versions)
    items = compare(golden, produced.golden, bitwise=not obstacles)
    if produced.unreadable:
        items = [item for item in items if item.group != "numbers"] + produced.unreadable
    items += produced.truth
    level, why = _level(items, obstacles)
    diff = _diff(golden, items, work, work.directory / scene.name / "output")
    return SceneCheck(scene.name, scene.title, level, why, items, produced.run, diff)


def _level(items: Sequence[Item], obstacles: list[str]) -> tuple[str, list[str]]:
    wrong = {item.group for item in items if item.status == "mismatch"}
    if wrong - {"products", "inputs"}:
        return "none", [f"{', '.join(group for group in LISTS if group in wrong)} differ", *obstacles]
    if wrong:
        return "tolerance", ["bytes differ although code paths and packages are those of the golden"]
    if obstacles:
        same = sum(item.status == "ok" for item in items if item.group == "products")
        total = sum(item.group == "products" for item in items)
        return "tolerance", [*obstacles, f"{same} of {total} products have the golden's bytes all the same"]
    return "bitwise", ["every byte is that of the golden"]


def _diff(golden: Golden, items: Sequence[Item], work: Work, output: Path) -> str:
    """Return the FITS diff of the first product that is not what it was, or an empty text."""
    changed = [item.name for item in items if item.group == "products" and item.status != "ok" and is_fits(item.name)]
    both = [name for name in changed if name in golden.products and (output / name).exists()]
    if not both:
        return ""
    first = both[0]
    if work.reference is not None:
        reference = work.reference / golden.scene / "output" / first
        return f"FITS diff of {first}, a: {reference}, b: this run\n{diff_files(str(reference), str(output / first))}"
    return f"FITS diff of {first}, a: golden, b: this run\n{diff_descriptions(golden.units[first], output / first)}"
