"""Make and process a scene with the commands that users run, each in a process of its own.

A process of its own starts with the pinned dispatch whatever was loaded here, gives its memory back, and proves
the command line with every check.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ExitStatus, HscboxError, InputError, MissingInputError, TemporaryError, UsageError
from ..machine.files import write_bytes
from ..runs.store import newest_records
from .scenes import SceneDefinition

__all__ = ["SceneRun", "earlier_run", "run_scene"]

_RECORD = "run.json"
_TIMEOUT = 3600.0
_TAIL = 1500


@dataclass(frozen=True)
class SceneRun:
    """How processing of a scene ended.

    Attributes
    ----------
    exit, code, message
        Exit status of process-ccd; code and text of its error.
    seconds
        Wall time of each command.
    dispatch
        `hscbox.machine.dispatch.DispatchState` of the process that made the products, as a dict; empty if unknown.
    versions
        Versions of the packages it used.
    log
        What process-ccd logged.
    """

    exit: int
    code: str
    message: str
    seconds: dict[str, float]
    dispatch: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    log: str = ""


def run_scene(
    scene: SceneDefinition,
    directory: Path,
    *,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> SceneRun:
    """Simulate, mount, ingest and process a scene in `directory`; failing to process is a result, not an error.

    Parameters
    ----------
    overrides
        More ``-c`` words for process-ccd than the scene has.
    say
        Called with a line of progress after each command.

    Raises
    ------
    HscboxError
        A command before process-ccd failed; its class has the exit status of the command.
    TemporaryError
        The machine was in the way of a command.
    KeyboardInterrupt
        A command was interrupted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_bytes(directory / "scene.json", (json.dumps(dict(scene.simulate), indent=1) + "\n").encode())
    seconds: dict[str, float] = {}
    words = _commands(scene, [*scene.overrides, *overrides])
    for name, command in words.items():
        started = time.monotonic()
        done = _run(command, directory)
        seconds[name] = round(time.monotonic() - started, 2)
        say(f"{scene.name}: {name} {seconds[name]:.1f} s")
        if done.returncode in {ExitStatus.TEMPORARY, ExitStatus.INTERRUPTED} or (
            name != "process-ccd" and done.returncode
        ):
            raise _failure(scene.name, " ".join(command), done.returncode, done.stderr)
    write_bytes(directory / "process-ccd.log", (done.stdout + done.stderr).encode())
    run = _interpret(directory / "output", done, seconds)
    write_bytes(directory / _RECORD, (json.dumps(asdict(run), indent=1, sort_keys=True) + "\n").encode())
    return run


def earlier_run(directory: Path) -> SceneRun:
    """Return the record of a run whose directory was kept.

    Raises
    ------
    MissingInputError
        There is none.
    TemporaryError, KeyboardInterrupt
        As `run_scene`.
    """
    try:
        run = SceneRun(**json.loads((directory / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise MissingInputError(
            f"{directory} holds no earlier run: {error}", remedy="Make one with: hscbox regress check --keep DIR"
        ) from error
    if run.exit in {ExitStatus.TEMPORARY, ExitStatus.INTERRUPTED}:
        raise _failure(directory.name, "process-ccd", run.exit, run.message)
    return run


def _failure(scene: str, command: str, status: int, text: str) -> BaseException:
    """Return what a failed command is raised as, so that its exit status becomes that of the check."""
    if status == ExitStatus.INTERRUPTED:
        return KeyboardInterrupt()
    kinds: tuple[type[HscboxError], ...] = (UsageError, InputError, TemporaryError)
    kind = next((kind for kind in kinds if kind.exit_status == status), HscboxError)
    return kind(f"{scene}: {command} ended with {status}: {_tail(text)}")


def _commands(scene: SceneDefinition, overrides: Sequence[str]) -> dict[str, list[str]]:
    process = ["process-ccd", "input", "--output", "output", "--id", f"visit={scene.visit}", f"ccd={scene.ccd}"]
    return {
        "simulate": ["simulate", "sim", "--scene", "scene.json"],
        "mount": ["mount", "input", "--calib", "sim/CALIB", "--ref-cats", "sim/ref_cats"],
        "ingest-images": ["ingest-images", "input", "sim/raw"],
        "process-ccd": process + (["-c", *overrides] if overrides else []),
    }


def _run(words: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    # The scripts of the image start Python isolated, so that no other hscbox or numpy gets in; so must these.
    isolated = ["-I"] if sys.flags.isolated else []
    command = [sys.executable, *isolated, "-m", "hscbox", *words]
    try:
        return subprocess.run(
            command, cwd=directory, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise TemporaryError(f"hscbox {' '.join(words)} did not end within {_TIMEOUT:g} s") from error


def _interpret(output: Path, done: subprocess.CompletedProcess[str], seconds: dict[str, float]) -> SceneRun:
    """Combine exit status and log with the record of the CCD."""
    record = next(iter(newest_records(output)), None) if output.is_dir() else None
    if record is None:
        return SceneRun(done.returncode, "unknown", _tail(done.stderr), seconds, log=done.stderr)
    # What ended the command and not the CCD is in the log only.
    message = _tail(done.stderr) if done.returncode and not record.status else record.message
    dispatch, versions = dict(record.dispatch), dict(record.versions)
    return SceneRun(done.returncode, record.code, message, seconds, dispatch, versions, done.stderr)


def _tail(text: str) -> str:
    return " ".join(text[-_TAIL:].split())
