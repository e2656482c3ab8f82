"""Who made a product, from what and with what: version records and the provenance of one run."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import math
import os
import platform
import resource
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from ..butler.butler import Butler
from ..butler.pickle_reader import load_pickle
from ..errors import ConfigError, DamagedInputError, HscboxError
from ..machine.dispatch import DispatchState, dispatch_state
from ..machine.environment import PINNED
from ..machine.revision import __version__

__all__ = ["check_versions", "package_versions", "run_record", "verify_dispatch"]

_PACKAGES = (
    "astro-metadata-translator", "astropy", "galsim", "llvmlite", "lsst-pex-config", "lsst-sphgeom", "numba",
    "numpy", "pillow", "scipy", "sep", "shapely",
)  # fmt: skip


def package_versions() -> dict[str, str]:
    """Return the versions of hscbox, Python and every package that touches the numbers."""
    versions = {"hscbox": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return dict(sorted(versions.items()))


def check_versions(butler: Butler, *, clobber: bool, strict: bool, log: logging.Logger) -> None:
    """Write the version record of an output, or compare it with the one that is there.

    Parameters
    ----------
    butler
        Its output holds the record, ``config/packages.pickle``, a pickled plain dict.
    clobber
        Replace the record, keeping the old one as ``packages.pickle~1``.
    strict
        Refuse to go on with other versions instead of warning.

    Raises
    ------
    ConfigError
        Versions differ and `strict` is set.
    """
    current = package_versions()
    path = butler.write_path("packages")
    if not path.exists() or clobber:
        butler.put(current, "packages", doBackup=True)
        return
    recorded = load_pickle(path)
    if not isinstance(recorded, dict):
        raise DamagedInputError(f"{path} holds no version record", remedy="Use --clobber-versions to replace it")
    changed = [
        f"{name}: {current[name]} vs {recorded[name]}"
        for name in current
        if name in recorded and recorded[name] != current[name]
    ]
    if not changed:
        return
    text = f"Versions differ from those the output was made with ({'; '.join(changed)})"
    if strict:
        raise ConfigError(text, remedy="Use another --output, or drop --strict-versions")
    log.warning("%s", text)


def verify_dispatch(log: logging.Logger) -> DispatchState:
    """Return the code paths in force, warning about each that keeps products from having the same bytes everywhere."""
    state = dispatch_state()
    for problem in state.problems:
        log.warning("Results may differ from other machines in the last digits: %s", problem)
    return state


def run_record(
    data_id: Mapping[str, object],
    inputs: Mapping[str, Mapping[str, str]],
    config_digest: str,
    status: str,
    started: datetime,
    failure: HscboxError | None = None,
) -> str:
    """Return the provenance of one CCD as a JSON string.

    Parameters
    ----------
    data_id
        The expanded data id.
    inputs
        Path and SHA-256 of every file read, by dataset name.
    config_digest
        SHA-256 of the configuration.
    status
        ``done``, or the code of the error that ended the run.
    started
        Start of the run, UTC.
    failure
        The error that ended the run; its text and its numbers are kept.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    record = {
        "dataId": dict(data_id),
        "inputs": {name: dict(value) for name, value in inputs.items()},
        "configSha256": config_digest,
        "versions": package_versions(),
        "environment": {name: os.environ.get(name, "") for name in PINNED},
        "dispatch": dispatch_state().as_dict(),
        "machine": {"host": platform.node(), "system": platform.platform(), "python": sys.executable},
        "command": sys.argv,
        "started": started.isoformat(),
        "ended": datetime.now(UTC).isoformat(),
        "cpuSeconds": usage.ru_utime + usage.ru_stime,
        "peakMemoryMiB": usage.ru_maxrss / 1024,
        "status": status,
    }
    if failure is not None:
        numbers = {name: _plain(value) for name, value in failure.numbers.items()}
        record["error"] = {"message": str(failure), "numbers": numbers}
    return json.dumps(record, sort_keys=True)


def _plain(value: object) -> object:
    """Return what JSON can hold of a number, a text, or anything else by its name; no number for one not finite."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
