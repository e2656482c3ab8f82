"""Do the tests of a room notice a small change of its code? `make mutants`, by hand: an hour on one core.

Of all places in five rooms where `mutations` can change something, 200 are drawn, in proportion to the rooms' lines of
code, by a hash of the place: a place that is added or goes moves few of the others. Each change is made in a copy of
the tree, with the compiled loops that it does not reach, and the tests of the room run until one fails, those of the
changed file first. A test that does not end, or ends the interpreter, has noticed too.

`testdata/mutants/results.json` keeps what is known: a change is tried again when its line, the test that noticed it
or, where none did, any test of the room has changed. `testdata/mutants/equivalent.json` says of changes that cannot
be noticed why. The table goes to docs/mutants.md.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mutations import Change, lines_of_code, sites

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("isr", "detect", "measure", "calibrate", "characterize")
SEED, NUMBER = "2026-11", 200
RESULTS, EQUIVALENT = ROOT / "testdata/mutants/results.json", ROOT / "testdata/mutants/equivalent.json"
PAGE = ROOT / "docs/mutants.md"
_MEMORY = 8 << 30
_COPIED = ("hscbox", "tests", "testdata", "docs", "pyproject.toml")

HEAD = """# Do the tests notice?

`make mutants` changes one number, operator or bound of a slice in the rooms that hold the arithmetic, 200 times, and
runs the tests of the room. This page and `testdata/mutants/results.json` are what it wrote on {date}.

