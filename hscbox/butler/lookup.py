"""Finding files: complete a data id from the registry, choose the calibration, search the repositories."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..camera.calib_kinds import CALIB_KINDS
from ..errors import CalibNotFoundError, HscboxError, MissingInputError, UnknownDataIdError, UsageError
from ..machine.mounts import dangling
from .calib_registry import CalibRegistry
from .data_id import EXPOSURE_KEYS, KEY_TYPES, DataId, cast_value, format_data_id, suggestion
from .registry import Registry
from .repository import Repository, chain, spelled
from .templates import DatasetType

__all__ = ["Expansion", "Lookup"]

log = logging.getLogger("CameraMapper")

# Keys that are no columns of the registry but may be in a data id.
_FURTHER_KEYS: dict[str, type] = {
    "calibDate": str,
    "calibVersion": str,
    "tract": int,
    "patch": str,
    "name": str,
    "pixel_id": str,
}
ALL_KEYS: dict[str, type] = {**KEY_TYPES, **_FURTHER_KEYS}


@dataclass
class Expansion:
    """Exposures found for the ids of a command line.

    Attributes
    ----------
    found
        Complete data ids, each once: the keys given by the user first, then the rest.
    missing
        Ids for which nothing is registered, or whose raw file is not there.
    lost
        Why files of registered exposures were not found, one error for each.
    """

    found: list[DataId] = field(default_factory=list)
    missing: list[DataId] = field(default_factory=list)
    lost: list[HscboxError] = field(default_factory=list)

    def missing_summary(self) -> str:
        """Return one line about the missing ids, or an empty string."""
        if not self.missing:
            return ""
        shown = "; ".join(format_data_id(data_id) or "(everything)" for data_id in self.missing[:5])
        more = f"; ... ({len(self.missing)} in all)" if len(self.missing) > 5 else ""
        return f"No data found for {shown}{more}"


class Lookup:
    """Search in a list of repositories, the first that has a file wins."""

    def __init__(self, repositories: Sequence[Repository]) -> None:
        self.repositories = chain(repositories)
        registries = (repository.registry_path for repository in self.repositories)
        self.registries = [Registry(path) for path in dict.fromkeys(registries) if path is not None]
        calibs = (repository.calib_registry_path for repository in self.repositories)
        self.calib_registries = [CalibRegistry(path) for path in dict.fromkeys(calibs) if path is not None]

    def log_registries(self) -> None:
        """Say which registries are used, parents first; lines and their order are those of the original."""
        for repository in reversed(self.repositories):
            if repository.registry_path is not None:
                log.info("Loading exposure registry from %s", repository.registry_path)
            elif not self.registries and repository.cfg is None:
                log.info("Loading Posix exposure registry from %s", repository.root)
            calibs = repository.calib_registry_path
            if calibs is not None:
                log.info("Loading calib registry from %s", calibs)
            else:
                log.info("Loading Posix calib registry from %s", repository.calib_root or repository.root)

    def check_keys(self, data_id: Mapping[str, object]) -> DataId:
        """Return the data id with its values in the right types.

        Raises
        ------
        UsageError
            A key is unknown, or a value has the wrong type.
        """
        return {key: cast_value(key, value, ALL_KEYS) for key, value in data_id.items()}

    def exposures(self, data_id: Mapping[str, object], *, limit: int | None = None) -> list[DataId]:
        """Return the registered exposures that match, with all registry columns."""
        where = {key: value for key, value in data_id.items() if key in KEY_TYPES}
        for registry in self.registries:
            rows = registry.exposures(where, limit=limit)
            if rows:
                return rows
        return []

    def complete(self, data_id: DataId, keys: Iterable[str]) -> DataId:
        """Return the data id with at least `keys`, asking the registry if some are missing.

        Raises
        ------
        UnknownDataIdError
            No exposure or more than one has this data id.
        UsageError
            A key that is missing cannot be looked up.
        """
        missing = [key for key in keys if key not in data_id]
        if not missing:
            return data_id
        outside = [key for key in missing if key not in KEY_TYPES]
        if outside:
            raise UsageError(f"The data id ({format_data_id(data_id)}) lacks the key '{outside[0]}'")
        rows = self.exposures(data_id, limit=200)
        if not rows:
            raise self.unknown(data_id)
        wanted = [{key: row.get(key) for key in missing} for row in rows]
        if any(values != wanted[0] for values in wanted):
            key = next(key for key in missing if len({row.get(key) for row in rows}) > 1)
            values = sorted({row[key] for row in rows if key in row}, key=str)
            shown = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
            raise UnknownDataIdError(
                f"The data id ({format_data_id(data_id)}) stands for several exposures; '{key}' may be {shown}",
                remedy=f"Add {key}=VALUE",
            )
        empty = [key for key in missing if wanted[0][key] is None]
        if empty:
            raise UnknownDataIdError(f"'{empty[0]}' of ({format_data_id(data_id)}) is not known to the registry")
        return {**data_id, **{key: rows[0][key] for key in missing}}

    def unknown(self, data_id: DataId) -> UnknownDataIdError:
        """Return the error for an id without exposure, saying what is near."""
        text = format_data_id(data_id)
        if not self.registries:
            places = ", ".join(str(repository.root) for repository in self.repositories)
            return UnknownDataIdError(
                f"No exposure ({text}): there is no registry in {places}",
                remedy="Ingest raw files first with hscbox ingest-images",
            )
        registry = self.registries[0]
        places = ", ".join(str(other.path) for other in self.registries)
        message = f"No exposure ({text}) is registered in {places}"
        if "visit" in data_id:
            same: DataId = {key: data_id[key] for key in ("visit", "ccd") if key in data_id}
            rows = self.exposures(same, limit=1)
            if rows:
                others = {k: rows[0].get(k) for k, v in data_id.items() if k in KEY_TYPES and rows[0].get(k) != v}
                return UnknownDataIdError(f"{message}; ({format_data_id(same)}) has {format_data_id(others)}")
            of_visit = self.exposures({"visit": data_id["visit"]}, limit=200)
            if of_visit:
                ccds = ", ".join(str(row.get("ccd")) for row in of_visit[:12])
                more = f", ... ({len(of_visit)} in all)" if len(of_visit) > 12 else ""
                return UnknownDataIdError(f"{message}; visit {data_id['visit']} has ccd {ccds}{more}")
            near = registry.nearest("raw", "visit", data_id["visit"])
            if near:
                return UnknownDataIdError(f"{message}; the nearest visits are {', '.join(map(str, near))}")
            return UnknownDataIdError(f"{message}; it is empty", remedy="Ingest raw files with hscbox ingest-images")
        for key, value in data_id.items():
            values = registry.nearest("raw", key, value) if key in KEY_TYPES else []
            if values and value not in values:
                shown = ", ".join(map(str, values))
                hint = suggestion(str(value), map(str, values))
                return UnknownDataIdError(f"{message}; '{key}' may be {shown}", remedy=hint)
        return UnknownDataIdError(message)

    def expand(self, ids: Iterable[DataId], exists: DatasetType | None = None) -> Expansion:
        """Return the exposures that the ids of a command line stand for, each once, in the order given.

        Parameters
        ----------
        ids
            Data ids, partial ones and the empty one included.
        exists
            Dataset whose file must be there; an id whose file is not there counts as missing.
        """
        expansion = Expansion()
        seen: set[tuple[object, object]] = set()
        for data_id in ids:
            rows = self.exposures(data_id)
            if not rows:
                expansion.missing.append(data_id)
            for row in rows:
                full: DataId = {**data_id, **{key: row[key] for key in EXPOSURE_KEYS if key in row}}
                identity = (full.get("visit"), full.get("ccd"))
                if identity in seen:
                    continue
                seen.add(identity)
                try:
                    if exists is not None:
                        self.find(exists, full)
                except (MissingInputError, UsageError) as error:
                    expansion.missing.append(full)
                    expansion.lost.append(error)
                else:
                    expansion.found.append(full)
        return expansion

    def find(self, kind: DatasetType, data_id: DataId) -> tuple[Path, DataId]:
        """Return where the file of a dataset is, and the data id completed for it.

        Raises
        ------
        MissingInputError
            It is nowhere; the message lists the paths that were tried.
        UnknownDataIdError, CalibNotFoundError, UsageError
            The data id does not lead to one path.
        """
        if kind.is_calib:
            return self._find_calib(kind, data_id)
        complete = self.complete(data_id, kind.key_types)
        relative = kind.path(complete)
        return self._first(kind, complete, [repository.root for repository in self.repositories], relative), complete

    def _first(self, kind: DatasetType, data_id: DataId, roots: Iterable[Path], relative: str) -> Path:
        tried = []
        for root in roots:
            path = spelled(root / relative)
            if path is not None:
                return path
            tried.append(str(root / relative))
        raise MissingInputError(
            f"No file for dataset '{kind.name}' ({format_data_id(data_id)}); tried, also with .gz and .fz: "
            + (", ".join(tried) or "no directory at all"),
            remedy="" if not kind.is_calib else "Is CALIB mounted?",
        )

    def _find_calib(self, kind: DatasetType, data_id: DataId) -> tuple[Path, DataId]:
        roots = list(dict.fromkeys(r.calib_root for r in self.repositories if r.calib_root is not None))
        if not roots:
            places = ", ".join(str(repository.root / "CALIB") for repository in self.repositories)
            raise CalibNotFoundError(
                f"No calibration directory for '{kind.name}'; looked for {places}",
                remedy="Mount one with hscbox mount REPO --calib DIR, or name it with --calib",
            )
        for root in roots:
            if found := dangling(root, directory=True):
                raise CalibNotFoundError(found.problem, remedy=found.remedy)
        complete = self.complete(data_id, [key for key in kind.key_types if key in KEY_TYPES])
        if kind.name not in CALIB_KINDS or "calibDate" in complete:
            return self._first(kind, complete, roots, kind.path(complete)), complete
        return self._find_dated(kind, complete, roots)

    def _find_dated(self, kind: DatasetType, data_id: DataId, roots: Sequence[Path]) -> tuple[Path, DataId]:
        if not self.calib_registries:
            places = ", ".join(str(root) for root in roots)
            raise CalibNotFoundError(
                f"No registry of calibrations in {places}; '{kind.name}' is chosen through it only",
                remedy="Make it with hscbox ingest-calibs",
            )
        data_id = self.complete(data_id, ("taiObs",))
        ids = {key: data_id[key] for key in CALIB_KINDS[kind.name].registry_keys}
        failures: list[HscboxError] = []
        for registry in self.calib_registries:
            try:
                calib_date = registry.calib_date(kind.name, ids, str(data_id["taiObs"]))
            except CalibNotFoundError as error:
                failures.append(error)
                continue
            dated: DataId = {**data_id, "calibDate": calib_date}
            return self._first(kind, dated, [registry.path.parent], kind.path(dated)), dated
        raise failures[0]
