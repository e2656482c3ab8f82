"""Who makes products, where and with what: versions, code paths, machine, image and batch job."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import sys
from functools import cache
from typing import Any

from ..butler.butler import Butler
from ..butler.pickle_reader import load_pickle
from ..errors import ConfigError, DamagedInputError
from ..machine.batch import batch_job
from ..machine.dispatch import DispatchState, dispatch_state
from ..machine.environment import PINNED
from ..machine.image import image_identity
from ..machine.revision import __version__, revision

__all__ = ["check_versions", "package_versions", "this_process", "verify_dispatch"]

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


@cache
def this_process() -> dict[str, Any]:
    """Return the fields of `hscbox.pipeline.record.Made` that stay the same as long as this process lives."""
    return {
        "command": tuple(sys.argv),
        "versions": package_versions(),
        "revision": revision(),
        "image": image_identity(),
        "machine": {
            "host": platform.node(),
            "pid": os.getpid(),
            "system": platform.platform(),
            "python": sys.executable,
        },
        "batch": batch_job(),
        "environment": {name: os.environ.get(name, "") for name in PINNED},
        "dispatch": dispatch_state().as_dict(),
    }


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