"""


class Mutant(NamedTuple):
    """One change of one file, and the name under which its outcome is kept."""

    name: str
    room: str
    path: str
    change: Change

    @property
    def rank(self) -> str:
        return hashlib.sha256(f"{SEED} {self.name}".encode()).hexdigest()


def mutants_of(room: str) -> Iterator[Mutant]:
    """Return one mutant for each place of a room, chosen among what can be done there by a hash."""
    for file in sorted((ROOT / "hscbox" / room).rglob("*.py")):
        source, path = file.read_bytes(), str(file.relative_to(ROOT))
        lines, seen = source.decode().splitlines(), Counter[str]()
        for site in sites(source):
            place = f"{path}: {site.function}: {lines[site.line - 1].strip()}"
            seen[place] += 1
            place = f"{place} [{seen[place]}]"
            number = int(hashlib.sha256(f"{SEED} {place}".encode()).hexdigest(), 16)
            change = site.changes[number % len(site.changes)]
            old = source[change.start : change.end].decode()
            yield Mutant(f"{place} {old!r} -> {change.new!r}", room, path, change)


def draw() -> list[Mutant]:
    """Return the mutants of all rooms in proportion to their lines of code."""
    lines = {room: sum(lines_of_code(f.read_bytes()) for f in (ROOT / "hscbox" / room).rglob("*.py")) for room in ROOMS}
    share = {room: NUMBER * n / sum(lines.values()) for room, n in lines.items()}
    count = {room: int(part) for room, part in share.items()}
    for room in sorted(ROOMS, key=lambda room: count[room] - share[room])[: NUMBER - sum(count.values())]:
        count[room] += 1
    return [m for room in ROOMS for m in sorted(mutants_of(room), key=lambda m: m.rank)[: count[room]]]


def tests_of(top: Path, room: str) -> list[Path]:
    """Return the test files of a room, relative to the tree."""
    return sorted(path.relative_to(top) for path in (top / "tests" / room).glob("test_*.py"))


def digest(top: Path, room: str, test: str) -> str:
    """Return a hash of the file of the test that noticed a mutant; of all test files of the room if none did."""
    judges = [Path(test.split("::")[0])] if test else tests_of(top, room)
    contents = [(top / path).read_bytes() for path in judges if (top / path).exists()]
    return hashlib.sha256(b"".join(contents)).hexdigest()[:16]


def known(mutant: Mutant, results: dict[str, Any]) -> bool:
    """Return whether the outcome of a mutant is known and nothing that made it has changed."""
    found = results.get(mutant.name)
    return found is not None and found["tests"] == digest(ROOT, mutant.room, found["test"])


class Tree:
    """A copy of the tree in which files are changed, and from which they are put back."""

    def __init__(self, directory: Path) -> None:
        self.sound, self.work = directory / "sound", directory / "work"
        for name in _COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            for top in (self.sound, self.work):
                top.mkdir(exist_ok=True)
                copy(ROOT / name, top / name)
        self.limit: dict[str, float] = {}

    def prepare(self, room: str) -> None:
        """Run the tests of a room on the sound code: they must pass, and leave compiled loops and their time."""
        started = time.monotonic()
        status, output = self._pytest(self.sound, tests_of(self.sound, room), 3600)
        if status:
            sys.exit(f"The tests of {room} fail without any change:\n{output}")
        self.limit[room] = 60 + 5 * (time.monotonic() - started)

    def judge(self, mutant: Mutant, first: str) -> str:
        """Return the test that notices a mutant; empty if none does."""
        shutil.rmtree(self.work / "hscbox")
        shutil.copytree(self.sound / "hscbox", self.work / "hscbox")
        file, change = self.work / mutant.path, mutant.change
        source = file.read_bytes()
        file.write_bytes(source[: change.start] + change.new.encode() + source[change.end :])
        module = mutant.path.removesuffix(".py").replace("/", ".")
        tests = sorted(
            tests_of(self.work, mutant.room),
            key=lambda path: (str(path) != first.split("::")[0], module not in (self.work / path).read_text(), path),
        )
        status, output = self._pytest(self.work, tests, self.limit[mutant.room])
        if status == 0:
            return ""
        found = re.search(r"^(?:FAILED|ERROR) (tests/\S+)", output, re.MULTILINE)
        return found[1] if found else f"{tests[0]}::{'time' if status is None else f'status {status}'}"

    def _pytest(self, top: Path, tests: list[Path], timeout: float) -> tuple[int | None, str]:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))

        temporary = top / "tmp"
        temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *map(str, tests)]
        process = subprocess.Popen(
            command,
            cwd=top,
            env=os.environ | {"PYTHONPATH": str(top), "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=limit,
        )
        try:
            output, _ = process.communicate(timeout=timeout)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None, ""
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def page(drawn: list[Mutant], results: dict[str, Any], equivalent: dict[str, str], date: str) -> str:
    """Return the page of the manual: a table, the survivors, the changes that nobody can notice."""
    rows = ["| room | drawn | noticed | survived | equivalent | noticed of the others |", "| --- " * 6 + "|"]
    for room in (*ROOMS, "all"):
        own = [m for m in drawn if room in (m.room, "all")]
        noticed = sum(bool(results[m.name]["test"]) for m in own)
        same = sum(m.name in equivalent for m in own if not results[m.name]["test"])
        part = 100 * noticed / max(len(own) - same, 1)
        rows.append(f"| {room} | {len(own)} | {noticed} | {len(own) - noticed - same} | {same} | {part:.1f} % |")
    alive = [m.name for m in drawn if not results[m.name]["test"]]
    survivors = [f"* `{name}`" for name in alive if name not in equivalent]
    same_lines = [f"* `{name}`: {equivalent[name]}" for name in alive if name in equivalent]
    parts = ["\n".join(rows), "## Survivors", "\n".join(survivors) or "None."]
    parts += ["## Equivalent: no result differs", "\n".join(same_lines) or "None."]
    return HEAD.format(date=date) + "\n\n".join(parts) + "\n"


def save(results: dict[str, Any]) -> None:
    """Write down what is known."""
    RESULTS.write_text(json.dumps(results, indent=0, sort_keys=True, ensure_ascii=False) + "\n")


def main() -> None:
    """Try the mutants that are not known, and write results and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", default=ROOMS, help="of these rooms only; the page needs all")
    rooms = parser.parse_args().rooms
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    drawn = draw()
    todo = [m for m in drawn if m.room in rooms and not known(m, results)]
    with tempfile.TemporaryDirectory() as directory:
        tree = Tree(Path(directory)) if todo else None
        for k, mutant in enumerate(todo, start=1):
            assert tree is not None
            if mutant.room not in tree.limit:
                tree.prepare(mutant.room)
            started = time.monotonic()
            test = tree.judge(mutant, results.get(mutant.name, {}).get("test", ""))
            results[mutant.name] = {"test": test, "tests": digest(tree.work, mutant.room, test)}
            save(results)
            seconds = time.monotonic() - started
            print(f"{k}/{len(todo)} {seconds:.0f} s {test or 'SURVIVED'}: {mutant.name}", flush=True)
    if all(m.name in results for m in drawn):
        # Places that are no longer drawn are forgotten.
        save({m.name: results[m.name] for m in drawn})
        equivalent = json.loads(EQUIVALENT.read_text())
        PAGE.write_text(page(drawn, results, equivalent, datetime.date.today().isoformat()))


if __name__ == "__main__":
    main()
