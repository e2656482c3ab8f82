"""Make an input repository, with links to calibrations and reference catalogues."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import OutputError, UsageError
from ..machine.files import output_failure, write_bytes
from .paths import absolute
from .repository_cfg import CFG_NAME

__all__ = ["MountReport", "mount"]

log = logging.getLogger("mount")

MAPPER_LINE = "lsst.obs.hsc.HscMapper\n"


@dataclass
class MountReport:
    """What `mount` did: names of entries with `made` or `unchanged`, and warnings."""

    root: Path
    entries: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def mount(root: Path | str, calib: Path | str | None = None, ref_cats: Path | str | None = None) -> MountReport:
    """Make `root` an input repository: the file `_mapper`, and the links `CALIB` and `ref_cats`.

    Nothing is overwritten. Entries that are there and say the same count as unchanged. A link to something
    that is not there yet is made with a warning.

    Raises
    ------
    OutputError
        An entry exists and says something else, or the directory cannot be written.
    UsageError
        `root` is an output repository.
    """
    directory = absolute(root)
    report = MountReport(directory)
    if (directory / CFG_NAME).exists():
        raise UsageError(f"{directory} is an output repository (it has {CFG_NAME})", remedy="Choose another directory")
    links = {name: absolute(target) for name, target in (("CALIB", calib), ("ref_cats", ref_cats)) if target}
    _check(directory, links)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "_mapper").exists():
            report.entries["_mapper"] = "unchanged"
        else:
            write_bytes(directory / "_mapper", MAPPER_LINE.encode())
            report.entries["_mapper"] = "made"
        for name, target in links.items():
            is_new = not os.path.lexists(directory / name)
            if is_new:
                # Absolute: the repository may be reached over other paths, the data stay where they are.
                (directory / name).symlink_to(target)
            report.entries[name] = "made" if is_new else "unchanged"
            if not target.is_dir():
                problem = "is not a directory" if target.exists() else "does not exist"
                warning = f"{name} points to {target}, which {problem}"
                log.warning("%s", warning)
                report.warnings.append(warning)
    except OSError as error:
        raise output_failure(directory, error) from error
    return report


def _check(directory: Path, links: dict[str, Path]) -> None:
    """Refuse before anything is made."""
    mapper = directory / "_mapper"
    if mapper.exists():
        with mapper.open(encoding="utf-8", errors="replace") as stream:
            name = stream.readline(1000).strip()
        if name.rpartition(".")[2] != "HscMapper":
            raise OutputError(
                f"{mapper} exists and names the mapper {name!r}, not {MAPPER_LINE.strip()}",
                remedy="Choose another directory, or remove the file",
            )
    for name, target in links.items():
        entry = directory / name
        if os.path.lexists(entry) and not _is_equal(entry, target):
            what = f"a link to {entry.readlink()}" if entry.is_symlink() else "not a link"
            raise OutputError(f"{entry} exists and is {what}, not a link to {target}", remedy="Remove it first")


def _is_equal(entry: Path, target: Path) -> bool:
    if not entry.is_symlink():
        return absolute(entry) == target
    return absolute(entry.parent / entry.readlink()) == target or os.path.realpath(entry) == os.path.realpath(target)
