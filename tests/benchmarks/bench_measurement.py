"""What the source half of process-ccd costs: its steps, every measurement plugin, and how it grows with the sources.

A part of `make bench`: timers go around the tasks and the plugins of a run, and around what plugins share.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SOURCE_HALF_SECONDS, HSM_SECONDS = 6.0, 2.5
STEP, ICSRC, SRC = "source: ", "ICSRC: ", "SRC: "
HSM = "ext_shapeHSM"
# Quantities of the context that several plugins read: the first one to ask would pay for all.
SHARED = {"psf_at_centroid": "(PSF at the sources)", "psf_shape": "(moments of the PSF at the sources)"}


class SourceHalf:
    """Timers of one run, and what it measured.

    Parameters
    ----------
    timer
        Context manager that books the time spent in it, without that of inner ones, under a name.
    """

    def __init__(self, timer: Callable[[str], contextlib.AbstractContextManager[None]]) -> None:
        self.timer = timer
        self.counts: dict[str, dict[str, int]] = {}
        self.last: dict[str, Any] = {}
        self._catalogue = SRC

    def wrap(self) -> None:
        """Put the timers in place."""
        from hscbox.calibrate.astrometry import AstrometryTask
        from hscbox.calibrate.photocal_task import PhotoCalTask
        from hscbox.calibrate.task import CalibrateTask
        from hscbox.characterize.measure_apcorr import MeasureApCorrTask
        from hscbox.characterize.measure_psf import MeasurePsfTask
        from hscbox.characterize.task import CharacterizeImageTask
        from hscbox.measure.context import MeasurementContext
        from hscbox.measure.plugin import PLUGINS
        from hscbox.measure.task import SingleFrameMeasurementTask

        for task, name in (
            (CharacterizeImageTask, "all else of the characterization"),
            (CalibrateTask, "all else of the calibration"),
            (MeasurePsfTask, "PSF"),
            (MeasureApCorrTask, "aperture corrections"),
            (AstrometryTask, "astrometry"),
            (PhotoCalTask, "zero point"),
        ):
            self._around(task, "run", lambda _, label=STEP + name: label)
        for kind in {base for plugin in PLUGINS.values() for base in plugin.__mro__ if "measure" in vars(base)}:
            self._around(kind, "measure", lambda plugin: self._catalogue + plugin.name)
        for attribute, label in SHARED.items():
            lazy = vars(MeasurementContext)[attribute]
            self._around(lazy, "func", lambda _, label=label: self._catalogue + label)
        self._around_measurement(SingleFrameMeasurementTask)

    def _around(self, owner: Any, attribute: str, label: Callable[[Any], str]) -> None:
        function = getattr(owner, attribute)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.timer(label(args[0])):
                return function(*args, **kwargs)

        setattr(owner, attribute, timed)

    def _around_measurement(self, task_class: Any) -> None:
        function = task_class.run

        @functools.wraps(function)
        def timed(task: Any, **kwargs: Any) -> None:
            self._catalogue = ICSRC if "charImage" in task.name else SRC
            catalog = kwargs["catalog"]
            self.counts[self._catalogue] = {
                "sources": len(catalog),
                "parents": int(np.count_nonzero(catalog["parent"] == 0)),
            }
            if self._catalogue == SRC:
                self.last = {"task": task, "run": function, **kwargs}
            with self.timer(f"{self._catalogue}(noise in place of the sources, and all else)"):
                function(task, **kwargs)

        task_class.run = timed


def linearity(last: dict[str, Any]) -> dict[str, list[float]]:
    """Return core-seconds and numbers of sources of the measurement of half the families of a catalogue, and of all.

    Every second family, so that both halves of the frame are in. The smaller of two times each.
    """
    task, run = last["task"], last["run"]
    everything = {name: last[name] for name in ("catalog", "exposure", "exposure_id")}
    catalog = everything["catalog"]
    head = np.where(catalog["parent"] == 0, catalog["id"], catalog["parent"])
    half = np.isin(head, np.unique(head)[::2])
    seconds, sources = [], []
    for chosen in (half, np.ones(len(catalog), dtype=bool)):
        part = catalog.subset(chosen)
        times = []
        for _ in range(2):
            started = time.process_time()
            run(task, **{**everything, "catalog": part})
            times.append(time.process_time() - started)
        seconds.append(min(times))
        sources.append(len(part))
    return {"core_seconds": seconds, "sources": sources}


def report(seconds: dict[str, float], counts: dict[str, dict[str, int]], growth: dict[str, list[float]]) -> None:
    """Print the tables of the source half of one frame."""
    print(f"{'plugin, core-seconds a frame':62} {'SRC':>7} {'ms each':>8} {'ICSRC':>7} {'ms each':>8}")
    names = sorted({key.partition(": ")[2] for key in seconds if key.startswith((SRC, ICSRC))})
    for name in names:
        values = [seconds.get(kind + name, 0.0) for kind in (SRC, ICSRC)]
        cells = zip(values, (counts[SRC]["sources"], counts[ICSRC]["sources"]), strict=True)
        print(f"{name:62}" + "".join(f" {value:7.3f} {1000 * value / max(n, 1):8.3f}" for value, n in cells))
    sums = [sum(value for key, value in seconds.items() if key.startswith(kind)) for kind in (SRC, ICSRC)]
    print(
        f"measurement: SRC {sums[0]:.2f} core-seconds for {counts[SRC]['sources']} sources "
        f"({counts[SRC]['parents']} parents), ICSRC {sums[1]:.2f} for {counts[ICSRC]['sources']}"
    )
    hsm = [sum(value for key, value in seconds.items() if key.startswith(kind + HSM)) for kind in (SRC, ICSRC)]
    print(f"HSM: {sum(hsm):.2f} core-seconds (target {HSM_SECONDS:g}), of it SRC {hsm[0]:.2f}, ICSRC {hsm[1]:.2f}")
    (t_half, t_all), (n_half, n_all) = growth["core_seconds"], growth["sources"]
    print(
        f"linear in sources: {t_half:.2f} core-seconds for {n_half} sources, {t_all:.2f} for {n_all}: times "
        f"{t_all / t_half:.2f} with {n_all / n_half:.2f} times the sources"
    )
    steps = {key.removeprefix(STEP): value for key, value in seconds.items() if key.startswith(STEP)}
    steps |= {"measurement of SRC": sums[0], "measurement of ICSRC": sums[1]}
    for name, value in steps.items():
        print(f"{'source half: ' + name:62} {value:7.2f}")
    print(f"source half: {sum(steps.values()):.2f} core-seconds a frame (target {SOURCE_HALF_SECONDS:g})")


def is_source_step(name: str) -> bool:
    """Return whether a timer belongs to the source half."""
    return name.startswith((STEP, SRC, ICSRC))
