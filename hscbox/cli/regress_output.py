"""What the regress commands print, and the directory they work in."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError, TemporaryError, UsageError
from ..machine.files import output_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ..goldens.accept import Change
    from ..goldens.check import SceneCheck, Work
    from ..goldens.compare import Item
    from ..goldens.failures import SceneFailure

__all__ = ["check_writable", "print_change", "print_check", "print_failure", "working_directory"]

_WIDTH = 110
_SHOWN = 40
_DIFF_LINES = 80


@contextmanager
def working_directory(
    keep: Path | None, again: Path | None, reference: Path | None, overrides: tuple[str, ...]
) -> Iterator[Work]:
    """Yield where scenes are made: a temporary directory below TMPDIR unless it is to be kept.

    Raises
    ------
    UsageError
        The options contradict each other, or the directory is in use.
    TemporaryError
        There is no place for temporary files.
    """
    from ..goldens.check import Work

    if again is not None:
        if keep is not None or overrides:
            raise UsageError("--again runs nothing, so that --keep and --config make no sense with it")
        yield Work(again.absolute(), again=True, reference=reference)
        return
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise UsageError(f"{keep} is there already and not empty", remedy="Give a new directory to --keep")
        yield Work(keep.absolute(), reference=reference, overrides=overrides, say=_say)
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="hscbox-regress-")
    except OSError as error:
        raise TemporaryError(
            f"No place for temporary files: {error.strerror or error}", remedy="Set TMPDIR to a writable directory"
        ) from error
    with temporary as name:
        yield Work(Path(name).absolute(), reference=reference, overrides=overrides, say=_say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check_writable(testdata: Path) -> None:
    """Refuse early to accept goldens into a place that cannot be written, such as an image.

    Raises
    ------
    OutputError
        The directory of the goldens cannot be written.
    """
    goldens = testdata / "goldens"
    try:
        goldens.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=goldens):
            pass
    except OSError as error:
        raise OutputError(
            output_failure(goldens, error).message,
            remedy="Goldens of an image cannot be changed: work in a checkout, or give a copy with --testdata DIR",
        ) from error


def print_check(check: SceneCheck) -> None:
    """Print one line per list, then every mismatch, the FITS diff and the level reached."""
    from rich.table import Table

    from ..goldens.compare import LISTS

    console = _console()
    seconds = sum(check.run.seconds.values())
    _plain(console, f"{check.scene}: {check.title} ({seconds:.0f} s)")
    table = Table()
    for name in ("list", "ok", "mismatch", "not compared", ""):
        table.add_column(name, justify="left" if name in {"list", ""} else "right")
    for group in LISTS:
        items = check.of(group)
        counts = [sum(item.status == status for item in items) for status in ("ok", "mismatch", "not compared")]
        table.add_row(group, *(str(count) for count in counts), "DIFFERS" if counts[1] else "ok")
    console.print(table)
    if check.mismatches:
        _print_items(console, f"{check.scene}: what differs", check.mismatches)
    if check.diff and not check.passed:
        lines = check.diff.splitlines()
        _plain(console, "\n".join(lines[:_DIFF_LINES]))
        if len(lines) > _DIFF_LINES:
            _plain(console, f"... {len(lines) - _DIFF_LINES} more lines with --json")
    _plain(console, f"{check.scene}: {'passed' if check.passed else 'FAILED'}, level {check.level}: {check.why[0]}")
    for line in check.why[1:]:
        _plain(console, f"  {line}")


def print_failure(failure: SceneFailure) -> None:
    """Print why a scene could not be checked."""
    _plain(_console(), f"{failure.scene}: NOT CHECKED: {failure.reason}")


def print_change(change: Change) -> None:
    """Print what accepting a golden changed."""
    console = _console()
    if change.first:
        _plain(console, f"{change.scene}: first golden, {change.path}")
    elif not change.written:
        _plain(console, f"{change.scene}: nothing changed")
    elif not change.items:
        _plain(console, f"{change.scene}: accepted, only tolerances or descriptions changed, {change.path}")
    else:
        _print_items(console, f"{change.scene}: before and after", change.items, every=True)
        _plain(console, f"{change.scene}: accepted, {change.path}")


def _print_items(console: Console, title: str, items: Sequence[Item], *, every: bool = False) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    names = ("list", "name", "before", "after", "note") if every else ("list", "name", "expected", "found", "note")
    for name in names:
        table.add_column(name, overflow="fold")
    shown = items if every else items[:_SHOWN]
    for item in shown:
        table.add_row(item.group, item.name, item.expected, item.found, item.note)
    console.print(table)
    if len(items) > len(shown):
        _plain(console, f"... {len(items) - len(shown)} more with --json")


def _console() -> Console:
    from rich.console import Console

    # Nothing may be cut off when the output goes to a file; markup in file names is text.
    console = Console(markup=False, highlight=False)
    console.width = max(console.width, _WIDTH)
    return console


def _plain(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
