"""`make bench`: what one full-size CCD costs, stage by stage, and how fast raws are ingested.

Everything is timed in one run: a floor (reading the inputs and writing three planes), the whole command as a
process of its own, the stages by the run's own metadata file, and the steps of the pixel half (instrument signature,
background, cosmic rays, detection, deblending) and of the source half, with every measurement plugin, by timers around
their functions. Nothing here passes or fails.
"""

from __future__ import annotations

import hscbox  # noqa: F401  (pins the code paths of numpy and OpenBLAS, before numpy is imported)

# isort: split
import contextlib
import functools
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_measurement

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "bench"
MEGAPIXELS = 2048 * 4176 / 1e6
HEADERS = 20_000
PIXEL_HALF_SECONDS, PIXEL_HALF_MB = 4.0, 700.0


def run(*command: str | Path) -> tuple[float, float, float]:
    """Run a command; return wall seconds, core-seconds and peak MiB of it and its children."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as sink:
        pid = os.posix_spawn(
            str(command[0]),
            [str(word) for word in command],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, sink.fileno(), 1), (os.POSIX_SPAWN_DUP2, sink.fileno(), 2)],
        )
        _, status, usage = os.wait4(pid, 0)
        if status:
            sink.seek(0)
            sys.exit(f"{' '.join(map(str, command))} ended with {status}:\n{sink.read().decode()[-3000:]}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def prepare() -> Path:
    """Simulate the default frame once and ingest it into a fresh repository."""
    data = WORK / "data"
    if not (data / "raw").exists():
        wall, core, peak = run(BIN / "hscbox", "simulate", data)
        print(f"simulate one CCD with its masters: {core:.1f} core-seconds, {wall:.1f} s, {peak:.0f} MiB")
    repository = WORK / "input"
    shutil.rmtree(repository, ignore_errors=True)
    run(BIN / "hscbox", "mount", repository, "--calib", data / "CALIB", "--ref-cats", data / "ref_cats")
    run(BIN / "hscbox", "ingest-images", repository, *sorted((data / "raw").glob("*.fits")))
    return repository


def floor(data: Path) -> float:
    """Return the core-seconds of reading raw and masters and writing three planes, with astropy alone."""
    script = (
        "import sys, numpy as np; from astropy.io import fits; from pathlib import Path\n"
        "planes=[]\n"
        "for p in sys.argv[2:]:\n"
        "    with fits.open(p, memmap=False) as h: planes.append(np.asarray(h[-1 if h[0].data is None else 0].data))\n"
        "z=np.zeros((4176,2048),np.float32)\n"
        "fits.HDUList([fits.PrimaryHDU()]+[fits.ImageHDU(z) for _ in range(3)]).writeto(sys.argv[1],overwrite=True)\n"
    )
    files = sorted(data.glob("raw/*.fits")) + sorted(data.glob("CALIB/*/*/*/*-055.fits"))
    return run(Path(sys.executable), "-c", script, WORK / "floor.fits", *files)[1]


def process(repository: Path, label: str) -> dict[str, float]:
    """Process the frame into a new output and print what it cost."""
    output = WORK / "output"
    shutil.rmtree(output, ignore_errors=True)
    wall, core, peak = run(
        BIN / "hscbox", "process-ccd", repository, "--output", output, "--id", "visit=40984", "ccd=55"
    )
    print(
        f"process-ccd ({label}): {core:.2f} core-seconds, {wall:.2f} s, "
        f"{MEGAPIXELS / core:.2f} Mpix per core-second, peak {peak:.0f} MiB"
    )
    return {"core_seconds": core, "wall_seconds": wall, "peak_mib": peak}


def stages(core: float, base: float) -> list[dict[str, float | str]]:
    """Print the core-seconds of every timed method of the last run, also in units of the floor."""
    from hscbox.products.boost import read_boost

    metadata = read_boost(next((WORK / "output").glob("*/*/processCcd_metadata/*.boost")))
    rows: list[dict[str, float | str]] = []
    print(f"{'stage':55} {'core-s':>7} {'floors':>7} {'Mpix/s':>7}")
    for task, method in metadata.timed_methods():
        seconds = metadata.seconds(task, method)
        rows.append({"stage": f"{task}.{method}", "core_seconds": seconds})
        if seconds >= 0.005:
            rate = MEGAPIXELS / seconds
            print(f"{task + '.' + method:55} {seconds:7.2f} {seconds / base:7.1f} {rate:7.1f}")
    start = core - metadata.seconds("processCcd")
    print(f"{'imports, registry, records, checks before the CCD':55} {start:7.2f} {start / base:7.1f}")
    return rows


class Steps:
    """Core-seconds of functions by name, each without those of the timed functions that it calls.

    The peak of memory is that by the end of the last step of the pixel half.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_mib = 0.0
        self._inner: list[float] = []

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function with a timer around it."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.timer(name):
                return function(*args, **kwargs)

        return timed

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Put a timer around `owner.attribute`."""
        setattr(owner, attribute, self.timed(getattr(owner, attribute), name))

    @contextlib.contextmanager
    def timer(self, name: str) -> Iterator[None]:
        """Book the time spent inside under `name`."""
        self._inner.append(0.0)
        started = time.process_time()
        try:
            yield
        finally:
            spent = time.process_time() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent
            if not bench_measurement.is_source_step(name):
                self.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_steps(repository: str, output: str, result: str) -> None:
    """Process the frame twice with timers around all steps; write the numbers as JSON to `result`.

    Meant for a process of its own: the first frame also loads the compiled loops. The peak of memory is that by the
    end of the last step of the first frame.
    """
    from hscbox.detect import deblend, detection, repair
    from hscbox.isr import task as isr
    from hscbox.machine.environment import keep_freed_memory
    from hscbox.runs.arguments import ProcessCcdArguments
    from hscbox.runs.run import run_process_ccd

    keep_freed_memory()
    steps = Steps()
    isr.STEPS = tuple(replace(step, apply=steps.timed(step.apply, f"isr: {step.name}")) for step in isr.STEPS)
    steps.wrap(isr.IsrTask, "run", "isr: all else")
    for module in [module for name, module in sys.modules.items() if name.startswith("hscbox.")]:
        if hasattr(module, "fit_background"):
            steps.wrap(module, "fit_background", "background")
    steps.wrap(repair.RepairTask, "run", "cosmic rays")
    steps.wrap(detection.SourceDetectionTask, "run", "detection")
    steps.wrap(deblend.SourceDeblendTask, "run", "deblending")
    sources = bench_measurement.SourceHalf(steps.timer)
    sources.wrap()
    ids = [["visit=40984", "ccd=55"]]
    frames, peaks = [], []
    for _ in range(2):
        steps.seconds = {}
        shutil.rmtree(output, ignore_errors=True)
        if run_process_ccd(ProcessCcdArguments(repository, output, ids=ids)):
            sys.exit(1)
        frames.append(dict(steps.seconds))
        peaks.append(steps.peak_mib)
    numbers = {"first": frames[0], "later": frames[1], "peak_mib": peaks[0], "counts": sources.counts}
    numbers["growth"] = bench_measurement.linearity(sources.last)
    Path(result).write_text(json.dumps(numbers))


def halves(repository: Path, base: float) -> dict[str, Any]:
    """Print what each step of both halves costs, in core-seconds and in floors, in the first and in later frames."""
    output, result = WORK / "output", WORK / "steps.json"
    code = "import sys; sys.path.insert(0, sys.argv[1]); import bench; bench.time_steps(*sys.argv[2:])"
    run(Path(sys.executable), "-c", code, Path(__file__).parent, repository, output, result)
    numbers: dict[str, Any] = json.loads(result.read_text())
    total = print_pixel_half(numbers, base)
    bench_measurement.report(numbers["later"], numbers["counts"], numbers["growth"])
    return {**numbers, "total_core_seconds": total}


def print_pixel_half(numbers: dict[str, Any], base: float) -> float:
    """Print the steps of the pixel half and return their sum."""
    first, later = (
        {name: value for name, value in numbers[frame].items() if not bench_measurement.is_source_step(name)}
        for frame in ("first", "later")
    )
    print(f"{'step of the pixel half':40} {'core-s: first frame':>20} {'later frames':>13} {'floors':>7}")
    for name, seconds in later.items():
        if seconds >= 0.005:
            print(f"{name:40} {first.get(name, 0.0):20.2f} {seconds:13.2f} {seconds / base:7.2f}")
    total = sum(later.values())
    print(
        f"pixel half: {sum(first.values()):.2f} core-seconds with the loading of the compiled loops, then {total:.2f} "
        f"a frame (target {PIXEL_HALF_SECONDS:g}), {total / base:.1f} floors, peak {numbers['peak_mib']:.0f} MiB, "
        f"{numbers['peak_mib'] * 1.048576:.0f} MB (target {PIXEL_HALF_MB:g})"
    )
    return total


def ingest(data: Path) -> dict[str, float]:
    """Ingest many sparse full-size raws (one header block and a hole) and print the rate."""
    folder = WORK / "sparse"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    raw = next((data / "raw").glob("*.fits"))
    size = raw.stat().st_size
    header = raw.read_bytes()[:28800]
    end = header.index(b"END" + b" " * 77)
    header = header[: (end // 2880 + 1) * 2880]
    for number in range(HEADERS):
        visit, ccd = 2 * (number // 104) + 100000, number % 104
        text = header.replace(b"HSCA04098400", b"HSCA%06d00" % visit)
        position = text.index(b"DET-ID  =")
        text = text[: position + 10] + b"%20d" % ccd + text[position + 30 :]
        with (folder / f"HSCA{visit:06d}{ccd:03d}.fits").open("wb") as stream:
            stream.write(text)
            stream.truncate(size)
    repository = WORK / "many"
    shutil.rmtree(repository, ignore_errors=True)
    run(BIN / "hscbox", "mount", repository, "--calib", data / "CALIB", "--ref-cats", data / "ref_cats")
    wall, core, peak = run(BIN / "hscbox", "ingest-images", repository, folder, "-j", "1")
    print(f"ingest of {HEADERS} raws: {HEADERS / core:.0f} headers per core-second, {wall:.1f} s, peak {peak:.0f} MiB")
    shutil.rmtree(folder)
    return {"headers_per_core_second": HEADERS / core, "wall_seconds": wall, "peak_mib": peak}


def main() -> None:
    """Run everything and keep the numbers in bench/bench.json."""
    WORK.mkdir(exist_ok=True)
    repository = prepare()
    data = WORK / "data"
    process(repository, "first run, loops compiled if need be")
    base = floor(data)
    print(f"floor (read raw and masters, write three planes): {base:.2f} core-seconds")
    result = process(repository, "compiled loops cached")
    rows = stages(result["core_seconds"], base)
    numbers = {
        "floor_core_seconds": base,
        "process_ccd": result,
        "stages": rows,
        "halves": halves(repository, base),
        "ingest": ingest(data),
    }
    (WORK / "bench.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
